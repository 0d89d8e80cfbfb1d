package gumroadtest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
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
	}))
	request := httptest.NewRequest(http.MethodPost, "/api/v2/a?b=1", nil)
	request.Header.Set("X-Test", "sent")
	s.ServeHTTP(httptest.NewRecorder(), request)
	require.Len(t, s.Requests(), 1)
	assert.Equal(t, Request{http.MethodPost, "/v2/a", http.Header{"X-Test": {"sent"}}, url.Values{"b": {"1"}}}, func() Request {
		kept := s.Requests()[0]
		kept.Header = http.Header{"X-Test": kept.Header["X-Test"]}
		return kept
	}())
}

func TestRequestsAreBounded(t *testing.T) {
	s := NewServer()
	defer s.Close()
	send := func(body string) {
		request := httptest.NewRequest(http.MethodPost, "/nowhere", strings.NewReader(body))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		s.ServeHTTP(httptest.NewRecorder(), request)
	}
	for i := range 10_000 + 1 {
		send(fmt.Sprintf("i=%d", i))
	}
	requests := s.Requests()
	require.Len(t, requests, 10_000)
	assert.Equal(t, "1", requests[0].Form.Get("i"), "the oldest is forgotten")
	assert.Equal(t, fmt.Sprint(10_000), requests[10_000-1].Form.Get("i"))

	// 16 MiB are 32 forms of 512 KiB, less what else is kept.
	for range 40 {
		send("i=" + strings.Repeat("x", 1<<19))
	}
	assert.Len(t, s.Requests(), 31)
	send("i=last")
	requests = s.Requests()
	assert.Equal(t, "last", requests[len(requests)-1].Form.Get("i"))
}

func TestRequestSize(t *testing.T) {
	assert.Equal(t, 0, Request{}.size())
	r := Request{Method: "GET", Path: "/a", Header: http.Header{"Ab": {"123", ""}}, Form: url.Values{"a": {"1"}}}
	assert.Equal(t, 3+2+(2+64+16+3+16)+(1+64+16+1), r.size())
}

// Rails reads parameters from the query and from these bodies, whatever the
// method. A handler finds them in r.Form, and can read the body itself.
func TestForms(t *testing.T) {
	s := NewServer()
	defer s.Close()
	var form url.Values
	var body string
	s.Handle("/a", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		read, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		form, body = r.Form, string(read)
	}))
	var parts bytes.Buffer
	writer := multipart.NewWriter(&parts)
	writer.WriteField("a", "part")
	writer.Close()
	long := "a=1&b=" + strings.Repeat("x", maxForm)
	for name, test := range map[string]struct {
		contentType, body string
		want              url.Values
	}{
		"form":          {"application/x-www-form-urlencoded; charset=utf-8", "a=form&a=2&c=%zz", url.Values{"a": {"form", "2", "query"}}},
		"multipart":     {writer.FormDataContentType(), parts.String(), url.Values{"a": {"query", "part"}}},
		"JSON":          {"application/json; charset=utf-8", `{"a":"json","n":12345678901234567890,"b":false,"null":null,"list":[1],"o":{}}`, url.Values{"a": {"json"}, "n": {"12345678901234567890"}, "b": {"false"}}},
		"JSON, a list":  {"application/json", `["a"]`, url.Values{"a": {"query"}}},
		"JSON, broken":  {"application/json", `{"a":`, url.Values{"a": {"query"}}},
		"another type":  {"text/plain", "a=1", url.Values{"a": {"query"}}},
		"a broken type": {";", "a=1", url.Values{"a": {"query"}}},
		"no type":       {"", "a=1", url.Values{"a": {"query"}}},
		"too long":      {"text/plain", long, url.Values{"a": {"query"}}},
		"nothing":       {"application/x-www-form-urlencoded", "", url.Values{"a": {"query"}}},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			t.Run(name+" "+method, func(t *testing.T) {
				request, err := http.NewRequest(method, s.URL+"/v2/a?a=query", strings.NewReader(test.body))
				require.NoError(t, err)
				request.Header.Set("Content-Type", test.contentType)
				resp, err := http.DefaultClient.Do(request)
				require.NoError(t, err)
				resp.Body.Close()
				assert.Equal(t, test.want, form)
				assert.Equal(t, test.body, body)
			})
		}
	}
}

// A request whose body breaks off is refused, and does nothing.
func TestBrokenBody(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Handle("/a", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") }))
	request := httptest.NewRequest(http.MethodPost, "/v2/a", iotest.ErrReader(io.ErrUnexpectedEOF))
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, request)
	assert.Equal(t, 400, answer.Code)
	assert.Equal(t, "gumroadtest: reading the body: unexpected EOF\n", answer.Body.String())
	assert.Empty(t, s.Requests())
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

// Close does not wait for a client that does not read its answer.
func TestCloseEndsAnAnswerThatNobodyReads(t *testing.T) {
	s := NewServer()
	writing := make(chan struct{})
	s.Handle("GET /much", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(writing)
		for {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<20)); err != nil {
				return
			}
		}
	}))
	client, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	defer client.Close()
	io.WriteString(client, "GET /v2/much HTTP/1.1\r\nHost: gumroad.com\r\n\r\n")
	<-writing
	closed := make(chan struct{})
	go func() {
		s.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("Close waits for the client")
	}
}

// Close ends the context of a request.
func TestCloseEndsAHandlerThatWaits(t *testing.T) {
	s := NewServer()
	waiting := make(chan struct{})
	s.Handle("GET /wait", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(waiting)
		<-r.Context().Done()
	}))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// There is no connection, which Close would end too.
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v2/wait", nil))
	}()
	<-waiting
	s.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the handler still waits")
	}
}
