// Package broker hands events to those who wait for some of them, and remembers the last ones. A
// reader that does not keep up is let go, so that it holds up no other. No lesson reads it.
package broker

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Event is something that has happened, in the shape of GET /events.
type Event struct {
	Status string `json:"status,omitempty"` // this and the next two are for old clients
	ID     string `json:"id,omitempty"`
	From   string `json:"from,omitempty"`

	Type, Action string
	Actor        Actor
	Scope        string `json:"scope"`
	Time         int64  `json:"time"`
	TimeNano     int64  `json:"timeNano"`
}

// Actor is what it has happened to.
type Actor struct {
	ID         string
	Attributes map[string]string
}

// New is an event of now.
func New(kind, action, id string, attributes map[string]string) Event {
	now := time.Now()
	e := Event{Type: kind, Action: action, Actor: Actor{id, attributes}, Scope: "local", Time: now.Unix(), TimeNano: now.UnixNano()}
	if kind == "container" || kind == "image" {
		e.Status, e.ID = action, id
	}
	if kind == "container" {
		e.From = attributes["image"]
	}
	return e
}

// remembered is how many events are kept, and how many a reader may be behind, as in Docker.
const remembered = 256

// Broker is ready to use.
type Broker struct {
	mutex   sync.Mutex
	readers []*Reader
	recent  []Event
}

// Reader gets the events that it has asked for from C, which is closed when it is too slow.
type Reader struct {
	C     <-chan Event
	to    chan Event
	wants func(Event) bool
}

// Publish hands out an event.
func (b *Broker) Publish(e Event) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.recent = append(b.recent, e); len(b.recent) > remembered {
		b.recent = b.recent[1:]
	}
	for _, r := range slices.Clone(b.readers) {
		if !r.wants(e) {
			continue
		}
		select {
		case r.to <- e:
		default:
			b.drop(r)
		}
	}
}

// Subscribe adds a reader, and returns the events since a time that it wants. Leave takes it out.
func (b *Broker) Subscribe(since time.Time, wants func(Event) bool) (r *Reader, past []Event) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	to := make(chan Event, remembered)
	r = &Reader{to, to, wants}
	b.readers = append(b.readers, r)
	for _, e := range b.recent {
		if !since.IsZero() && e.TimeNano >= since.UnixNano() && wants(e) {
			past = append(past, e)
		}
	}
	return r, past
}

// Leave takes a reader out.
func (b *Broker) Leave(r *Reader) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.drop(r)
}

func (b *Broker) drop(r *Reader) {
	if i := slices.Index(b.readers, r); i >= 0 {
		b.readers = slices.Delete(b.readers, i, i+1)
		close(r.to)
	}
}

// Matches reports whether an event passes filters, each NAME=VALUE: of one name, one has to match,
// and of labels all.
func (e Event) Matches(filters []string) bool {
	matched := map[string]bool{}
	for _, f := range filters {
		name, value, _ := strings.Cut(f, "=")
		is := e.matches(name, value)
		if name == "label" && !is {
			return false
		}
		matched[name] = matched[name] || is
	}
	for _, is := range matched {
		if !is {
			return false
		}
	}
	return true
}

func (e Event) matches(name, value string) bool {
	switch name {
	case "type":
		return e.Type == value
	case "event":
		return e.Action == value || strings.HasPrefix(e.Action, value+":")
	case "scope":
		return e.Scope == value
	case "label":
		key, want, exact := strings.Cut(value, "=")
		is, ok := e.Actor.Attributes[key]
		return ok && (!exact || is == want)
	case "image":
		image := e.From
		if e.Type == "image" {
			image = e.Actor.Attributes["name"]
		}
		return image == value || strings.HasPrefix(image, value+":")
	}
	of := e.Type == name // container, volume, network
	return of && (e.Actor.ID == value || e.Actor.Attributes["name"] == value || len(value) >= 12 && strings.HasPrefix(e.Actor.ID, value))
}

// Known are the names of filters.
var Known = []string{"type", "event", "scope", "label", "image", "container", "volume", "network", "daemon"}
