package testkit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
)

// Wire sends a program's requests to Gumroad with Next, and records the secrets in
// the requests and in the answers.
type Wire struct {
	Next    http.RoundTripper
	mu      sync.Mutex
	secrets []string
	access  []string // those that are access tokens
	held    map[string]func()
}

// Hang makes the next request to the path wait until release is called. It calls start,
// and returns when the request has arrived.
func (f *Wire) Hang(path string, start func()) (release func()) {
	arrived, stop := make(chan bool), make(chan bool)
	f.mu.Lock()
	f.held = map[string]func(){path: func() {
		close(arrived)
		<-stop
	}}
	f.mu.Unlock()
	go start()
	<-arrived
	return sync.OnceFunc(func() { close(stop) })
}

// RoundTrip implements http.RoundTripper.
func (f *Wire) RoundTrip(req *http.Request) (*http.Response, error) {
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
	wait := f.held[req.URL.Path]
	delete(f.held, req.URL.Path)
	f.mu.Unlock()
	if wait != nil {
		wait()
	}
	resp, err := f.Next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), iotest.ErrReader(cmp.Or(err, io.EOF))))
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

func (f *Wire) add(secrets ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, secret := range secrets {
		if len(secret) > 20 {
			f.secrets = append(f.secrets, secret)
		}
	}
}

// Found returns all secrets.
func (f *Wire) Found() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.secrets)
}

// AccessTokens returns the access tokens that Gumroad issued.
func (f *Wire) AccessTokens() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.access)
}

// Buffer is a buffer that is safe for concurrent use.
type Buffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

// String returns what was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// CaptureLog captures the log until the test ends.
func CaptureLog(t *testing.T) *Buffer {
	captured, before := &Buffer{}, log.Writer()
	log.SetOutput(captured)
	t.Cleanup(func() { log.SetOutput(before) })
	return captured
}
