package play

import "sync"

// State is what a page shows of the playground.
type State struct {
	Phase    string // "booting", "up" or "ended"
	Where    string // "machine" or "host": where the shells run
	Cgroups  string
	Stage    int      // whose box is box in the machine; 0 when it is the student's
	Boot     float64  // seconds that the machine took
	Accel    string   // "kvm" or "tcg"
	Console  string   // the machine's last words, when it has ended
	Missing  []string // tools that the host does not have
	Build    *Build   // of the student's copy; nil without one
	Exercise *Trial   // nil when none was tried
	Problem  string   // what a button could not do
}

// Build says how the student's code did.
type Build struct {
	Dir  string
	Good bool
	Text string // the compiler's words, or when it was put into the machine
}

// Trial is an exercise that is being tried, or was.
type Trial struct {
	Name    string
	Running bool
	Lines   []string
	Error   string
}

// events keeps the state, and tells those who watch of each change.
type events struct {
	mu       sync.Mutex
	state    State
	watchers map[chan struct{}]bool
}

// set changes the state.
func (e *events) set(change func(*State)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.state)
	for w := range e.watchers {
		select {
		case w <- struct{}{}:
		default: // it has not yet looked at the last one
		}
	}
}

func (e *events) get() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state
}

// watch returns a channel with a word for each change, and how to end that.
func (e *events) watch() (<-chan struct{}, func()) {
	w := make(chan struct{}, 1)
	w <- struct{}{}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watchers == nil {
		e.watchers = map[chan struct{}]bool{}
	}
	e.watchers[w] = true
	return w, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.watchers, w)
	}
}
