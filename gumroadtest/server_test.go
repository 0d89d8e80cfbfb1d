package gumroadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

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

func TestUserByScope(t *testing.T) {
	s := NewServer()
	defer s.Close()
	app := s.Application()
	app.Scopes = append(app.Scopes, "view_public", "refund_sales")
	s.SetApplication(app)
	for scope, want := range map[string][3]string{ // email, picture in profile_url, display_name
		gumroad.ScopeViewProfile:  {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", "John Smith"},
		gumroad.ScopeEditProducts: {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", ""},
		gumroad.ScopeViewSales:    {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", ""},
		"revenue_share":           {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", ""},
		"ifttt":                   {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", ""},
		gumroad.ScopeAccount:      {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", "John Smith"},
		gumroad.ScopeViewPayouts:  {},
		"view_public":             {},
	} {
		p := s.Provider(callbackURL, scope)
		user, err := p.FetchUser(loggedIn(t, s, p))
		require.NoError(t, err, scope)
		assert.Equal(t, s.User().ID, user.UserID, scope)
		assert.Equal(t, "https://public-files.gumroad.com/john.png", user.AvatarURL, scope)
		fields := user.RawData["user"].(map[string]any)
		for i, field := range []string{"email", "profile_url", "display_name"} {
			text, _ := fields[field].(string)
			assert.Equal(t, want[i], text, "%s with %s", field, scope)
		}
	}
	for _, scope := range []string{gumroad.ScopeEditProfile, gumroad.ScopeEditEmails, "refund_sales"} {
		p := s.Provider(callbackURL, scope)
		_, err := p.FetchUser(loggedIn(t, s, p))
		var refused *gumroad.Error
		require.ErrorAs(t, err, &refused, scope)
		assert.Equal(t, http.StatusForbidden, refused.StatusCode, scope)
	}
}

// userAnswer returns what /v2/user answers to a token with these scopes.
func userAnswer(t *testing.T, s *Server, scopes ...string) map[string]any {
	t.Helper()
	resp, body := call(t, http.MethodGet, s.URL+UserPath, tokenFor(t, s, scopes...))
	require.Equal(t, 200, resp.StatusCode)
	assert.Equal(t, "max-age=0, private, must-revalidate", resp.Header.Get("Cache-Control"))
	var answer struct {
		Success bool
		User    map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	assert.True(t, answer.Success)
	return answer.User
}

func TestUsersAreCopied(t *testing.T) {
	s := NewServer()
	defer s.Close()
	products := []string{"knots"}
	s.SetUser(User{ID: "42", Products: products})
	products[0] = "changed"
	s.User().Products[0] = "changed"
	assert.Equal(t, "knots", s.User().Products[0])
}

func TestUsersOneAfterTheOther(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	john := loggedIn(t, s, p)
	s.SetUser(User{ID: "42", Name: "Jane Doe"})
	jane := loggedIn(t, s, p)

	for session, name := range map[*gumroad.Session]string{john: "John Smith", jane: "Jane Doe"} {
		user, err := p.FetchUser(session)
		require.NoError(t, err)
		assert.Equal(t, name, user.Name)
	}
	s.SetUser(User{ID: "42", Name: "Jane Smith"})
	user, err := p.FetchUser(jane)
	require.NoError(t, err)
	assert.Equal(t, "Jane Smith", user.Name, "a profile that changed")
}

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
					assert.Equal(t, `<html><body>You are being <a href="`+html.EscapeString(test.location)+`">redirected</a>.</body></html>`, string(body))
				}
			})
		}
	}
}

// Only a form can name another method.
func TestMethodInAQuery(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	query := url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_profile"}, "_method": {"delete"}}.Encode()
	answer := get(t, s.URL+AuthorizePath+"?"+query)
	assert.Equal(t, 200, answer.status)
	assert.Contains(t, answer.body, ">Authorize</button>")
}

// These cases are known of Doorkeeper, but not in the recordings.
func TestToken(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	code := func(challenge ...string) url.Values {
		authURL := url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_sales  edit_products view_sales"}}
		if len(challenge) > 0 {
			authURL.Set("code_challenge", challenge[0])
			authURL.Set("code_challenge_method", "plain")
		}
		back, err := s.Authorize(s.URL + AuthorizePath + "?" + authURL.Encode())
		require.NoError(t, err)
		address, _ := url.Parse(back)
		return url.Values{"code": address.Query()["code"], "redirect_uri": {callbackURL}}
	}
	send := func(form url.Values, change func(*http.Request)) (int, map[string]any) {
		req, _ := http.NewRequest(http.MethodPost, s.URL+TokenPath, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(req)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		var answer map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		return resp.StatusCode, answer
	}
	basic := func(secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(s.ClientID, secret) }
	}

	status, answer := send(code(), basic(s.ClientSecret))
	assert.Equal(t, 200, status, "Basic")
	assert.Equal(t, "view_sales edit_products", answer["scope"], "each scope once")
	assert.NotContains(t, answer, "expires_in")

	wrongBasic := code()
	wrongBasic.Set("client_id", s.ClientID)
	wrongBasic.Set("client_secret", s.ClientSecret)
	status, answer = send(wrongBasic, basic("wrong"))
	assert.Equal(t, 401, status, "Basic wins")
	assert.Equal(t, "invalid_client", answer["error"])

	inJSON := code()
	status, _ = send(nil, func(r *http.Request) {
		body, _ := json.Marshal(map[string]string{"code": inJSON.Get("code"), "redirect_uri": callbackURL, "client_id": s.ClientID, "client_secret": s.ClientSecret})
		r.Header.Set("Content-Type", "application/json")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
	})
	assert.Equal(t, 200, status, "JSON")

	plain := code("the challenge")
	plain.Set("code_verifier", "another")
	status, _ = send(plain, basic(s.ClientSecret))
	assert.Equal(t, 400, status, "plain, wrong verifier")
	plain.Set("code_verifier", "the challenge")
	status, _ = send(plain, basic(s.ClientSecret))
	assert.Equal(t, 200, status, "plain, right verifier")

	noRedirect := code()
	noRedirect.Del("redirect_uri")
	_, answer = send(noRedirect, basic(s.ClientSecret))
	assert.Equal(t, "Missing required parameter: redirect_uri.", answer["error_description"])

	_, answer = send(url.Values{"grant_type": {"refresh_token"}}, basic(s.ClientSecret))
	assert.Equal(t, "Missing required parameter: refresh_token.", answer["error_description"])

	resp, err := http.Get(s.URL + TokenPath)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 404, resp.StatusCode, "GET")
}

