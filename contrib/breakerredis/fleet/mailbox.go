package fleet

import "sync"

// notes are what has been heard of a key.
type notes uint8

const (
	noteOwn       notes = 1 << iota // something has happened to the own circuit
	noteAdded                       // the set has it now
	noteSuspected                   // the fleet asks
	noteOpened                      // the fleet may have found it down
	noteClosed                      // and up again
)

// mailbox holds notes until the node's goroutine takes them: one entry a key,
// so that nobody who puts one in ever waits. The key "" stands for what concerns
// all keys.
type mailbox struct {
	poke chan struct{}

	mu      sync.Mutex
	notes   map[string]notes
	dropped uint64 // for want of room
}

func newMailbox() mailbox {
	return mailbox{poke: make(chan struct{}, 1), notes: map[string]notes{}}
}

func (m *mailbox) put(key string, n notes) {
	m.mu.Lock()
	had := m.notes[key]
	if had == 0 && len(m.notes) > MaxHosts {
		m.dropped++
		m.mu.Unlock()
		return
	}
	m.notes[key] = had | n
	m.mu.Unlock()
	if had == 0 {
		select {
		case m.poke <- struct{}{}:
		default:
		}
	}
}

func (m *mailbox) take() map[string]notes {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.notes
	m.notes = map[string]notes{}
	return taken
}

func (m *mailbox) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropped++
}
