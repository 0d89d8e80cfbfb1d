package gumroadtest

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// Fault is what an endpoint answers in place of the right answer.
type Fault struct {
	// Status is the HTTP status, of three digits; 0 means 200 if there is a Body.
	// For what is no final status, such as 42 or 100, the answer is a 500 that
	// says so.
	Status int

	// ContentType is that of Body; where it is empty, net/http guesses it.
	ContentType string
	Body        string

	// Delay goes before the answer. A Fault with nothing but a Delay lets the
	// right answer follow.
	Delay time.Duration

	// Cut breaks the connection off, after Status and Body where there are any
	// and before the end of the answer. Where there is neither, mind that
	// net/http repeats a GET whose connection it used before.
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
			panic(http.ErrAbortHandler)
		}
		return false
	}
	if fault.Status != 0 && (fault.Status < 200 || fault.Status > 999) {
		http.Error(w, fmt.Sprintf("gumroadtest: a Fault has the status %d, want 200 to 999", fault.Status), http.StatusInternalServerError)
		return true
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
