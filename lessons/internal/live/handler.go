package live

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"time"
)

//go:embed page
var page embed.FS

// Handler serves the live page:
//
//	/        the page, with its styles and scripts beside it
//	/state   a Snapshot with its Figures, as JSON
//	/events  server-sent events: "state", a Snapshot, first and whenever it has changed, and
//	         "figures", once a second
//
// All of its links are relative, so that it can be mounted below any prefix that ends in a
// slash. It only reads; its caller decides who may ask.
func Handler() http.Handler {
	return handler(Roots{"/proc", "/sys"})
}

func handler(roots Roots) http.Handler {
	w := &watcher{roots: roots}
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the directory is compiled in
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /state", w.serveState)
	mux.HandleFunc("GET /events", w.serveEvents)
	return http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		out.Header().Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		out.Header().Set("X-Content-Type-Options", "nosniff")
		out.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(out, in)
	})
}

func (w *watcher) serveState(out http.ResponseWriter, in *http.Request) {
	out.Header().Set("Content-Type", "application/json")
	s := Take(w.roots)
	out.Write(encode(struct {
		Snapshot
		Moving moving `json:"moving"`
	}{s, s.moving(time.Now())})) // who has hung up is not told of it
}

// serveEvents sends until the listener hangs up, whatever time the server gives to others.
func (w *watcher) serveEvents(out http.ResponseWriter, in *http.Request) {
	control := http.NewResponseController(out)
	control.SetWriteDeadline(time.Time{}) // a connection that has no deadline needs none taken away
	out.Header().Set("Content-Type", "text/event-stream")
	w.join()
	defer w.leave()
	var told view
	for {
		v := w.view()
		if string(v.state) != string(told.state) {
			fmt.Fprintf(out, "event: state\ndata: %s\n\n", v.state)
		}
		if string(v.figures) != string(told.figures) {
			fmt.Fprintf(out, "event: figures\ndata: %s\n\n", v.figures)
		}
		if err := control.Flush(); err != nil {
			return
		}
		told = v
		select {
		case <-v.next:
		case <-in.Context().Done():
			return
		}
	}
}
