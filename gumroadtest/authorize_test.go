package gumroadtest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDeny(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	session, _ := p.BeginAuth("a state")
	authURL, _ := session.GetAuthURL()
	back, err := s.Deny(authURL)
	require.NoError(t, err)
	assert.Equal(t, callbackURL+"?error=access_denied&error_description=The+resource+owner+or+authorization+server+denied+the+request.&state=a+state", back)
}

func TestAuthorizeRefuses(t *testing.T) {
	s := NewServer()
	defer s.Close()
	good := url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_profile"}}
	s.Provider(callbackURL)
	for name, test := range map[string]struct{ parameter, value, want string }{
		"unknown client":        {"client_id", "nobody", "invalid_client"},
		"no client":             {"client_id", "", "invalid_request: Missing required parameter: client_id."},
		"other redirect URI":    {"redirect_uri", callbackURL + "/", "invalid_redirect_uri"},
		"no redirect URI":       {"redirect_uri", "", "invalid_redirect_uri"},
		"no scope":              {"scope", " ", "invalid_scope"},
		"unknown scope":         {"scope", "view_profile everything", "invalid_scope"},
		"scopes with a comma":   {"scope", "view_profile,view_sales", "invalid_scope"},
		"response type":         {"response_type", "token", "unsupported_response_type"},
		"challenge, no method":  {"code_challenge", "abc", "invalid_code_challenge_method"},
		"not an address at all": {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			authURL := "%zz"
			if test.parameter != "" {
				form := url.Values{}
				for name, value := range good {
					form[name] = value
				}
				form.Set(test.parameter, test.value)
				authURL = s.URL + AuthorizePath + "?" + form.Encode()
			}
			for _, press := range []func(string) (string, error){s.Authorize, s.Deny} {
				back, err := press(authURL)
				require.ErrorContains(t, err, test.want)
				assert.Empty(t, back)
			}
		})
	}
}

func TestAuthorizeAddresses(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	query := "?" + url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_profile"}}.Encode()
	for _, page := range []string{
		s.URL + AuthorizePath, "https://gumroad.com/oauth/authorize", "https://app.gumroad.com/oauth/authorize", "HTTPS://Gumroad.COM/oauth/authorize",
	} {
		back, err := s.Authorize(page + query)
		require.NoError(t, err)
		assert.Contains(t, back, callbackURL+"?code=")
		back, err = s.Deny(page + query)
		require.NoError(t, err)
		assert.Contains(t, back, callbackURL+"?error=access_denied")
	}
	for _, page := range []string{
		s.URL, s.URL + TokenPath, s.URL + "/app" + AuthorizePath, strings.Replace(s.URL, "http:", "https:", 1) + AuthorizePath, "http://127.0.0.1" + AuthorizePath,
		"https://gumroad.com/login", "http://gumroad.com/oauth/authorize", "https://example.com/oauth/authorize", "https://api.gumroad.com/oauth/authorize",
		"https://gumroad.com.example/oauth/authorize", "/oauth/authorize", "/login",
	} {
		for _, press := range []func(string) (string, error){s.Authorize, s.Deny} {
			back, err := press(page + query)
			assert.Empty(t, back)
			require.ErrorContains(t, err, " is not the authorization page, which is one of https://gumroad.com/oauth/authorize, https://app.gumroad.com/oauth/authorize, "+s.URL+AuthorizePath, page)
			assert.NotContains(t, err.Error(), s.ClientID, "the query")
		}
	}
	for _, press := range []func(string) (string, error){s.Authorize, s.Deny} {
		_, err := press("")
		assert.EqualError(t, err, "gumroadtest: the URL of the authorization page is empty: the application did not redirect")
		_, err = press("%zz")
		assert.ErrorContains(t, err, "gumroadtest: reading the URL of the authorization page: ")
	}
	assert.Empty(t, s.Requests())
}

