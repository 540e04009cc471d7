package live

import (
	"encoding/json"
	"sync"
	"time"
)

// How often the watcher looks, and prints figures. Where a look takes long, because there are
// very many processes, it rests four times as long.
const (
	between = 250 * time.Millisecond
	second  = time.Second
)

// watcher looks for all listeners together, and only while there are any.
type watcher struct {
	roots Roots

	mu        sync.Mutex
	listeners int
	stop      chan struct{}
	latest    view
	told      time.Time // when figures were sent last
}

// view is what listeners are to know.
type view struct {
	state, figures []byte        // JSON
	next           chan struct{} // closed when there is another view
}

// moving is the event "figures".
type moving struct {
	Time    int64              `json:"time"` // milliseconds since 1970
	Figures map[string]Figures `json:"figures"`
}

func (s Snapshot) moving(now time.Time) moving {
	return moving{now.UnixMilli(), s.figures}
}

// encode cannot fail for types without channels, functions and infinite numbers.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// join starts the watch for the first listener, and has looked once when it returns.
func (w *watcher) join() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners++
	if w.listeners > 1 {
		return
	}
	w.latest, w.told = view{next: make(chan struct{})}, time.Time{}
	w.stop = make(chan struct{})
	s, m := take(w.roots, nil)
	w.update(s, time.Now())
	go w.watch(w.stop, m)
}

// leave ends the watch with the last listener.
func (w *watcher) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners--
	if w.listeners == 0 {
		close(w.stop)
	}
}

func (w *watcher) view() view {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest
}

func (w *watcher) watch(stop chan struct{}, m memory) {
	var cost time.Duration
	for {
		select {
		case <-stop:
			return
		case <-time.After(max(between, 4*cost)):
		}
		began := time.Now()
		var s Snapshot
		s, m = take(w.roots, m)
		cost = time.Since(began)
		w.mu.Lock()
		if w.stop == stop { // else another watch has begun meanwhile
			w.update(s, began)
		}
		w.mu.Unlock()
	}
}

// update makes a new view if there is anything new to tell.
func (w *watcher) update(s Snapshot, now time.Time) {
	v := view{encode(s), w.latest.figures, make(chan struct{})}
	if now.Sub(w.told) >= second {
		v.figures, w.told = encode(s.moving(now)), now
	}
	if string(v.state) == string(w.latest.state) && string(v.figures) == string(w.latest.figures) {
		return
	}
	close(w.latest.next)
	w.latest = v
}
