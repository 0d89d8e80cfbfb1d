package gumroadtest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	gumroad "github.com/gumroad/goth-gumroad"
)

func TestClientReachesOnlyGumroad(t *testing.T) {
	s := NewServer()
	defer s.Close()
	var host string
	s.Handle("GET /host", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { host = r.Host }), NoToken)
	client := s.Client()
	for address, wantHost := range map[string]string{
		"https://gumroad.com":           "gumroad.com",
		"https://api.gumroad.com":       "api.gumroad.com",
		"https://app.gumroad.com":       "app.gumroad.com",
		"http://api.gumroad.com":        "api.gumroad.com",
		"HTTPS://API.Gumroad.com:443":   "API.Gumroad.com:443",
		"http://gumroad.com:8080":       "gumroad.com:8080",
		"https://api.gumroad.com.:8443": "api.gumroad.com.:8443",
		s.URL:                           strings.TrimPrefix(s.URL, "http://"),
	} {
		resp, err := client.Get(address + "/v2/host")
		require.NoError(t, err, address)
		resp.Body.Close()
		assert.Equal(t, 200, resp.StatusCode, address)
		assert.Equal(t, wantHost, host)
		assert.True(t, strings.EqualFold(address+"/v2/host", resp.Request.URL.String()), resp.Request.URL)
	}
	for _, address := range []string{
		"https://example.com", "https://www.gumroad.com", "https://notgumroad.com", "https://gumroad.com.example", "https://sailorjohn.gumroad.com",
		"http://192.0.2.1", "http://localhost.example",
	} {
		_, err := client.Get(address + "/v2/host")
		require.Error(t, err, address)
		unreached, err := url.Parse(address)
		require.NoError(t, err)
		assert.ErrorContains(t, err2(client.Get(address)), "gumroadtest: the test tried to reach "+unreached.Host+", but this client reaches only gumroad.com, api.gumroad.com, app.gumroad.com and the loopback interface")
	}
}

func err2(_ *http.Response, err error) error { return err }

// body notes that it was closed, as a transport must close it.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error {
	b.closed = true
	return nil
}

func TestClientKeepsTheRulesOfATransport(t *testing.T) {
	s := NewServer()
	transport := s.Client().Transport
	for _, address := range []string{"https://example.com", "https://api.gumroad.com/oauth/token"} {
		sent := &body{Reader: strings.NewReader("a=1")}
		request, err := http.NewRequest(http.MethodPost, address, sent)
		require.NoError(t, err)
		request.Host = "a.host.of.its.own"
		resp, err := transport.RoundTrip(request)
		if err == nil {
			assert.Same(t, request, resp.Request)
			resp.Body.Close()
		}
		assert.True(t, sent.closed, address)
		assert.Equal(t, address, request.URL.String(), "the request is left as it was")
	}
	s.Close()
	_, err := s.Client().Get("https://api.gumroad.com/v2/user")
	var failed *url.Error
	require.True(t, errors.As(err, &failed))
	assert.Equal(t, "https://api.gumroad.com/v2/user", failed.URL)
}

func TestClientHost(t *testing.T) {
	s := NewServer()
	defer s.Close()
	var host string
	s.Handle("GET /host", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { host = r.Host }), NoToken)
	for given, want := range map[string]string{"": "api.gumroad.com", "another.example": "another.example"} {
		request, err := http.NewRequest(http.MethodGet, "https://api.gumroad.com/v2/host", nil)
		require.NoError(t, err)
		request.Host = given
		resp, err := s.Client().Transport.RoundTrip(request)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, want, host)
	}
}

func TestClientClosesIdleConnections(t *testing.T) {
	s := NewServer()
	defer s.Close()
	client := s.Client()
	var reused bool
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
	visit := func() {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.gumroad.com/", nil)
		require.NoError(t, err)
		resp, err := client.Do(request)
		require.NoError(t, err)
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	visit()
	visit()
	require.True(t, reused)
	client.CloseIdleConnections()
	visit()
	assert.False(t, reused)
}

// A program's own provider logs in, refreshes and revokes, and is not changed.
func TestClientForAnUnchangedProvider(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.SetApplication(Application{RedirectURIs: []string{callbackURL}})
	s.ClientID, s.ClientSecret = "the program's key", "the program's secret"
	p := gumroad.New("the program's key", "the program's secret", callbackURL)
	p.HTTPClient = s.Client()
	session := loggedIn(t, s, p)
	_, err := p.FetchUser(session)
	require.NoError(t, err)
	token, err := p.RefreshToken(session.RefreshToken)
	require.NoError(t, err)
	require.NoError(t, p.RevokeToken(t.Context(), token.AccessToken))
	var paths []string
	for _, request := range s.Requests() {
		paths = append(paths, request.Path)
	}
	assert.Equal(t, []string{TokenPath, UserPath, TokenPath, RevokePath}, paths)
}

func TestClientAsTheDefaultTransport(t *testing.T) {
	s := NewServer()
	defer s.Close()
	before := http.DefaultTransport
	http.DefaultTransport = s.Client().Transport
	defer func() { http.DefaultTransport = before }()
	s.SetApplication(Application{RedirectURIs: []string{callbackURL}})
	p := gumroad.New(s.ClientID, s.ClientSecret, callbackURL)
	_, err := p.FetchUser(loggedIn(t, s, p))
	require.NoError(t, err)
	_, err = http.Get("https://example.com")
	assert.ErrorContains(t, err, "tried to reach example.com")
	copied := http.DefaultTransport.(*http.Transport).Clone() // as many programs do
	resp, err := (&http.Client{Transport: copied}).Get("https://api.gumroad.com/v2/user")
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 401, resp.StatusCode)
	copied.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
}

// The rest of a program whose default transport is replaced still reaches what it
// needs on the loopback interface, whatever its certificate.
func TestClientLeavesLoopbackAlone(t *testing.T) {
	s := NewServer()
	defer s.Close()
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) })
	plain, secure := httptest.NewServer(hello), httptest.NewTLSServer(hello)
	defer plain.Close()
	defer secure.Close()
	for _, address := range []string{plain.URL, secure.URL, strings.Replace(plain.URL, "127.0.0.1", "localhost", 1), strings.Replace(plain.URL, "127.0.0.1", "LOCALHOST", 1)} {
		resp, err := s.Client().Get(address)
		require.NoError(t, err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		assert.Equal(t, address[strings.Index(address, "//")+2:], string(body))
	}
	assert.Empty(t, s.Requests())
}

// The client stands for a browser, each for another one.
func TestClientKeepsCookies(t *testing.T) {
	s := NewServer()
	defer s.Close()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		fmt.Fprint(w, len(r.Cookies()))
	}))
	defer app.Close()
	first, second := s.Client(), s.Client()
	for _, visit := range []struct {
		browser *http.Client
		want    string
	}{{first, "0"}, {first, "1"}, {second, "0"}} {
		resp, err := visit.browser.Get(app.URL)
		require.NoError(t, err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		assert.Equal(t, visit.want, string(body))
	}
}
