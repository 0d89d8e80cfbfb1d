package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// secretFinder sends the application's requests to Gumroad, and records the secrets
// in the requests and in the answers.
type secretFinder struct {
	mu      sync.Mutex
	secrets []string
	access  []string // those that are access tokens
	held    map[string]holding
}

// holding is a request that has to wait.
type holding struct {
	arrived, stop chan bool
}

// hold makes the next request to the path wait until stop is closed. It returns a
// channel that is closed when the request has arrived.
func (f *secretFinder) hold(path string, stop chan bool) (arrived chan bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := holding{make(chan bool), stop}
	f.held = map[string]holding{path: h}
	return h.arrived
}

func (f *secretFinder) accessTokens() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.access)
}

func (f *secretFinder) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
		form, _ := url.ParseQuery(string(body))
		f.add(form.Get("code"), form.Get("code_verifier"), form.Get("client_secret"), form.Get("refresh_token"))
	}
	f.mu.Lock()
	h, held := f.held[req.URL.Path]
	delete(f.held, req.URL.Path)
	f.mu.Unlock()
	if held {
		close(h.arrived)
		<-h.stop
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), errorReader{err}))
	var tokens struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	json.Unmarshal(body, &tokens)
	f.add(tokens.AccessToken, tokens.RefreshToken)
	if tokens.AccessToken != "" {
		f.mu.Lock()
		f.access = append(f.access, tokens.AccessToken)
		f.mu.Unlock()
	}
	return resp, nil
}

func (f *secretFinder) add(secrets ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, secret := range secrets {
		if len(secret) > 20 {
			f.secrets = append(f.secrets, secret)
		}
	}
}

func (f *secretFinder) found() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.secrets)
}

// errorReader returns the error with which an answer ended, or io.EOF.
type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) {
	if r.err == nil {
		return 0, io.EOF
	}
	return 0, r.err
}

// safeBuffer is a buffer that is safe for concurrent use.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// captureLog captures the log until the test ends.
func captureLog(t *testing.T) *safeBuffer {
	captured, before := &safeBuffer{}, log.Writer()
	log.SetOutput(captured)
	t.Cleanup(func() { log.SetOutput(before) })
	return captured
}
