package play

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"stagebox/lessons/internal/agent"
)

// patience is how long a browser may take to accept what a terminal shows. One that has stopped
// reading must not stop the others.
const patience = 30 * time.Second

// serveTerminal connects a browser, or another play, with a terminal. Binary messages are what is
// shown and what is typed; a text message is a size from there, and from here "live": all that was
// shown before has been sent.
func (p *Playground) serveTerminal(out http.ResponseWriter, r *http.Request, name string) {
	terminal, err := p.Terminal(name)
	if name == "new" {
		terminal, err = p.Extra()
	}
	if err != nil {
		http.Error(out, err.Error(), http.StatusNotFound)
		return
	}
	conn, err := websocket.Accept(out, r, nil)
	if err != nil {
		return // it has been answered
	}
	defer conn.CloseNow()
	ctx, end := context.WithCancel(p.ctx)
	defer end()
	viewer, before := terminal.Attach()
	defer terminal.Detach(viewer)
	go func() {
		defer end()
		_ = typed(ctx, conn, terminal) // its end is that of the connection
	}()
	if send(ctx, conn, websocket.MessageBinary, before) != nil || send(ctx, conn, websocket.MessageText, []byte("live")) != nil {
		return
	}
	forward(ctx, conn, viewer, terminal)
}

// forward sends what a terminal shows, to its end or the connection's.
func forward(ctx context.Context, conn *websocket.Conn, v *Viewer, t *Terminal) {
	for {
		select {
		case data := <-v.Output:
			if send(ctx, conn, websocket.MessageBinary, data) != nil {
				return
			}
		case <-t.ended:
			if sendRest(ctx, conn, v) == nil {
				_ = conn.Close(websocket.StatusNormalClosure, "the shell has ended") // or it is gone already
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

// sendRest sends what a terminal that has ended showed last: a select takes any of the channels that are
// ready, not the output first.
func sendRest(ctx context.Context, conn *websocket.Conn, v *Viewer) error {
	for {
		select {
		case data := <-v.Output:
			if err := send(ctx, conn, websocket.MessageBinary, data); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

func send(ctx context.Context, conn *websocket.Conn, kind websocket.MessageType, data []byte) error {
	ctx, end := context.WithTimeout(ctx, patience)
	defer end()
	return conn.Write(ctx, kind, data)
}

// typed passes on what is typed, and sizes.
func typed(ctx context.Context, conn *websocket.Conn, t *Terminal) error {
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		if kind == websocket.MessageBinary {
			_, _ = t.Write(data) // a shell that has just ended does not read it
			continue
		}
		var size agent.Size
		if err := json.Unmarshal(data, &size); err != nil {
			return err
		}
		_ = t.Resize(size) // nor does it draw
	}
}

// Order is what a button of the page asks for.
type Order struct {
	Do       string // "reset", "choose" or "try"
	Keep     bool   // what is in /work, at a reset
	Stage    int    // to choose
	Exercise string // to try
}

// serveEvents sends the state at each change, and does what is ordered.
func (w *Web) serveEvents(out http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(out, r, nil)
	if err != nil {
		return // it has been answered
	}
	defer conn.CloseNow()
	ctx, end := context.WithCancel(w.ctx)
	defer end()
	go func() {
		defer end()
		for {
			var order Order
			if wsjson.Read(ctx, conn, &order) != nil {
				return
			}
			go w.obey(order)
		}
	}()
	changes, leave := w.events.watch()
	defer leave()
	for {
		select {
		case <-changes:
			state := struct {
				State
				Lacks string
			}{w.events.get(), w.lacks()}
			if wsjson.Write(ctx, conn, state) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// obey does what a button asks for. Why it could not is part of the state.
func (w *Web) obey(o Order) {
	var err error
	switch o.Do {
	case "reset":
		err = w.Reset(o.Keep)
	case "choose":
		err = w.Choose(o.Stage)
	case "try":
		err = w.Try(o.Exercise)
	default:
		err = fmt.Errorf("unknown order %q: reload the page", o.Do)
	}
	w.events.set(func(s *State) {
		s.Problem = ""
		if err != nil {
			s.Problem = err.Error()
		}
	})
}
