package gumroadtest

import (
	"net/http"
	"net/url"
)

// Request is a request that the server received.
type Request struct {
	Method string

	// Path is the path, such as TokenPath. The server changes /api/v2 at its
	// beginning to /v2.
	Path string

	Header http.Header

	// Form holds the parameters of the query and of the body, as Rails reads them.
	Form url.Values

	// Status is the status of the answer. It is 0 if the server sent none, because
	// of a [Fault] or because it still works on the request.
	Status int

	// Reason is why the server refused the request, in words. For the error
	// invalid_grant, which does not tell its causes apart, it names the cause. It
	// is empty if the server did not refuse the request, and it holds no secret.
	// The answer has it in the header Gumroadtest-Reason.
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
		copied.Form = cloneValues(r.Form)
		requests = append(requests, copied)
	}
	return requests
}

func cloneValues(values url.Values) url.Values {
	return url.Values(http.Header(values).Clone())
}
