package gumroadtest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// Fault is what an endpoint answers instead of the right answer. A Fault that
// has neither Status nor Body, and that does not lose the answer, delivers the
// right answer, after Delay and with Header.
type Fault struct {
	// Status is the HTTP status, from 200 to 999. 0 means 200 if there is a Body.
	// For any other status the server answers 500, with a message.
	Status int

	// Header is added to the answer, and replaces headers of the same name.
	// Without a Content-Type, a Body that begins like a JSON object is JSON, and
	// net/http guesses what another one is.
	Header http.Header

	// Body is the body of the answer.
	Body string

	// Delay is how long the server waits before it answers. If the client leaves
	// before that, the server does not answer.
	Delay time.Duration

	// Cut closes the connection after Status and Body, or, without these, in the
	// middle of the header.
	Cut bool

	// After lets the endpoint do its work first: a code or a refresh token is
	// used up, a token is revoked, the handler of [Server.Handle] is called. Only
	// the answer is replaced, late, or lost. A Fault with nothing but After loses
	// the answer, as with Cut.
	After bool
}

// Fail makes the endpoint at path, such as [TokenPath] or "/v2/products", answer
// its next requests with the faults, in this order, after those of earlier
// calls. The path of an endpoint of [Server.Handle] may also be that of its
// pattern, such as "/v2/products/{id}", for a fault that any such request meets.
//
// Fail panics if the server has no endpoint at path. [Server.Authorize] and
// [Server.Deny] make no request and meet no fault.
func (s *Server) Fail(path string, faults ...Fault) {
	path = apiPath(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hasEndpoint(path) {
		panic(fmt.Sprintf("gumroadtest: Fail: the server has no endpoint at %q. Call Handle for it first. Paths of the API begin with /v2.", path))
	}
	for _, fault := range faults {
		fault.Header = fault.Header.Clone()
		s.faults[path] = append(s.faults[path], fault)
	}
}

// nextFault returns the next fault that waits at one of the paths. The caller
// holds s.mu.
func (s *Server) nextFault(paths ...string) (fault Fault, found bool) {
	for _, path := range paths {
		if waiting := s.faults[path]; len(waiting) > 0 {
			s.faults[path] = waiting[1:]
			return waiting[0], true
		}
	}
	return Fault{}, false
}

// serve answers a request that is for the endpoint.
func (f Fault) serve(w http.ResponseWriter, r *http.Request, endpoint http.Handler) {
	var answer *httptest.ResponseRecorder
	work := func() {
		answer = httptest.NewRecorder()
		endpoint.ServeHTTP(answer, r)
	}
	if f.After {
		work()
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 999) {
		message := fmt.Sprintf("gumroadtest: a Fault has the status %d, want 200 to 999", f.Status)
		writeJSON(w, http.StatusInternalServerError, map[string]any{"message": message})
		return
	}
	replaces := f.Status != 0 || f.Body != ""
	if !replaces && (f.Cut || f.After && f.Delay <= 0 && len(f.Header) == 0) {
		cut(w)
	}
	status, body := cmp.Or(f.Status, http.StatusOK), f.Body
	if !replaces {
		if !f.After {
			work()
		}
		maps.Copy(w.Header(), answer.Header())
		status, body = answer.Code, answer.Body.String()
	} else if strings.HasPrefix(strings.TrimSpace(body), "{") {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	for name, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(status)
	io.WriteString(w, body)
	if f.Cut {
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// cut closes the connection in the middle of the header. Before the header,
// net/http would repeat a GET on a new connection, and nobody would notice.
func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		conn.Close()
	}
	panic(http.ErrAbortHandler)
}
