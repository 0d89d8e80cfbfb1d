package gumroadtest

import (
	"net/http"
	"net/url"
)

// Request is a request that the server received.
type Request struct {
	Method string

	// Path is the path, such as TokenPath, with /v2 in place of /api/v2.
	Path string

	Header http.Header

	// Form holds the parameters of the query and of the body, as Rails reads them.
	Form url.Values

	// Status is the status of the answer. It is 0 if the server sent none, because
	// of a [Fault] or because it is still working on the request.
	Status int

	// Reason is why the server refused the request, in words and without secrets,
	// or empty if it did not. It names the cause of invalid_grant, which Gumroad
	// does not tell. It is also in the response header Gumroadtest-Reason.
	Reason string
}

// Requests returns the requests that the server received over HTTP, oldest first.
// [Server.Authorize] and [Server.Deny] make no request.
func (s *Server) Requests() []Request {
	defer s.lock()()
	var requests []Request
	for _, r := range s.requests {
		copied := *r
		copied.Header = r.Header.Clone()
		copied.Form = url.Values(http.Header(r.Form).Clone())
		requests = append(requests, copied)
	}
	return requests
}