// The buttons send the browser back with an error, or answer with JSON.
func TestDecisionErrors(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	const withQuery = callbackURL + "?next=%2Fa"
	const badScope = "error=invalid_scope&error_description=The+requested+scope+is+invalid%2C+unknown%2C+or+malformed."
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for name, test := range map[string]struct {
		form     url.Values
		status   int
		location string
		body     string
	}{
		"scope":                   {url.Values{"scope": {"everything"}}, 302, callbackURL + "?" + badScope, ""},
		"scope, state":            {url.Values{"scope": {"everything"}, "state": {"a b"}}, 302, callbackURL + "?" + badScope + "&state=a+b", ""},
		"scope, query":            {url.Values{"scope": {"everything"}, "redirect_uri": {withQuery}}, 302, withQuery + "&" + badScope, ""},
		"response type":           {url.Values{"response_type": {"token"}}, 302, callbackURL + "#error=unsupported_response_type&error_description=The+authorization+server+does+not+support+this+response+type.", ""},
		"another response type":   {url.Values{"response_type": {"id"}}, 302, callbackURL + "?error=unsupported_response_type&error_description=The+authorization+server+does+not+support+this+response+type.", ""},
		"challenge method":        {url.Values{"code_challenge": {"a"}, "code_challenge_method": {"S512"}}, 302, callbackURL + "?error=invalid_code_challenge_method&error_description=The+code+challenge+method+must+be+plain+or+S256.", ""},
		"client":                  {url.Values{"client_id": {"another"}, "state": {"s"}}, 401, "", `{"error":"invalid_client","error_description":"Client authentication failed due to unknown client, no client authentication included, or unsupported authentication method.","state":"s"}`},
		"redirect URI":            {url.Values{"redirect_uri": {"/cb"}}, 400, "", `{"error":"invalid_redirect_uri","error_description":"The requested redirect uri is malformed or doesn't match client redirect URI."}`},
		"redirect URI, and scope": {url.Values{"redirect_uri": {"/cb"}, "scope": {"everything"}}, 400, "", `{"error":"invalid_redirect_uri","error_description":"The requested redirect uri is malformed or doesn't match client redirect URI."}`},
	} {
		for _, method := range []string{"", "delete", "DELETE"} {
			t.Run(name+" "+method, func(t *testing.T) {
				form := url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_profile"}, "_method": {method}}
				maps.Copy(form, test.form)
				resp, err := browser.PostForm(s.URL+AuthorizePath, form)
				require.NoError(t, err)
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				assert.Equal(t, test.status, resp.StatusCode)
				assert.Equal(t, test.location, resp.Header.Get("Location"))
				assert.Equal(t, "no-cache", resp.Header.Get("Cache-Control"))
				if test.body != "" {
					assert.JSONEq(t, test.body, string(body))
				} else {
					assert.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
				}
			})
		}
	}
}

// A confidential application gets the page again only for other scopes. Any other
// application always gets it.
func TestConsentIsRemembered(t *testing.T) {
	s := NewServer()
	defer s.Close()
	for _, confidential := range []bool{true, false} {
		s.SetApplication(Application{Name: "An app", Confidential: confidential})
		p := s.Provider(callbackURL, "view_profile", "view_sales")
		loggedIn(t, s, p)
		authURL := func(scope string) string {
			return s.URL + AuthorizePath + "?" + url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {scope}}.Encode()
		}
		browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		for scope, remembered := range map[string]bool{"view_sales view_profile": confidential, "view_sales": false} {
			resp, err := browser.Get(authURL(scope))
			require.NoError(t, err)
			resp.Body.Close()
			assert.Equal(t, remembered, resp.StatusCode == http.StatusFound, "confidential %v, %s", confidential, scope)
		}
	}
}

// Only what this user granted counts, as long as one of the tokens lives.
func TestConsentEnds(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.SetApplication(Application{Confidential: true})
	p := s.Provider(callbackURL)
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	asked := func() bool {
		resp, err := browser.Get(s.URL + AuthorizePath + "?" + url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_profile"}}.Encode())
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	assert.True(t, asked(), "nothing granted")
	first, second := loggedIn(t, s, p), loggedIn(t, s, p)
	assert.False(t, asked())
	resp, err := browser.Get(s.URL + AuthorizePath + "?" + url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_profile"}, "response_type": {"token"}}.Encode())
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 400, resp.StatusCode, "a bad request stays one")
	john := s.User()
	s.SetUser(User{ID: "42"})
	assert.True(t, asked(), "another user")
	s.SetUser(john)
	assert.False(t, asked())
	for range 2 {
		require.NoError(t, p.RevokeToken(t.Context(), first.AccessToken))
		assert.False(t, asked(), "the second token lives")
	}
	refreshed, err := p.RefreshToken(second.RefreshToken)
	require.NoError(t, err)
	assert.False(t, asked(), "the refreshed token lives")
	require.NoError(t, p.RevokeToken(t.Context(), refreshed.RefreshToken))
	assert.True(t, asked(), "all tokens are revoked")
}

func TestResponseMode(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	for mode, want := range map[string]string{"": callbackURL + "?code=", "query": callbackURL + "?code=", "fragment": callbackURL + "#code="} {
		back, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s, "response_mode="+mode))
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(back, want), back)
	}
	for _, mode := range []string{"wrong", "form_post", "Query", "query+"} {
		_, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s, "response_mode="+mode))
		assert.ErrorContains(t, err, "unsupported_response_mode: The authorization server does not support this response mode. (response_mode is ")
		_, location := sendForm(t, http.MethodPost, s.URL+AuthorizePath, pageQuery(s, "response_mode="+mode))
		assert.Contains(t, location, callbackURL+"?error=unsupported_response_mode")
	}
}

