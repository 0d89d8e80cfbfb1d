package gumroadtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRequests(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL, "view_sales")
	session := loggedIn(t, s, p)
	_, err := p.FetchUser(session)
	require.NoError(t, err)
	requests := s.Requests()
	require.Len(t, requests, 2)
	assert.Equal(t, "POST "+TokenPath, requests[0].Method+" "+requests[0].Path)
	assert.Equal(t, "authorization_code", requests[0].Form.Get("grant_type"))
	requests[0].Form.Set("grant_type", "mine")
	requests[0].Header.Set("Accept", "mine")
	assert.Equal(t, "authorization_code", s.Requests()[0].Form.Get("grant_type"))
	assert.NotEqual(t, "mine", s.Requests()[0].Header.Get("Accept"))
	assert.Equal(t, "GET "+UserPath, requests[1].Method+" "+requests[1].Path)
	assert.Equal(t, "Bearer "+session.AccessToken, requests[1].Header.Get("Authorization"))
}

// A handler may change its request. The kept request does not change.
func TestRequestsAreCopies(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Handle("POST /a", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		r.Form["b"][0] = "changed"
		r.Header["X-Test"][0] = "changed"
	}), NoToken)
	request := httptest.NewRequest(http.MethodPost, "/api/v2/a?b=1", nil)
	request.Header.Set("X-Test", "sent")
	s.ServeHTTP(httptest.NewRecorder(), request)
	require.Len(t, s.Requests(), 1)
	assert.Equal(t, Request{http.MethodPost, "/v2/a", http.Header{"X-Test": {"sent"}}, url.Values{"b": {"1"}}, 200, ""}, func() Request {
		kept := s.Requests()[0]
		kept.Header = http.Header{"X-Test": kept.Header["X-Test"]}
		return kept
	}())
}

// A request whose body breaks off is refused, and does nothing.
func TestBrokenBody(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Handle("/a", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") }), NoToken)
	request := httptest.NewRequest(http.MethodPost, "/v2/a", iotest.ErrReader(io.ErrUnexpectedEOF))
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, request)
	assert.Equal(t, 400, answer.Code)
	assert.Equal(t, "gumroadtest: reading the body: unexpected EOF\n", answer.Body.String())
	assert.Equal(t, 400, s.Requests()[0].Status)
}

// Close does not wait for a client that sends less than it announced.
func TestCloseEndsABodyThatNeverComes(t *testing.T) {
	s := NewServer()
	client, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	defer client.Close()
	fmt.Fprintf(client, "POST %s HTTP/1.1\r\nHost: gumroad.com\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n", TokenPath)
	// The server asks for the body only when it reads it.
	answer := bufio.NewReader(client)
	line, err := answer.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue")
	io.WriteString(client, "abc")
	closed := make(chan struct{})
	go func() {
		s.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("Close waits for the body")
	}
	_, err = http.Get(s.URL)
	assert.Error(t, err, "the server is closed")
}

// Status is that of the answer that the client got.
func TestRequestsHaveTheStatus(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Handle("GET /nothing", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), NoToken)
	s.Handle("GET /text", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<p>") }), NoToken)
	s.Handle("GET /created", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) }), NoToken)
	s.Fail(UserPath, Fault{Cut: true}, Fault{Status: 503, After: true})
	for _, test := range []struct {
		path   string
		status int
		reason string
	}{
		{"/v2/nothing", 200, ""},
		{"/v2/text", 200, ""},
		{"/v2/created", 201, ""},
		{UserPath, 0, ""},
		{UserPath, 503, "the access token is missing or unknown"},
		{UserPath, 401, "the access token is missing or unknown"},
		{"/v2/sales", 404, "there is no endpoint GET /v2/sales; if Gumroad's API has it, call Handle for it"},
	} {
		seen := get(t, s.URL+test.path)
		assert.Equal(t, test.status, seen.status, test.path)
		assert.Equal(t, test.status, lastRequest(s).Status, test.path)
		assert.Equal(t, test.reason, lastRequest(s).Reason, test.path)
		if test.path == "/v2/text" {
			assert.Equal(t, "text/html; charset=utf-8", seen.contentType, "net/http still guesses")
		}
	}
}

// Close ends the context of a request and waits for its handler.
func TestCloseEndsAHandlerThatWaits(t *testing.T) {
	s := NewServer()
	waiting := make(chan struct{})
	var ended atomic.Bool
	s.Handle("GET /wait", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(waiting)
		<-r.Context().Done()
		ended.Store(true)
	}), NoToken)
	go func() {
		if resp, err := http.Get(s.URL + "/v2/wait"); err == nil {
			resp.Body.Close()
		}
	}()
	<-waiting
	s.Close()
	assert.True(t, ended.Load())
	_, err := http.Get(s.URL)
	assert.Error(t, err, "the server is closed")
}
