package gumroadtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Request is a request that the server received.
type Request struct {
	Method string

	// Path is the path, such as TokenPath. The server changes /api/v2 at its
	// beginning to /v2.
	Path string

	Header http.Header

	// Form holds the parameters of the query and of the body.
	Form url.Values
}

// The limits of what Requests keeps.
const (
	maxRequests     = 10_000
	maxRequestBytes = 16 << 20
)

// Requests returns the requests that the server received over HTTP, oldest first.
// The server keeps the last 10,000, or fewer if their headers and forms exceed
// 16 MiB. [Server.Authorize] and [Server.Deny] make no request.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := slices.Clone(s.requests)
	for i, r := range requests {
		requests[i].Header = r.Header.Clone()
		requests[i].Form = cloneValues(r.Form)
	}
	return requests
}

// record stores a request. The caller holds s.mu.
func (s *Server) record(r Request) {
	s.requests = append(s.requests, r)
	s.requestBytes += r.size()
	for len(s.requests) > maxRequests || s.requestBytes > maxRequestBytes {
		s.requestBytes -= s.requests[0].size()
		s.requests[0] = Request{} // the array still holds it
		s.requests = s.requests[1:]
	}
}

// size estimates the memory that a request takes, in bytes.
func (r Request) size() int {
	size := len(r.Method) + len(r.Path)
	for _, values := range []map[string][]string{r.Header, r.Form} {
		for name, list := range values {
			size += len(name) + 64
			for _, value := range list {
				size += len(value) + 16
			}
		}
	}
	return size
}

func cloneValues(values url.Values) url.Values {
	return url.Values(http.Header(values).Clone())
}

// apiPath returns the path with /v2 in place of /api/v2.
func apiPath(path string) string {
	if rest, found := strings.CutPrefix(path, "/api/v2/"); found {
		return "/v2/" + rest
	}
	return path
}

// maxForm is how much of a body is read for parameters, in bytes.
const maxForm = 1 << 20

// readForm sets r.Form to the parameters of the query and of the body. As Rails does,
// it accepts any method, and JSON too. The body can be read again.
func readForm(r *http.Request) error {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm))
	if err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	// POST, since net/http reads the form of few other methods.
	parsed := &http.Request{Method: http.MethodPost, URL: r.URL, Header: r.Header, Body: io.NopCloser(bytes.NewReader(body))}
	// An error means that there are no parameters.
	parsed.ParseMultipartForm(maxForm)
	r.Form = parsed.Form
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/json" {
		maps.Copy(r.Form, readJSON(body))
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	return nil
}

// readJSON returns the strings, numbers and booleans of a JSON object.
func readJSON(body []byte) url.Values {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var object map[string]any
	decoder.Decode(&object)
	form := url.Values{}
	for name, value := range object {
		switch value.(type) {
		case string, json.Number, bool:
			form.Set(name, fmt.Sprint(value))
		}
	}
	return form
}
