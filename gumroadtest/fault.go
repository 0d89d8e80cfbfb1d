package gumroadtest

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Fault is an answer that an endpoint gives instead of its normal one. A Fault
// without Status, Body and Cut gives the normal answer, after Delay and with Header.
type Fault struct {
	// Status is the HTTP status, from 200 to 999. If it is 0 and Body is not empty,
	// the status is 200.
	Status int

	// Header is added to the answer. It replaces headers of the same name. If it
	// has no Content-Type, a Body that begins like a JSON object is sent as JSON,
	// and net/http guesses the type of any other Body.
	Header http.Header

	// Body is the body of the answer.
	Body string

	// Delay is how long the server waits before it answers. If the client
	// disconnects during the delay, the endpoint does nothing, unless After is set.
	Delay time.Duration

	// Cut closes the connection after Status and Body, or in the middle of the
	// header if both are empty.
	Cut bool

	// After makes the endpoint do its work before the fault, such as to use up the
	// code or the refresh token. The fault then replaces, delays or loses only the
	// answer. A Fault in which only After is set loses it, as Cut does.
	After bool
}

// Fail makes the endpoint at path, such as [TokenPath] or "/v2/products/42", answer
// its next requests with these faults. Each fault is used once, in this order and
// after the faults of earlier calls. [Server.UnusedFaults] returns the unused ones.
//
// Fail panics if the server has no endpoint at path, or if a Fault is empty or its
// Status is no HTTP status. No fault applies to [Server.Authorize] and [Server.Deny], which
// make no request.
func (s *Server) Fail(path string, faults ...Fault) {
	defer s.lock()()
	path = strings.TrimPrefix(path, "/api")
	exists := slices.ContainsFunc([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, func(method string) bool {
		_, pattern := s.endpoint.Handler(&http.Request{Method: method, URL: &url.URL{Path: path}})
		return pattern != "" && pattern != "/"
	})
	if !exists || !strings.HasPrefix(path, "/") || strings.Contains(path, "{") {
		panic(fmt.Sprintf("gumroadtest: Fail: the server has no endpoint at %q. Call Handle for it first. Paths of the API begin with /v2, and have values in place of {…}.", path))
	}
	for _, fault := range faults {
		if fault.Status != 0 && (fault.Status < 200 || fault.Status > 999) {
			panic(fmt.Sprintf("gumroadtest: Fail: a Fault has the status %d, want 200 to 999", fault.Status))
		}
		if fault.Status == 0 && len(fault.Header) == 0 && fault.Body == "" && fault.Delay <= 0 && !fault.Cut {
			if !fault.After {
				panic("gumroadtest: Fail: a Fault is empty")
			}
			fault.Cut = true
		}
		if fault.Body != "" {
			fault.Status = cmp.Or(fault.Status, http.StatusOK)
		}
		fault.Header = fault.Header.Clone()
		s.faults[path] = append(s.faults[path], fault)
	}
}

// UnusedFaults returns the faults of [Server.Fail] that no request has met yet, by
// their path. A test can assert that there are none at its end.
func (s *Server) UnusedFaults() map[string][]Fault {
	defer s.lock()()
	unused := maps.Clone(s.faults)
	maps.DeleteFunc(unused, func(_ string, faults []Fault) bool { return len(faults) == 0 })
	return unused
}

// answer returns the answer of the endpoint, changed by the fault. Its status is 0 if
// it is lost.
func (f Fault) answer(r *http.Request, endpoint http.Handler) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	if f.After {
		endpoint.ServeHTTP(answer, r)
	}
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	header := answer.Header()
	if f.Status != 0 || f.Cut {
		maps.DeleteFunc(header, func(name string, _ []string) bool { return name != reasonHeader })
		answer.Code, answer.Body = f.Status, bytes.NewBufferString(f.Body)
		if strings.HasPrefix(strings.TrimSpace(f.Body), "{") {
			header.Set("Content-Type", "application/json; charset=utf-8")
		}
	} else if !f.After {
		endpoint.ServeHTTP(answer, r)
	}
	for name, values := range f.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	return answer
}

// cut closes the connection in the middle of the header. If it closed the connection
// before the header, the client could repeat a GET on a new connection.
func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		conn.Close()
	}
	panic(http.ErrAbortHandler)
}
