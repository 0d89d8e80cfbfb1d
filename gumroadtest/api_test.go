package gumroadtest

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// call sends a request and returns the answer and its body.
func call(t *testing.T, method, address, token string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, address, nil)
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// tokenFor returns an access token with these scopes.
func tokenFor(t *testing.T, s *Server, scopes ...string) string {
	t.Helper()
	return loggedIn(t, s, s.Provider(callbackURL, scopes...)).AccessToken
}

func TestHandle(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Handle("GET /products/{id}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, found := TokenUser(r)
		fmt.Fprintf(w, "%s %s %s %v", r.URL.Path, r.PathValue("id"), user.ID, found)
	}), "view_profile", "view_sales")
	token := tokenFor(t, s, "view_sales")
	john := s.User().ID
	s.SetUser(User{ID: "42"}) // the token is still John's

	for _, path := range []string{"/v2/products/7", "/api/v2/products/7"} {
		resp, body := call(t, http.MethodGet, s.URL+path, token)
		assert.Equal(t, 200, resp.StatusCode)
		assert.Equal(t, "/v2/products/7 7 "+john+" true", body)
	}
	_, body := call(t, http.MethodGet, s.URL+"/api/v2/products/a%2Fb", token)
	assert.Equal(t, "/v2/products/a/b a/b "+john+" true", body)
	resp, body := call(t, http.MethodHead, s.URL+"/v2/products/7", token)
	assert.Equal(t, 200, resp.StatusCode, "HEAD")
	assert.Empty(t, body)
	for _, request := range []string{"POST /v2/products/7", "GET /v2/products", "GET /products/7", "GET /v1/products/7", "PUT /v2/user"} {
		method, path, _ := strings.Cut(request, " ")
		resp, body := call(t, method, s.URL+path, token)
		assert.Equal(t, 404, resp.StatusCode, request)
		assert.Equal(t, "gumroadtest: there is no endpoint "+request+"; if Gumroad's API has it, call Handle for it\n", body)
		assert.Equal(t, strings.TrimSpace(strings.TrimPrefix(body, "gumroadtest: ")), lastRequest(s).Reason)
		assert.Equal(t, lastRequest(s).Reason, resp.Header.Get("Gumroadtest-Reason"))
	}
	for i, path := range []string{"/v2/products/7", "/v2/products/7", "/v2/products/a/b"} {
		assert.Equal(t, path, s.Requests()[i+1].Path, "/api/v2 is /v2")
	}
}

func TestHandleChecksTheToken(t *testing.T) {
	s := NewServer()
	defer s.Close()
	var called bool
	s.Handle("/sales", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { called = true }), "view_sales", "edit_sales")
	good, account, other := tokenFor(t, s, "view_profile", "edit_sales"), tokenFor(t, s, "account"), tokenFor(t, s, "view_profile")
	p := s.Provider(callbackURL, "view_sales")
	revoked := loggedIn(t, s, p)
	require.NoError(t, p.RevokeToken(t.Context(), revoked.AccessToken))
	refresh := loggedIn(t, s, p).RefreshToken

	const challenge = `Bearer realm="Doorkeeper", error="invalid_token", error_description="The access token `
	for name, test := range map[string]struct {
		token     string
		status    int
		challenge string
	}{
		"one of the scopes": {good, 200, ""},
		"account":           {account, 200, ""},
		"another scope":     {other, 403, ""},
		"no token":          {"", 401, challenge + `is invalid"`},
		"unknown token":     {"bogus", 401, challenge + `is invalid"`},
		"revoked token":     {revoked.AccessToken, 401, challenge + `was revoked"`},
		"refresh token":     {refresh, 401, challenge + `is invalid"`},
		"revoked refresh":   {revoked.RefreshToken, 401, challenge + `is invalid"`},
	} {
		t.Run(name, func(t *testing.T) {
			form := strings.NewReader(url.Values{"access_token": {test.token}}.Encode())
			inForm := httptest.NewRequest(http.MethodPut, "/v2/sales", form)
			inForm.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			inHeader := httptest.NewRequest(http.MethodGet, "/v2/sales", nil)
			inHeader.Header.Set("Authorization", "bearer "+test.token)
			headerFirst := httptest.NewRequest(http.MethodGet, "/v2/sales?access_token="+good, nil)
			headerFirst.Header.Set("Authorization", "Bearer "+cmp.Or(test.token, "-"))
			besideBasic := httptest.NewRequest(http.MethodGet, "/v2/sales?access_token="+test.token, nil)
			besideBasic.SetBasicAuth("a", "b")
			for where, request := range map[string]*http.Request{
				"header":       inHeader,
				"header first": headerFirst,
				"form":         inForm,
				"query":        httptest.NewRequest(http.MethodGet, "/v2/sales?access_token="+test.token, nil),
				"bearer_token": httptest.NewRequest(http.MethodGet, "/api/v2/sales?bearer_token="+test.token, nil),
				"beside Basic": besideBasic,
			} {
				called = false
				answer := httptest.NewRecorder()
				s.ServeHTTP(answer, request)
				assert.Equal(t, test.status, answer.Code, where)
				assert.Empty(t, answer.Body.String(), where)
				assert.Equal(t, test.challenge, answer.Header().Get("WWW-Authenticate"), where)
				assert.Equal(t, test.status == 200, called, where)
				if test.status != 200 {
					assert.Equal(t, "text/html", answer.Header().Get("Content-Type"), where)
					assert.Equal(t, "no-store", answer.Header().Get("Cache-Control"), where)
				}
			}
		})
	}
}

