package gumroadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	gumroad "github.com/gumroad/goth-gumroad"
)

const callbackURL = "https://app.example/auth/gumroad/callback"

// authorized logs the user in at s and returns what comes back to the callback.
func authorized(t *testing.T, s *Server, p *gumroad.Provider) (*gumroad.Session, url.Values) {
	t.Helper()
	session, err := p.BeginAuth("a state")
	require.NoError(t, err)
	authURL, err := session.GetAuthURL()
	require.NoError(t, err)
	back, err := s.Authorize(authURL)
	require.NoError(t, err)
	address, err := url.Parse(back)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(back, callbackURL+"?"), back)
	require.Equal(t, "a state", address.Query().Get("state"))
	return session.(*gumroad.Session), address.Query()
}

// loggedIn completes a login.
func loggedIn(t *testing.T, s *Server, p *gumroad.Provider) *gumroad.Session {
	t.Helper()
	session, params := authorized(t, s, p)
	_, err := session.Authorize(p, params)
	require.NoError(t, err)
	return session
}

// post sends a form and returns the status and the JSON of the answer.
func post(t *testing.T, address string, form url.Values) (int, map[string]any) {
	t.Helper()
	resp, err := http.PostForm(address, form)
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer map[string]any
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	return resp.StatusCode, answer
}

// Every page and endpoint that answers GET answers HEAD, without a body.
func TestHead(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	query := "?" + url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_profile"}, "access_token": {tokenFor(t, s, "view_sales")}}.Encode()
	for _, path := range []string{AuthorizePath, UserPath, "/api/v2/user", "/nowhere", TokenPath} {
		want, _ := call(t, http.MethodGet, s.URL+path+query, "")
		got, body := call(t, http.MethodHead, s.URL+path+query, "")
		assert.Equal(t, want.StatusCode, got.StatusCode, path)
		assert.Equal(t, want.Header.Get("Content-Type"), got.Header.Get("Content-Type"), path)
		if want.ContentLength > 0 && want.StatusCode != http.StatusNotFound { // the text names the method
			assert.Equal(t, want.ContentLength, got.ContentLength, path)
		}
		assert.Empty(t, body)
	}
}

// A program can serve the server below a path of its own.
func TestMounted(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.SetApplication(Application{RedirectURIs: []string{callbackURL}})
	mux := http.NewServeMux()
	mux.Handle("/gumroad/", http.StripPrefix("/gumroad", s))
	program := httptest.NewServer(mux)
	defer program.Close()

	p := gumroad.NewCustomisedURL(s.ClientID, s.ClientSecret, callbackURL,
		program.URL+"/gumroad/oauth/authorize", program.URL+"/gumroad/oauth/token", program.URL+"/gumroad/v2/user")
	session, err := p.BeginAuth("a state")
	require.NoError(t, err)
	authURL, err := session.GetAuthURL()
	require.NoError(t, err)
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	pressed, err := browser.Post(authURL, "", nil)
	require.NoError(t, err)
	pressed.Body.Close()
	back, err := pressed.Location()
	require.NoError(t, err)
	_, err = session.Authorize(p, back.Query())
	require.NoError(t, err)
	_, err = p.FetchUser(session)
	require.NoError(t, err)
	require.NoError(t, p.RevokeToken(context.Background(), session.(*gumroad.Session).AccessToken))
}

func revokeFailed(t *testing.T, s *Server) (retryAfter string) {
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, RevokePath, nil))
	assert.Equal(t, 500, answer.Code)
	return answer.Header().Get("Retry-After")
}

// Users log in while the user and the application change.
func TestConcurrentUse(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Add(2)
		go func() {
			defer wait.Done()
			user := User{ID: fmt.Sprint(i), Products: []string{"knots"}}
			s.SetUser(user)
			user.Products[0] = "changed"
			s.User().Products[0] = "changed"
			app := Application{RedirectURIs: []string{callbackURL}, Scopes: []string{"view_profile"}, Confidential: i%2 == 0}
			s.SetApplication(app)
			app.RedirectURIs[0], app.Scopes[0] = "changed", "changed"
			fault := Fault{Status: 500, Header: http.Header{"Retry-After": {"1"}}}
			s.Fail(RevokePath, fault)
			fault.Header["Retry-After"][0] = "changed"
			assert.Equal(t, "1", revokeFailed(t, s), "what the caller changed is its own")
		}()
		go func() {
			defer wait.Done()
			session, _ := p.BeginAuth("a state")
			authURL, _ := session.GetAuthURL()
			back, err := s.Authorize(authURL)
			if !assert.NoError(t, err) {
				return
			}
			address, _ := url.Parse(back)
			_, err = session.Authorize(p, address.Query())
			assert.NoError(t, err)
			user, err := p.FetchUser(session)
			assert.NoError(t, err)
			assert.NotEmpty(t, user.UserID)
			s.Requests()
		}()
	}
	wait.Wait()
}

// lastRequest returns the newest request.
func lastRequest(s *Server) Request {
	requests := s.Requests()
	return requests[len(requests)-1]
}

// A Server that NewServer did not make says so, in each of its methods.
func TestZeroServer(t *testing.T) {
	var s Server
	for name, method := range map[string]func(){
		"Advance": func() { s.Advance(1) }, "Application": func() { s.Application() }, "Authorize": func() { s.Authorize("https://gumroad.com/oauth/authorize") },
		"AuthorizeAs": func() { s.AuthorizeAs(User{}, "") }, "AutoAnswer": func() { s.AutoAnswer(true) }, "Client": func() { s.Client() }, "Close": s.Close,
		"Deny": func() { s.Deny("") }, "Fail": func() { s.Fail(TokenPath) }, "Handle": func() { s.Handle("GET /a", http.NotFoundHandler()) },
		"Provider": func() { s.Provider(callbackURL) }, "Requests": func() { s.Requests() }, "SetApplication": func() { s.SetApplication(Application{}) },
		"SetUser": func() { s.SetUser(User{}) }, "UnusedFaults": func() { s.UnusedFaults() }, "User": func() { s.User() },
		"ServeHTTP": func() { s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)) },
	} {
		assert.PanicsWithValue(t, "gumroadtest: this Server was not made by NewServer", method, name)
	}
}
