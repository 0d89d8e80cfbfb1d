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

// requestKey is the context key for the *Request of a request.
type requestKey struct{}

// explain keeps the reason why a request is refused.
func (s *Server) explain(r *http.Request, why string) {
	defer s.lock()()
	r.Context().Value(requestKey{}).(*Request).Reason = why
}

// answer keeps the status of an answer.
type answer struct {
	http.ResponseWriter
	server   *Server
	received *Request
	begun    bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = true
	unlock := a.server.lock()
	a.received.Status = status
	unlock()
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(body []byte) (int, error) {
	a.finish()
	return a.ResponseWriter.Write(body)
}

// finish sends the status 200, unless there is a status.
func (a *answer) finish() {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
}

// Unwrap is called by [http.NewResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