// An error says what is wrong with the request, so that nobody need guess.
func TestAuthorizeSaysWhy(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	for more, want := range map[string]string{
		"client_id=another":           `(client_id is "another", but the application's is "` + s.ClientID + `")`,
		"client_id=":                  "(client_id is missing)",
		"redirect_uri=https://a.b/c":  `("https://a.b/c" is not registered; registered are ["` + callbackURL + `"])`,
		"response_type=token":         `(response_type is "token", not "code")`,
		"scope=view_profile+edit_all": `(the scope "edit_all" is not allowed; allowed are ["view_profile" "edit_profile" `,
		"scope=":                      `(the scope "view_public" is not allowed; `,
		"code_challenge=a":            `(code_challenge_method is "")`,
		"response_mode=web_message":   `(response_mode is "web_message"; the test server has query and fragment)`,
	} {
		_, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s, more))
		assert.ErrorContains(t, err, want)
		get(t, s.URL+AuthorizePath+"?"+pageQuery(s, more))
		assert.Contains(t, "("+lastRequest(s).Reason+")", want, "the page")
		sendForm(t, http.MethodPost, s.URL+AuthorizePath, pageQuery(s, more))
		assert.Contains(t, "("+lastRequest(s).Reason+")", want, "the button")
	}
}

// Many tests may share a server, each with a user of its own.
func TestAuthorizeAsInParallel(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	john := s.User()
	var logins sync.WaitGroup
	for i := range 20 {
		logins.Add(1)
		go func() {
			defer logins.Done()
			session, _ := p.BeginAuth("a state")
			authURL, _ := session.GetAuthURL()
			want := User{ID: fmt.Sprint(1000 + i), Name: fmt.Sprintf("User %d", i), Products: []string{"knots"}}
			back, err := s.AuthorizeAs(want, authURL)
			want.Products[0] = "changed"
			if !assert.NoError(t, err) {
				return
			}
			address, _ := url.Parse(back)
			_, err = session.Authorize(p, address.Query())
			assert.NoError(t, err)
			user, err := p.FetchUser(session)
			assert.NoError(t, err)
			assert.Equal(t, want.ID+want.Name, user.UserID+user.Name)
		}()
	}
	logins.Wait()
	assert.Equal(t, john, s.User(), "who is logged in")
	_, err := s.AuthorizeAs(User{ID: john.ID, Name: "Mallory"}, "https://gumroad.com/login")
	assert.ErrorContains(t, err, "is not the authorization page")
	assert.Equal(t, john, s.User(), "a failed request changes nobody")
}

// A whole login is one request of a client that follows redirects.
func TestAutoAnswer(t *testing.T) {
	s := NewServer()
	defer s.Close()
	app, callbacks := newTestApp(t)
	s.SetApplication(Application{RedirectURIs: []string{app + "/callback"}})
	login := "https://gumroad.com/oauth/authorize?" + pageQuery(s, "redirect_uri="+url.QueryEscape(app+"/callback"), "state=a+state")
	visit := func() int {
		resp, err := s.Client().Get(login)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	assert.Equal(t, 200, visit())
	assert.Empty(t, callbacks, "the page waits for the user")

	s.AutoAnswer(true)
	assert.Equal(t, 204, visit())
	query := <-callbacks
	assert.Regexp(t, randomValue, query.Get("code"))
	assert.Equal(t, "a state", query.Get("state"))

	s.AutoAnswer(false)
	assert.Equal(t, 204, visit())
	query = <-callbacks
	assert.Equal(t, "access_denied", query.Get("error"))
	assert.Equal(t, "a state", query.Get("state"))

	login += "&scope=everything"
	assert.Equal(t, 400, visit(), "a bad request stays one")
	assert.Empty(t, callbacks)
}

// newTestApp starts an application that hands out the queries of its callbacks.
func newTestApp(t *testing.T) (address string, callbacks chan url.Values) {
	callbacks = make(chan url.Values, 2)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		callbacks <- r.URL.Query()
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(app.Close)
	return app.URL, callbacks
}
