// Package once makes things that many ask for: each of them once, also when several ask at the same
// time.
package once

import (
	"maps"
	"slices"
	"sync"
)

// Map holds what was made, by its key. The zero value is ready for use.
type Map[K comparable, V any] struct {
	lock sync.Mutex
	made map[K]func() (V, error)
}

// Get returns what make has made for a key, and its error. The first to ask has it made; the others
// wait for that.
func (m *Map[K, V]) Get(key K, make func() (V, error)) (V, error) {
	m.lock.Lock()
	get := m.made[key]
	if get == nil {
		get = sync.OnceValues(make)
		if m.made == nil {
			m.made = map[K]func() (V, error){}
		}
		m.made[key] = get
	}
	m.lock.Unlock() // before it is made: that may ask for others
	return get()
}

// Made returns what was made for a key, for which Get was called before.
func (m *Map[K, V]) Made(key K) V {
	m.lock.Lock()
	get := m.made[key]
	m.lock.Unlock()
	value, _ := get()
	return value
}

// All returns what was made, in no order, also where there was an error.
func (m *Map[K, V]) All() []V {
	m.lock.Lock()
	made := slices.Collect(maps.Values(m.made))
	m.lock.Unlock()
	all := []V{}
	for _, get := range made {
		value, _ := get()
		all = append(all, value)
	}
	return all
}
