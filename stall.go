package gumroad

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// stall keeps a provider away from a connection whose other end has gone without
// a word. Over HTTP/2 net/http would go on using it for a quarter of an hour,
// although every new connection would work. After a request that timed out, the
// next ones have new connections.
type stall struct {
	mu    sync.Mutex
	last  time.Time       // when a request last timed out
	stale *http.Transport // the application's, which a request timed out in
	fresh *http.Transport // the same without its connections
}

// stallTime is longer than the 90 seconds after which http.DefaultTransport drops
// a connection that nobody uses.
const stallTime = 2 * time.Minute

// transport returns what to send a request through instead of own, and whether
// the request must ask for a connection of its own.
func (s *stall) transport(own http.RoundTripper) (_ http.RoundTripper, alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own == s.stale {
		return s.fresh, false
	}
	return own, time.Since(s.last) < stallTime
}

// timedOut takes note that a request through own, or through what transport
// returned for it, timed out.
func (s *stall) timedOut(own http.RoundTripper) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	// Another type may hide any pool. With Close set, net/http uses the old
	// connection one last time, and then none twice.
	transport, ok := own.(*http.Transport)
	if !ok {
		return
	}
	if s.fresh != nil {
		s.fresh.CloseIdleConnections()
	}
	s.stale, s.fresh = transport, transport.Clone()
	// A copy of a transport that found HTTP/2 by itself asks for it in the handshake,
	// but would not speak it.
	if config := s.fresh.TLSClientConfig; config != nil && slices.Contains(config.NextProtos, "h2") {
		s.fresh.ForceAttemptHTTP2 = true
	}
}