func TestTokenChecksTheClient(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	for _, confidential := range []bool{true, false} {
		s.SetApplication(Application{Confidential: confidential})
		for _, test := range []struct {
			id, secret string
			good       bool
		}{
			{s.ClientID, s.ClientSecret, true},
			{s.ClientID, "", !confidential},
			{s.ClientID, "wrong", false},
			{"another", s.ClientSecret, false},
			{"another", "", false},
			{"", s.ClientSecret, false},
			{"", "", false},
		} {
			back, err := s.Authorize(s.URL + AuthorizePath + "?" + url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_sales"}}.Encode())
			require.NoError(t, err)
			address, err := url.Parse(back)
			require.NoError(t, err)
			status, answer := post(t, s.URL+TokenPath, url.Values{"code": address.Query()["code"], "redirect_uri": {callbackURL}, "client_id": {test.id}, "client_secret": {test.secret}})
			assert.Equal(t, test.good, status == 200, test)
			assert.Equal(t, !test.good, answer["error"] == "invalid_client", test)

			session := loggedIn(t, s, p)
			status, _ = post(t, s.URL+RevokePath, url.Values{"token": {session.AccessToken}, "client_id": {test.id}, "client_secret": {test.secret}})
			_, err = p.FetchUser(session)
			assert.Equal(t, test.good, status == 200, test)
			assert.Equal(t, test.good, err != nil, test)
		}
	}
}

// A method without a challenge is no challenge.
func TestChallengeMethodAlone(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	back, err := s.Authorize(s.URL + AuthorizePath + "?" + url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_sales"}, "code_challenge_method": {"S256"}}.Encode())
	require.NoError(t, err)
	address, err := url.Parse(back)
	require.NoError(t, err)
	form := url.Values{"code": address.Query()["code"], "redirect_uri": {callbackURL}, "client_id": {s.ClientID}, "client_secret": {s.ClientSecret}}
	form.Set("code_verifier", "a verifier")
	status, _ := post(t, s.URL+TokenPath, form)
	assert.Equal(t, 400, status)
	form.Del("code_verifier")
	status, _ = post(t, s.URL+TokenPath, form)
	assert.Equal(t, 200, status)
}

func TestRefreshWithoutClient(t *testing.T) {
	s := NewServer()
	defer s.Close()
	session := loggedIn(t, s, s.Provider(callbackURL))
	for name, test := range map[string]struct {
		token, clientID, secret, want string
	}{
		"no client":       {session.RefreshToken, "", "", "invalid_grant"},
		"wrong secret":    {session.RefreshToken, s.ClientID, "wrong", "invalid_client"},
		"an access token": {session.AccessToken, s.ClientID, s.ClientSecret, "invalid_grant"},
	} {
		_, answer := post(t, s.URL+TokenPath, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {test.token},
			"client_id": {test.clientID}, "client_secret": {test.secret}})
		assert.Equal(t, test.want, answer["error"], name)
	}
}

func TestRevocationHints(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	for name, test := range map[string]struct {
		hint    string
		refresh bool
		lives   bool
	}{
		"access token, right hint":  {"access_token", false, false},
		"access token, wrong hint":  {"refresh_token", false, true},
		"refresh token, right hint": {"refresh_token", true, false},
		"refresh token, wrong hint": {"access_token", true, false},
	} {
		session := loggedIn(t, s, p)
		token := session.AccessToken
		if test.refresh {
			token = session.RefreshToken
		}
		status, _ := post(t, s.URL+RevokePath, url.Values{"token": {token}, "token_type_hint": {test.hint},
			"client_id": {s.ClientID}, "client_secret": {s.ClientSecret}})
		assert.Equal(t, 200, status, name)
		_, err := p.FetchUser(session)
		assert.Equal(t, test.lives, err == nil, name)
	}
	status, _ := post(t, s.URL+RevokePath, url.Values{"client_id": {s.ClientID}, "client_secret": {s.ClientSecret}})
	assert.Equal(t, 200, status, "no token")
	status, _ = post(t, s.URL+RevokePath, url.Values{"token": {"bogus"}, "token_type_hint": {"refresh_token"}, "client_id": {s.ClientID}, "client_secret": {s.ClientSecret}})
	assert.Equal(t, 200, status, "unknown token")
	status, _ = post(t, s.URL+RevokePath, url.Values{})
	assert.Equal(t, 403, status, "no client")
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

func TestUsersWithoutAnID(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	ids := map[string]bool{}
	for _, user := range []User{{Name: "Ann"}, {Name: "Bob"}, {Username: "bob"}, {Email: "bob@example.com"}, {}} {
		s.SetUser(user)
		fetched, err := p.FetchUser(loggedIn(t, s, p))
		require.NoError(t, err)
		require.Regexp(t, `^\d{1,13}$`, fetched.UserID)
		ids[fetched.UserID] = true
	}
	assert.Len(t, ids, 5)
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

func TestUserFields(t *testing.T) {
	s := NewServer()
	defer s.Close()
	all := map[string]any{
		"id": "6754923450134", "user_id": "ABC", "url": "https://sailorjohn.gumroad.com", "links": []any{"knots", "ropes"},
		"name": "John Smith", "bio": "a sailor, a tailor", "twitter_handle": "sailor_john", "currency_type": "usd", "email": "johnsmith@gumroad.com",
		"profile_url": "https://public-files.gumroad.com/john.png", "profile_picture_url": "https://public-files.gumroad.com/john.png", "display_name": "John Smith",
	}
	for _, scope := range []string{"view_profile", "account"} {
		user := userAnswer(t, s, scope)
		assert.Regexp(t, `^[\w-]{22}==$`, user["user_id"])
		user["user_id"] = "ABC"
		assert.Equal(t, all, user, scope)
	}
	for _, field := range []string{"currency_type", "email", "profile_url", "display_name"} {
		delete(all, field)
	}
	user := userAnswer(t, s, "view_payouts")
	user["user_id"] = "ABC"
	assert.Equal(t, all, user)

	// A user who filled nothing in.
	s.SetUser(User{ID: "42", AlternateID: "alternate=="})
	assert.Equal(t, map[string]any{
		"id": "42", "user_id": "alternate==", "url": "https://42.gumroad.com", "links": nil, "name": nil, "bio": nil, "twitter_handle": nil,
		"currency_type": "usd", "email": nil, "profile_url": defaultPicture, "profile_picture_url": defaultPicture, "display_name": "42",
	}, userAnswer(t, s, "account"))
	assert.Equal(t, map[string]any{"id": "42", "user_id": "alternate==", "url": "https://42.gumroad.com", "links": nil, "profile_picture_url": defaultPicture}, userAnswer(t, s, "view_payouts"))

	s.SetUser(User{ID: "42", Username: "sailor_john_2"})
	user = userAnswer(t, s, "view_profile")
	assert.Equal(t, "https://sailor-john-2.gumroad.com", user["url"], "a host has no _")
	assert.Equal(t, "sailor_john_2", user["display_name"])
}

// Advance moves the clock.
func TestCodeExpiresAfterTenMinutes(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)

	session, params := authorized(t, s, p)
	s.Advance(9 * time.Minute)
	_, err := session.Authorize(p, params)
	require.NoError(t, err)

	session, params = authorized(t, s, p)
	s.Advance(9 * time.Minute)
	s.Advance(time.Minute)
	_, err = session.Authorize(p, params)
	assert.ErrorContains(t, err, "invalid_grant")
	assert.Equal(t, "the code is older than ten minutes", lastRequest(s).Reason)

	before := time.Now().Add(19 * time.Minute)
	token, err := p.RefreshToken(loggedIn(t, s, p).RefreshToken)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, int64(token.Extra("created_at").(float64)), before.Unix(), "the server's clock")
}

// lastRequest returns the newest request.
func lastRequest(s *Server) Request {
	requests := s.Requests()
	return requests[len(requests)-1]
}
