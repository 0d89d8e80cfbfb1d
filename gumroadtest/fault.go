package gumroadtest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Fault is what an endpoint answers in place of the right answer.
type Fault struct {
	// Status is the HTTP status, of three digits; 0 means 200 if there is a Body.
	// For what is no final status, such as 42 or 100, the answer is a 500 that
	// says so.
	Status int

	// ContentType is that of Body. Where it is empty, a Body that begins like a
	// JSON object is JSON, and net/http guesses what another one is.
	ContentType string
	Body        string

	// Delay goes before the answer. A Fault with nothing but a Delay lets the
	// right answer follow.
	Delay time.Duration

	// Cut breaks the connection off, after Status and Body where there are any,
	// or else in the middle of the header.
	Cut bool
}

// Fail makes the next answers of the endpoint with this path, such as
// [TokenPath], these faults, one after the other, after those that are waiting
// already. [Server.Authorize] and [Server.Deny] make no request, so they do not
// meet those of [AuthorizePath].
func (s *Server) Fail(path string, faults ...Fault) {
	if path == "/api/v2/user" {
		path = UserPath
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[path] = append(s.faults[path], faults...)
}

// answerFault answers with the next fault of this path, and reports whether it
// did.
func (s *Server) answerFault(w http.ResponseWriter, r *http.Request, path string) bool {
	s.mu.Lock()
	waiting := s.faults[path]
	if len(waiting) == 0 {
		s.mu.Unlock()
		return false
	}
	fault := waiting[0]
	s.faults[path] = waiting[1:]
	s.mu.Unlock()

	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		case <-s.closed:
			panic(http.ErrAbortHandler)
		}
	}
	if fault.Status == 0 && fault.Body == "" {
		if fault.Cut {
			// Not before it: net/http would repeat a GET on a connection that it
			// used before, and nobody would notice.
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
				conn.Close()
			}
			panic(http.ErrAbortHandler)
		}
		return false
	}
	if fault.Status != 0 && (fault.Status < 200 || fault.Status > 999) {
		message := fmt.Sprintf("gumroadtest: a Fault has the status %d, want 200 to 999", fault.Status)
		writeJSON(w, http.StatusInternalServerError, map[string]any{"message": message})
		return true
	}
	if fault.ContentType == "" && strings.HasPrefix(strings.TrimSpace(fault.Body), "{") {
		fault.ContentType = "application/json; charset=utf-8"
	}
	if fault.ContentType != "" {
		w.Header().Set("Content-Type", fault.ContentType)
	}
	if fault.Status != 0 {
		w.WriteHeader(fault.Status)
	}
	io.WriteString(w, fault.Body)
	if fault.Cut {
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	return true
}