// With NoToken, an endpoint needs no token. It may still get one.
func TestHandleNoToken(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Handle("POST /licenses/verify", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, found := TokenUser(r)
		fmt.Fprint(w, r.FormValue("license_key"), " ", user.Name, found)
	}), NoToken)
	for token, want := range map[string]string{"": "key false", "bogus": "key false", tokenFor(t, s, "edit_emails"): "key John Smithtrue"} {
		_, body := call(t, http.MethodPost, s.URL+"/v2/licenses/verify?license_key=key", token)
		assert.Equal(t, want, body)
	}
}

func TestTokenUserIsACopy(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Handle("GET /products", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := TokenUser(r)
		user.Products[0] = "changed"
		user, _ = TokenUser(r)
		io.WriteString(w, user.Products[0])
	}), "view_profile")
	_, body := call(t, http.MethodGet, s.URL+"/v2/products", tokenFor(t, s))
	assert.Equal(t, "knots", body)
	assert.Equal(t, "knots", s.User().Products[0])

	user, found := TokenUser(httptest.NewRequest(http.MethodGet, "/", nil))
	assert.Zero(t, user)
	assert.False(t, found)
}

func TestHandleCopiesItsScopes(t *testing.T) {
	s := NewServer()
	defer s.Close()
	scopes := []string{"view_sales"}
	s.Handle("GET /sales", http.NotFoundHandler(), scopes...)
	scopes[0] = "view_profile"
	resp, _ := call(t, http.MethodGet, s.URL+"/v2/sales", tokenFor(t, s, "view_profile"))
	assert.Equal(t, 403, resp.StatusCode)
}

func TestHandlePanics(t *testing.T) {
	s := NewServer()
	defer s.Close()
	handler := http.NotFoundHandler()
	s.Handle("GET /products", handler)
	for _, pattern := range []string{"", "GET", "GET /v2/products", "/api/v2/products", "GET api.gumroad.com/user", "products"} {
		assert.PanicsWithValue(t, fmt.Sprintf("gumroadtest: Handle: the pattern %q must have a path, without a host and without /v2 at its beginning", pattern),
			func() { s.Handle(pattern, handler) })
	}
	assert.PanicsWithValue(t, "gumroadtest: Handle: the handler is nil", func() { s.Handle("GET /nil", nil) })
	for _, pattern := range []string{"GET /products", "GET /user", "GET /{", "G(T /a"} {
		assert.Panics(t, func() { s.Handle(pattern, handler) }, pattern)
	}
	assert.NotPanics(t, func() { s.Handle("PUT /user", handler) })
	assert.NotPanics(t, func() { s.Handle("/", handler) })
	assert.NotPanics(t, func() { s.Handle("DELETE \t/user", handler) })
}

// Endpoints are added while others are called.
func TestHandleConcurrently(t *testing.T) {
	s := NewServer()
	defer s.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 50 {
			path := fmt.Sprintf("/a/%d", i)
			s.Handle("GET "+path, http.NotFoundHandler())
			s.Fail("/v2"+path, Fault{Status: 503})
		}
	}()
	for range 50 {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v2/a/1", nil))
	}
	<-done
}

// A test that forgets the scopes does not open the endpoint.
func TestHandleNeedsAToken(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Handle("GET /products", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	p := s.Provider(callbackURL, "edit_emails")
	session := loggedIn(t, s, p)
	for _, test := range []struct {
		token string
		want  int
	}{{"", 401}, {"guessed", 401}, {session.AccessToken, 200}} {
		resp, _ := call(t, http.MethodGet, s.URL+"/v2/products", test.token)
		assert.Equal(t, test.want, resp.StatusCode)
	}
	require.NoError(t, p.RevokeToken(t.Context(), session.AccessToken))
	resp, _ := call(t, http.MethodGet, s.URL+"/v2/products", session.AccessToken)
	assert.Equal(t, 401, resp.StatusCode)
	assert.Equal(t, "the access token was revoked", lastRequest(s).Reason)
}

// A missing scope is a 403 with an empty body, or with JSON where the scope account is not enough.
func TestHandleMissingScope(t *testing.T) {
	s := NewServer()
	defer s.Close()
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, path := range []string{"/media", "/media/{id}", "/pages", "/pages/{slug}", "/user/profile_layout", "/mediathek", "/sales"} {
		s.Handle("GET "+path, nothing, "view_profile", "edit_profile")
	}
	account, sales, good := tokenFor(t, s, "account"), tokenFor(t, s, "view_sales"), tokenFor(t, s, "edit_profile")
	for path, strict := range map[string]bool{
		"/media": true, "/media/1": true, "/pages": true, "/pages/a": true, "/user/profile_layout": true, "/mediathek": false, "/sales": false,
	} {
		resp, body := call(t, http.MethodGet, s.URL+"/v2"+path, sales)
		assert.Equal(t, 403, resp.StatusCode, path)
		assert.Empty(t, body, path)
		assert.Equal(t, `the token has the scopes ["view_sales"], and the endpoint needs one of ["view_profile" "edit_profile"]`, lastRequest(s).Reason)
		resp, body = call(t, http.MethodGet, s.URL+"/api/v2"+path, account)
		if strict {
			assert.Equal(t, 403, resp.StatusCode, path)
			assert.JSONEq(t, `{"success":false,"message":"This endpoint requires the view_profile scope."}`, body)
			assert.Equal(t, "application/json; charset=utf-8", resp.Header.Get("Content-Type"))
		} else {
			assert.Equal(t, 200, resp.StatusCode, path)
		}
		resp, _ = call(t, http.MethodGet, s.URL+"/v2"+path, good)
		assert.Equal(t, 200, resp.StatusCode, path)
	}
	call(t, http.MethodGet, s.URL+UserPath, good)
	assert.Contains(t, lastRequest(s).Reason, `the token has the scopes ["edit_profile"], and the endpoint needs one of ["view_profile" `)
}
