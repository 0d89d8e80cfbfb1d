package gumroadtest

import "container/list"

// maxKept is how many codes, pairs of tokens and users a Server remembers. With the
// limit, a server that runs for a long time neither grows nor slows down.
const maxKept = 10_000

// memory is a map that forgets its oldest entries when it holds more than limit.
type memory[V any] struct {
	limit   int
	entries map[string]*list.Element
	order   *list.List // of entry[V], the oldest first
}

type entry[V any] struct {
	key   string
	value V
}

func newMemory[V any](limit int) *memory[V] {
	return &memory[V]{limit, map[string]*list.Element{}, list.New()}
}

// get returns the value of key, or the zero value.
func (m *memory[V]) get(key string) (value V) {
	if element := m.entries[key]; element != nil {
		value = element.Value.(entry[V]).value
	}
	return value
}

// put sets the value of key and makes it the newest. It returns the values that it
// forgot.
func (m *memory[V]) put(key string, value V) (forgotten []V) {
	m.remove(key)
	m.entries[key] = m.order.PushBack(entry[V]{key, value})
	for m.order.Len() > m.limit {
		oldest := m.order.Front().Value.(entry[V])
		m.remove(oldest.key)
		forgotten = append(forgotten, oldest.value)
	}
	return forgotten
}

func (m *memory[V]) remove(key string) {
	if element := m.entries[key]; element != nil {
		m.order.Remove(element)
		delete(m.entries, key)
	}
}
