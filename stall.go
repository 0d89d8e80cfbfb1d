package gumroad

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// stall makes a provider avoid connections that were lost without notice. Over HTTP/2
// net/http uses such a connection for a quarter of an hour, although a new one would
// work. After a request has timed out, the next requests use new connections.
type stall struct {
	mu    sync.Mutex
	last  time.Time       // when a request last timed out
	stale *http.Transport // the application's, whose connections are not used
	fresh *http.Transport // a copy of it, with connections of its own
}

// stallTime is longer than the 90 seconds after which http.DefaultTransport closes
// an idle connection.
const stallTime = 2 * time.Minute

// transport returns the transport to use in place of own, and whether the request
// needs a connection of its own.
func (s *stall) transport(own http.RoundTripper) (_ http.RoundTripper, alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own == s.stale {
		return s.fresh, false
	}
	return own, time.Since(s.last) < stallTime
}

// timedOut records that a request timed out. The request went through own, or
// through the transport that replaces it.
func (s *stall) timedOut(own http.RoundTripper) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	// A transport of another type cannot be copied. A request with Close set uses
	// the dead connection for the last time. The next request has a new connection.
	transport, ok := own.(*http.Transport)
	if !ok {
		return
	}
	fresh := transport.Clone()
	if len(fresh.TLSNextProto) > 0 {
		return // golang.org/x/net/http2 set it up, and the copy has the same connections
	}
	// If net/http enabled HTTP/2 by itself, the copy offers it to the server, but
	// speaks it only if ForceAttemptHTTP2 is set.
	if config := fresh.TLSClientConfig; config != nil && slices.Contains(config.NextProtos, "h2") {
		fresh.ForceAttemptHTTP2 = true
	}
	if s.fresh != nil {
		s.fresh.CloseIdleConnections()
	}
	s.stale, s.fresh = transport, fresh
}
