package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLogIn(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	start := ann.get("/")
	require.Equal(t, http.StatusOK, start.StatusCode)
	require.Contains(t, start.body, "Continue with Gumroad")
	require.Contains(t, start.body, "view_profile")

	page := ann.logIn()
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Equal(t, "/profile", page.Request.URL.Path)
	for _, text := range []string{"John Smith", "@sailorjohn", "a sailor, a tailor", "johnsmith@gumroad.com", "may be unconfirmed",
		"6754923450134", `href="https://sailorjohn.gumroad.com"`, `src="https://public-files.gumroad.com/`, "view_profile",
		time.Now().UTC().Format("2 Jan 2006")} {
		assert.Contains(t, page.body, text)
	}
	assert.Contains(t, page.body, `<dt>Logged in</dt><dd><time datetime="`+time.Now().UTC().Format("2006-01-02"))
	assert.Contains(t, ann.get("/").body, "Hello, <bdi>John Smith</bdi>")
}

func TestCookies(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			s := newTestSite(t, siteOptions{https: scheme == "https"})
			ann := s.visitor()
			begun := ann.begin()
			login := ann.follow(s.authorize(begun))
			for login.Request.Response != nil && len(login.Cookies()) == 0 { // the redirect to the profile set it
				login.Response = login.Request.Response
			}
			var gothic, session *http.Cookie
			for _, c := range begun.Cookies() {
				gothic = c
			}
			for _, c := range login.Cookies() {
				if c.Name != gothic.Name {
					session = c
				} else {
					assert.Negative(t, c.MaxAge, "gothic's cookie holds the tokens unless it is deleted")
				}
			}
			require.Len(t, login.Cookies(), 2)
			for _, c := range []*http.Cookie{gothic, session} {
				assert.True(t, c.HttpOnly, c.Name)
				assert.Equal(t, http.SameSiteLaxMode, c.SameSite, c.Name)
				assert.Equal(t, scheme == "https", c.Secure, c.Name)
				assert.Positive(t, c.MaxAge, c.Name)
				assert.Empty(t, c.Domain, c.Name)
			}
			assert.Equal(t, gothic.MaxAge, 15*60)
			assert.InDelta(t, session.MaxAge, 7*24*3600, 60)
			for _, c := range []*http.Cookie{gothic, session} {
				assert.Equal(t, scheme == "https", strings.HasPrefix(c.Name, "__Host-"), c.Name)
				assert.Equal(t, "/", c.Path, c.Name)
				assert.Contains(t, c.Name, "gumroad-example-"+login.Request.URL.Port(), "browsers have one set of cookies for all ports")
			}
			assert.Less(t, len(session.Value), 50, "a random id and nothing else")
		})
	}
}

func TestNewIDAtLogin(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.setCookie(s.app.sessions.Cookie.Name, "known-to-an-attacker")
	ann.logIn()
	first := ann.session()
	require.NotEqual(t, "known-to-an-attacker", first)

	ann.logIn()
	require.NotEqual(t, first, ann.session())
	thief := s.visitor()
	thief.setCookie(s.app.sessions.Cookie.Name, first)
	require.Equal(t, http.StatusUnauthorized, thief.get("/profile").StatusCode, "the old id is no longer valid")
}

func TestSecondLoginLeavesNoToken(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	old := s.accessToken()
	ann.post("/logout")
	ann.logIn()
	require.NotEqual(t, old, s.accessToken())
	require.False(t, s.alive(old))
	require.True(t, s.alive(s.accessToken()))
}

// A browser may disconnect during the callback.
func TestBrowserGoesAwayAtCallback(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	old := s.accessToken()
	ann.post("/logout")
	ctx, cancel := context.WithCancel(context.Background())
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, s.authorize(ann.begin()), nil)
	for _, cookie := range ann.client.Jar.Cookies(ann.callbackURL()) {
		req.AddCookie(cookie)
	}
	cancel()
	s.app.ServeHTTP(httptest.NewRecorder(), req)
	require.NotEqual(t, old, s.accessToken(), "the new token is kept")
	require.False(t, s.alive(old))
}

func TestDeny(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	callback, err := s.gumroad.Deny(ann.begin().Header.Get("Location"))
	require.NoError(t, err)
	page := ann.follow(callback)
	require.Equal(t, http.StatusForbidden, page.StatusCode)
	require.Contains(t, page.body, "You did not give access")
	require.Contains(t, page.body, `<form method="post" action="/auth/gumroad"><button class="button">Continue with Gumroad</button>`, "it is the filled button")
	require.Contains(t, page.body, `<a class="button second" href="/">`)
	require.Equal(t, http.StatusUnauthorized, ann.get("/profile").StatusCode)
	require.Empty(t, s.gumroad.Requests(), "there is nothing to exchange")
	require.Equal(t, http.StatusOK, ann.logIn().StatusCode)
}

// Reloading the page shows it again. Who then agrees at Gumroad after all, is logged in.
func TestReloadAfterDeny(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	begun := ann.begin()
	denied, err := s.gumroad.Deny(begun.Header.Get("Location"))
	require.NoError(t, err)
	for range 2 {
		page := ann.follow(denied)
		require.Equal(t, http.StatusForbidden, page.StatusCode)
		require.Contains(t, page.body, "You did not give access")
	}
	require.Equal(t, http.StatusOK, ann.follow(s.authorize(begun)).StatusCode)
}

// Every page says who is logged in.
func TestWhoIsLoggedIn(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	require.NotContains(t, ann.get("/nowhere").body, "Logged in as")
	ann.logIn()
	for _, path := range []string{"/", "/profile", "/products", "/nowhere", "/logout", "/auth/gumroad/callback"} {
		require.Contains(t, ann.get(path).body, `Logged in as <a href="/profile"><bdi>John Smith</bdi></a>`, path)
	}
	require.NotContains(t, ann.post("/logout").body, "Logged in as")
}

func TestCallbackOutOfPlace(t *testing.T) {
	tests := map[string]struct {
		callback func(s *testSite, ann *visitor) string
		says     string
	}{
		"replayed": {func(s *testSite, ann *visitor) string {
			callback := s.authorize(ann.begin())
			ann.follow(callback)
			ann.post("/logout")
			return callback
		}, "This login is over"},
		"begun by somebody else": {func(s *testSite, ann *visitor) string {
			return s.authorize(s.visitor().begin())
		}, "This login is over"},
		"of somebody else, with a login in progress": {func(s *testSite, ann *visitor) string {
			ann.begin()
			return s.authorize(s.visitor().begin())
		}, "This login doesn&#39;t match"},
		"without a state": {func(s *testSite, ann *visitor) string {
			callback := s.authorize(ann.begin())
			return callback[:strings.Index(callback, "&state=")]
		}, "This login doesn&#39;t match"},
		"without a code": {func(s *testSite, ann *visitor) string {
			return s.url + "/auth/gumroad/callback?state=" + state(ann.begin())
		}, "Gumroad did not finish this login"},
		"with a code that is not good": {func(s *testSite, ann *visitor) string {
			return s.url + "/auth/gumroad/callback?code=bogus&state=" + state(ann.begin())
		}, "Gumroad did not finish this login"},
		"with a code of another login": {func(s *testSite, ann *visitor) string {
			stolen, err := url.Parse(s.authorize(s.visitor().begin()))
			require.NoError(s.t, err)
			return s.url + "/auth/gumroad/callback?code=" + stolen.Query().Get("code") + "&state=" + state(ann.begin())
		}, "Gumroad did not finish this login"},
		"with a spoiled cookie": {func(s *testSite, ann *visitor) string {
			callback := s.authorize(ann.begin())
			ann.setCookie(s.app.sessions.Cookie.Name+"-login", "x"+ann.cookie(s.app.sessions.Cookie.Name+"-login"))
			return callback
		}, "This login is over"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			ann := s.visitor()
			page := ann.follow(test.callback(s, ann))
			require.Equal(t, http.StatusBadRequest, page.StatusCode)
			require.Contains(t, page.body, test.says)
			require.Contains(t, page.body, `action="/auth/gumroad"`, "there is a button to log in")
			require.Equal(t, http.StatusUnauthorized, ann.get("/profile").StatusCode)
		})
	}
}

// A callback with a wrong state changes nothing.
func TestTwoTabs(t *testing.T) {
	for name, callback := range map[string]func(s *testSite, first answer) string{
		"the first is finished": func(s *testSite, first answer) string { return s.authorize(first) },
		"the first is denied": func(s *testSite, first answer) string {
			callback, err := s.gumroad.Deny(first.Header.Get("Location"))
			require.NoError(s.t, err)
			return callback
		},
		"a link without a state":     func(s *testSite, _ answer) string { return s.url + "/auth/gumroad/callback?code=x" },
		"a link with an error":       func(s *testSite, _ answer) string { return s.url + "/auth/gumroad/callback?error=access_denied" },
		"a link with another's code": func(s *testSite, _ answer) string { return s.url + "/auth/gumroad/callback?code=x&state=x" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			ann := s.visitor()
			first := callback(s, ann.begin())
			second := s.authorize(ann.begin())
			page := ann.follow(first)
			require.Equal(t, http.StatusBadRequest, page.StatusCode)
			require.Contains(t, page.body, "This login doesn&#39;t match")
			require.Empty(t, page.Cookies())
			require.Equal(t, http.StatusOK, ann.follow(second).StatusCode)
		})
	}
}

// Browsers report the redirect from Gumroad as a cross-site request.
func TestCallbackIsCrossSite(t *testing.T) {
	s := newTestSite(t)
	page := s.visitor().logIn()
	require.Equal(t, http.StatusOK, page.StatusCode)
	ann := s.visitor()
	page = ann.do(http.MethodGet, s.authorize(ann.begin()), http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}})
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, page.body, "John Smith")
}

// A link scanner sends HEAD. It must not use up the code.
func TestHeadOfCallback(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	callback := s.authorize(ann.begin())
	page := ann.do(http.MethodHead, callback, nil)
	require.Equal(t, http.StatusMethodNotAllowed, page.StatusCode)
	require.Equal(t, "GET", page.Header.Get("Allow"))
	require.Empty(t, page.Cookies())
	require.Equal(t, http.StatusOK, ann.follow(callback).StatusCode)
	for path, status := range map[string]int{"/": 200, "/profile": 200, "/style.css": 200, "/icon.svg": 200, "/products": 405, "/logout": 405, "/auth/gumroad": 405} {
		require.Equal(t, status, ann.do(http.MethodHead, s.url+path, nil).StatusCode, path)
	}
}

// A proxy may change the Host. The Origin of an older browser is still accepted.
func TestOriginBehindProxy(t *testing.T) {
	s := newTestSite(t)
	s.url = "https://login.example.com"
	app := s.newCopy(testSecret)
	for origin, status := range map[string]int{"https://login.example.com": http.StatusSeeOther, "https://evil.example": http.StatusForbidden} {
		req := httptest.NewRequest(http.MethodPost, "http://10.0.0.1:3000/logout", nil)
		req.Header.Set("Origin", origin)
		recorder := httptest.NewRecorder()
		app.ServeHTTP(recorder, req)
		require.Equal(t, status, recorder.Code, origin)
	}
}

// A permanent refusal is not shown as an outage of Gumroad.
func TestRefusedForGood(t *testing.T) {
	tests := map[string]struct {
		fault     gumroadtest.Fault
		says      string
		status    int
		loggedOut bool
	}{
		"no scope": {gumroadtest.Fault{Status: 403}, "not configured correctly", 500, false},
		"a proxy":  {gumroadtest.Fault{Status: 403, Body: "<html>blocked</html>"}, "not configured correctly", 500, false},
		"a path":   {gumroadtest.Fault{Status: 404}, "not configured correctly", 500, false},
		"gone":     {gumroadtest.Fault{Body: `{"success":false,"message":"The user was not found."}`}, "Gumroad does not know this account", 401, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			ann := s.visitor()
			s.gumroad.Fail(gumroadtest.UserPath, test.fault)
			page := ann.logIn()
			require.Equal(t, test.status, page.StatusCode)
			require.Contains(t, page.body, test.says)
			ann.logIn()
			s.gumroad.Fail(gumroadtest.UserPath, test.fault)
			page = ann.post("/profile/refetch")
			require.Equal(t, test.status, page.StatusCode)
			require.Contains(t, page.body, test.says)
			require.Equal(t, test.loggedOut, ann.session() == "")
			require.Equal(t, test.status >= 500, strings.Contains(s.log.String(), "POST /profile/refetch: gumroad: "), s.log)
		})
	}
}

func TestReplayWhileLoggedIn(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	callback := s.authorize(ann.begin())
	ann.follow(callback)
	page := ann.follow(callback)
	require.Equal(t, http.StatusBadRequest, page.StatusCode)
	require.Contains(t, page.body, `href="/profile"`)
	require.Equal(t, http.StatusOK, ann.get("/profile").StatusCode, "still logged in")
}

func TestStateFromOutside(t *testing.T) {
	s := newTestSite(t)
	for _, path := range []string{"/auth/gumroad?state=fixed", "/auth/gumroad?provider=other&state=fixed", "/auth/gumroad?%3Aprovider=other"} {
		begun := s.visitor().post(path)
		require.Equal(t, http.StatusSeeOther, begun.StatusCode, path)
		require.NotEqual(t, "fixed", state(begun), path)
		require.GreaterOrEqual(t, len(state(begun)), 22, path)
	}
}

func TestRefetch(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	user := s.gumroad.User()
	user.Name = "Jonathan Smith"
	s.gumroad.SetUser(user)
	require.Contains(t, ann.get("/profile").body, "John Smith")
	page := ann.post("/profile/refetch")
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, page.body, "Jonathan Smith")
	require.Contains(t, page.body, "Your profile is up to date")
}

// A session never changes to another user.
func TestRefetchGivesAnotherUser(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	s.gumroad.Fail(gumroadtest.UserPath, gumroadtest.Fault{Body: `{"success":true,"user":{"id":"1","name":"Mallory"}}`})
	require.Equal(t, http.StatusInternalServerError, ann.post("/profile/refetch").StatusCode)
	require.Contains(t, ann.get("/profile").body, "John Smith")
}

// A link cannot make the application report what did not happen.
func TestNoticesOfALink(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	require.NotContains(t, ann.get("/?done=refreshed").body, "The access was refreshed")
	ann.logIn()
	require.NotContains(t, ann.get("/profile?done=disconnected").body, "You are disconnected")
	require.NotContains(t, ann.get("/?done=loggedout").body, "You are logged out")
}

func TestRefresh(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	require.Contains(t, ann.logIn().body, "Not yet")
	old := s.accessToken()
	page := ann.post("/token/refresh")
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, page.body, "The access was refreshed")
	require.NotContains(t, page.body, "Not yet")
	require.False(t, s.alive(old))
	require.Equal(t, http.StatusOK, ann.post("/profile/refetch").StatusCode, "the new token is the one that is used")
	require.Equal(t, http.StatusOK, ann.post("/token/refresh").StatusCode)
}

func TestTokenNoLongerGood(t *testing.T) {
	for _, path := range []string{"/profile/refetch", "/token/refresh"} {
		t.Run(path, func(t *testing.T) {
			s := newTestSite(t)
			ann := s.visitor()
			ann.logIn()
			require.NoError(t, s.provider.RevokeToken(context.Background(), s.accessToken()))
			page := ann.post(path)
			require.Equal(t, http.StatusUnauthorized, page.StatusCode)
			require.Contains(t, page.body, "Gumroad no longer accepts this login")
			require.Contains(t, page.body, `action="/auth/gumroad"`)
			require.Empty(t, ann.session())
			require.Contains(t, ann.get("/profile").body, "You are not logged in")
			require.Equal(t, http.StatusOK, ann.logIn().StatusCode)
		})
	}
}

func TestDisconnect(t *testing.T) {
	s := newTestSite(t)
	desktop, phone := s.visitor(), s.visitor()
	desktop.logIn()
	phone.logIn()
	token := s.accessToken()
	page := desktop.post("/disconnect")
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, page.body, "You are disconnected")
	require.False(t, s.alive(token))
	require.Equal(t, http.StatusUnauthorized, desktop.get("/profile").StatusCode)
	require.Equal(t, http.StatusUnauthorized, phone.get("/profile").StatusCode, "what is granted is gone there too")
	require.Equal(t, http.StatusOK, desktop.logIn().StatusCode)
}

func TestDisconnectFails(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	s.gumroad.Fail(gumroadtest.RevokePath, gumroadtest.Fault{Status: http.StatusServiceUnavailable})
	page := ann.post("/disconnect")
	require.Equal(t, http.StatusBadGateway, page.StatusCode)
	require.Contains(t, page.body, "You may still be connected")
	for _, way := range []string{`action="/disconnect"`, `action="/logout"`, `href="/profile"`} {
		require.Contains(t, page.body, way)
	}
	require.True(t, s.alive(s.accessToken()))
	require.Equal(t, http.StatusOK, ann.get("/profile").StatusCode, "still logged in, to try again")
	require.Contains(t, ann.post("/disconnect").body, "You are disconnected")
}

func TestLogOut(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	id := ann.session()
	page := ann.post("/logout")
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, page.body, "You are logged out")
	require.Empty(t, ann.session())
	require.True(t, s.alive(s.accessToken()), "what was granted stays")
	ann.setCookie(s.app.sessions.Cookie.Name, id)
	require.Equal(t, http.StatusUnauthorized, ann.get("/profile").StatusCode, "the server forgot it as well")
	require.Equal(t, http.StatusOK, ann.post("/logout").StatusCode, "twice is no error")
}

func TestNotLoggedIn(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	for _, page := range []answer{ann.get("/profile"), ann.post("/profile/refetch"), ann.post("/token/refresh"), ann.post("/disconnect")} {
		require.Equal(t, http.StatusUnauthorized, page.StatusCode)
		require.Contains(t, page.body, "You are not logged in")
		require.Contains(t, page.body, `action="/auth/gumroad"`)
	}
}

func TestLoginEnds(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	_, err := s.db.Exec("UPDATE gumroad_sessions SET expiry = 0")
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, ann.get("/profile").StatusCode)
	require.Equal(t, http.StatusUnauthorized, ann.post("/token/refresh").StatusCode)
}

func TestTwoPeople(t *testing.T) {
	s := newTestSite(t)
	ann, bob := s.visitor(), s.visitor()
	s.gumroad.SetUser(gumroadtest.User{ID: "1000000000001", Name: "Ann Ahoy", Username: "ann"})
	annsCallback := s.authorize(ann.begin())
	s.gumroad.SetUser(gumroadtest.User{ID: "1000000000002", Name: "Bob Bay", Username: "bob"})
	bobsCallback := s.authorize(bob.begin())
	bob.follow(bobsCallback)
	ann.follow(annsCallback)

	var both sync.WaitGroup
	both.Add(2)
	for _, v := range []*visitor{ann, bob} {
		go func() {
			defer both.Done()
			v.post("/token/refresh")
			v.post("/profile/refetch")
		}()
	}
	both.Wait()
	require.Contains(t, ann.get("/profile").body, "Ann Ahoy")
	require.NotContains(t, ann.get("/profile").body, "Bob")
	require.Contains(t, bob.get("/profile").body, "Bob Bay")
	ann.post("/disconnect")
	require.Equal(t, http.StatusOK, bob.post("/profile/refetch").StatusCode)
}

// Behind a load balancer, the callback may reach another copy of the
// application than the one that began the login.
func TestCopies(t *testing.T) {
	for name, test := range map[string]struct {
		secret string
		status int
	}{
		"the same SESSION_SECRET": {testSecret, http.StatusOK},
		"another SESSION_SECRET":  {"another secret of 32 characters..", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			ann := s.visitor()
			callback := s.authorize(ann.begin())
			s.restart(test.secret)
			page := ann.follow(callback)
			require.Equal(t, test.status, page.StatusCode)
			require.Equal(t, test.status == http.StatusOK, strings.Contains(page.body, "John Smith"))
		})
	}
}

func TestPostFromElsewhere(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	token := s.accessToken()
	sibling := strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	for _, header := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}, "Origin": {sibling}},
		{"Origin": {"https://evil.example"}},
		{"Origin": {sibling}},
		{"Origin": {"null"}},
	} {
		for _, path := range []string{"/auth/gumroad", "/profile/refetch", "/token/refresh", "/disconnect", "/logout"} {
			page := ann.do(http.MethodPost, s.url+path, header)
			require.Equal(t, http.StatusForbidden, page.StatusCode, "%s %v", path, header)
			require.Contains(t, page.body, "another website")
			require.Empty(t, page.Cookies())
		}
	}
	require.Equal(t, token, s.accessToken(), "nothing was done")
	require.Equal(t, http.StatusOK, ann.get("/profile").StatusCode)
	for _, header := range []http.Header{{"Sec-Fetch-Site": {"same-origin"}}, {"Origin": {s.url}}} {
		require.Equal(t, http.StatusOK, ann.do(http.MethodPost, s.url+"/profile/refetch", header).StatusCode)
	}
}

func TestChangesNeedPost(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	for _, path := range []string{"/auth/gumroad", "/profile/refetch", "/token/refresh", "/disconnect", "/logout"} {
		page := ann.get(path)
		require.Equal(t, http.StatusMethodNotAllowed, page.StatusCode, path)
		require.Equal(t, "POST", page.Header.Get("Allow"))
		require.Contains(t, page.body, `href="/"`)
	}
	require.Equal(t, http.StatusOK, ann.get("/profile").StatusCode)
	require.Equal(t, "GET, HEAD", ann.post("/profile").Header.Get("Allow"))
}

func TestNoSuchPage(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	for _, page := range []answer{ann.get("/profiles"), ann.get("/profile/x"), ann.get("/nowhere"), ann.get("/templates/start.html"),
		ann.post("/auth/other"), ann.get("/auth/other/callback?code=x&state=y"),
		// In their clean form, some of these lead to another host.
		ann.get("//%5Cevil.example/x"), ann.get("//%09/evil.example/.."), ann.get("//evil.example"), ann.get("/./profile")} {
		require.Equal(t, http.StatusNotFound, page.StatusCode, page.Request.URL.Path)
		require.Contains(t, page.body, "This page does not exist")
	}
}

// Newer versions of Go refuse a query with this many parameters.
func TestCallbackWithManyParameters(t *testing.T) {
	s := newTestSite(t)
	page := s.visitor().get("/auth/gumroad/callback?" + strings.Repeat("a&", 20_000))
	require.Contains(t, []int{http.StatusBadRequest, http.StatusNotFound}, page.StatusCode)
}

func TestGumroadDown(t *testing.T) {
	down := map[string]gumroadtest.Fault{
		"503":      {Status: http.StatusServiceUnavailable, Body: "<html>down</html>"},
		"429":      {Status: http.StatusTooManyRequests, Body: "Retry later"},
		"busy":     {Status: http.StatusBadRequest, Body: `{"error":"temporarily_unavailable"}`},
		"cut off":  {Status: http.StatusOK, Body: `{"success":`, Cut: true},
		"nonsense": {Status: http.StatusOK, Body: `[]`},
	}
	for name, fault := range down {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			ann := s.visitor()
			for _, path := range []string{gumroadtest.TokenPath, gumroadtest.UserPath} {
				s.gumroad.Fail(path, fault)
				page := ann.logIn()
				require.Equal(t, http.StatusBadGateway, page.StatusCode, path)
				require.Contains(t, page.body, "Gumroad is unavailable")
				require.Contains(t, page.body, `action="/auth/gumroad"`)
				require.Equal(t, http.StatusUnauthorized, ann.get("/profile").StatusCode)
			}
			ann.logIn()
			for path, endpoint := range map[string]string{"/token/refresh": gumroadtest.TokenPath, "/profile/refetch": gumroadtest.UserPath} {
				s.gumroad.Fail(endpoint, fault)
				page := ann.post(path)
				require.Equal(t, http.StatusBadGateway, page.StatusCode, path)
				require.Contains(t, page.body, "You are still logged in")
				require.Equal(t, http.StatusOK, ann.post(path).StatusCode, "and the next try works")
			}
			require.NotEmpty(t, s.log.String(), "the log has the reason")
		})
	}
}

func TestNotSetUpRight(t *testing.T) {
	s := newTestSite(t)
	s.provider.Secret = "wrong"
	page := s.visitor().logIn()
	require.Equal(t, http.StatusInternalServerError, page.StatusCode)
	require.Contains(t, page.body, "not configured correctly")
	require.Contains(t, s.log.String(), "check the client key and the secret")
}

func TestLoginThatCannotBegin(t *testing.T) {
	s := newTestSite(t)
	s.provider.AuthURL = ""
	page := s.visitor().post("/auth/gumroad")
	require.Equal(t, http.StatusInternalServerError, page.StatusCode)
	require.Contains(t, page.body, "Something went wrong here")
	require.Contains(t, s.log.String(), "gumroad: ")
}

func TestBaseThatIsNoOrigin(t *testing.T) {
	s := newTestSite(t)
	_, err := newApp(t.Context(), s.provider, s.db, &url.URL{Scheme: "https", Host: "example.com", Path: "/app"}, testSecret, false)
	require.Error(t, err)
}

func TestOtherErrorsAtCallback(t *testing.T) {
	for code, status := range map[string]int{
		"invalid_scope":             http.StatusInternalServerError,
		"unauthorized_client":       http.StatusInternalServerError,
		"unsupported_response_mode": http.StatusInternalServerError,
		"temporarily_unavailable":   http.StatusBadGateway,
		"<script>":                  http.StatusBadGateway,
	} {
		s := newTestSite(t)
		ann := s.visitor()
		page := ann.get("/auth/gumroad/callback?error=" + url.QueryEscape(code) + "&error_description=%3Cscript%3E&state=" + state(ann.begin()))
		require.Equal(t, status, page.StatusCode, code)
		require.NotContains(t, page.body, "<script")
	}
}

func TestHeaders(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	pages := []answer{ann.logIn(), ann.get("/"), ann.get("/nowhere"), ann.post("/auth/other")}
	for _, page := range pages {
		csp := page.Header.Get("Content-Security-Policy")
		assert.Contains(t, csp, "default-src 'none'")
		assert.Contains(t, csp, "script-src 'self';")
		assert.Contains(t, csp, "form-action 'self' https://gumroad.com ")
		assert.Equal(t, "same-origin", page.Header.Get("Referrer-Policy"))
		assert.Equal(t, "nosniff", page.Header.Get("X-Content-Type-Options"))
		assert.Equal(t, "no-store", page.Header.Get("Cache-Control"))
		assert.Equal(t, "text/html; charset=utf-8", page.Header.Get("Content-Type"))
		assert.NotContains(t, strings.Replace(page.body, `<script src="/back.js"></script>`, "", 1), "<script")
		assert.NotContains(t, page.body, "style=")
	}
	css := ann.get("/style.css")
	assert.Equal(t, "max-age=300", css.Header.Get("Cache-Control"))
	assert.Equal(t, "nosniff", css.Header.Get("X-Content-Type-Options"))
	assert.Equal(t, "text/css; charset=utf-8", css.Header.Get("Content-Type"))
	assert.NotContains(t, css.body, "url(", "nothing comes from elsewhere")
	assert.Equal(t, "image/svg+xml", ann.get("/icon.svg").Header.Get("Content-Type"))
}

// If a page cannot be built, the answer is an error and not a blank page.
func TestPageThatCannotBeMade(t *testing.T) {
	s := newTestSite(t)
	recorder := httptest.NewRecorder()
	s.app.render(recorder, http.StatusOK, "nothing.html", view{})
	require.Equal(t, http.StatusInternalServerError, recorder.Code)
	require.Contains(t, recorder.Body.String(), "This page could not be shown.")
	require.Contains(t, s.log.String(), "nothing.html")
}

func TestProfilePage(t *testing.T) {
	tests := map[string]struct {
		user     gumroadtest.User
		has, not []string
	}{
		"nothing but an id": {gumroadtest.User{ID: "42"},
			[]string{"Gumroad user 42", "Not given"}, []string{"@", "<img src=\"\"", "not confirmed"}},
		"a name of blanks": {gumroadtest.User{ID: "42", Name: "  "},
			[]string{`<h1>Gumroad user 42</h1>`}, nil},
		"a Twitter handle that looks like the page's": {gumroadtest.User{ID: "42", Name: "Ann", TwitterHandle: "gumroad"},
			[]string{">Ann<"}, []string{"@gumroad"}},
		"a Twitter handle is no username": {gumroadtest.User{ID: "42", Name: "Ann", TwitterHandle: "ann_tweets"},
			[]string{">Ann<"}, []string{"ann_tweets"}},
		"markup": {gumroadtest.User{ID: "42", Name: "<script>alert(1)</script>", Bio: `"><img src=x onerror=alert(1)>`, Picture: "javascript:alert(1)"},
			[]string{"&lt;script&gt;"}, []string{"<script>", "<img src=x", "javascript:"}},
		"a picture inside its address": {gumroadtest.User{ID: "42", Picture: "data:image/png;base64,iVBORw0KGgo="},
			[]string{`src="data:image/png;base64,iVBORw0KGgo="`}, nil},
		"emoji only": {gumroadtest.User{ID: "42", Name: "🦜", Username: "parrot"},
			[]string{`aria-hidden="true">•<`, "<h1>🦜</h1>"}, nil},
		"an invisible name": {gumroadtest.User{ID: "42", Name: "\u200b\u2060"},
			[]string{"<h1>Gumroad user 42</h1>"}, nil},
		"a picture without https": {gumroadtest.User{ID: "42", Picture: "http://pictures.example/42"},
			nil, []string{"pictures.example"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			s.gumroad.SetUser(test.user)
			page := s.visitor().logIn()
			require.Equal(t, http.StatusOK, page.StatusCode)
			for _, text := range test.has {
				assert.Contains(t, page.body, text)
			}
			for _, text := range test.not {
				assert.NotContains(t, page.body, text)
			}
		})
	}
}

// In the older form of the address there may be no username.
func TestUsernameOfTheOlderForm(t *testing.T) {
	s := newTestSite(t)
	for address, has := range map[string]bool{"https://gumroad.com/ann": true, "https://gumroad.com/42": false} {
		s.gumroad.Fail(gumroadtest.UserPath, gumroadtest.Fault{Body: `{"success":true,"user":{"id":"42","twitter_handle":"gumroad","url":"` + address + `"}}`})
		page := s.visitor().logIn()
		require.Contains(t, page.body, `rel="noreferrer"`)
		require.Equal(t, has, strings.Contains(page.body, "@ann"), page.body)
		require.NotContains(t, page.body, "@gumroad")
	}
}

// Gumroad's profile lists all products of the user. The application does not store them.
func TestKeepsNoProducts(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	ann.post("/profile/refetch")
	var kept string
	require.NoError(t, s.db.QueryRow("SELECT profile FROM gumroad_accounts").Scan(&kept))
	require.Contains(t, kept, "https://sailorjohn.gumroad.com")
	require.NotContains(t, kept, "knots")
}

func TestProfileOfForeignPage(t *testing.T) {
	s := newTestSite(t)
	for _, address := range []string{"javascript:alert(1)", "https://evil.example/gumroad.com", "https://evilgumroad.com", "http://ann.gumroad.com", "https://ann.gumroad.com/%zz", ""} {
		body, err := json.Marshal(map[string]any{"success": true, "user": map[string]any{"id": "42", "name": "Ann", "url": address}})
		require.NoError(t, err)
		s.gumroad.Fail(gumroadtest.UserPath, gumroadtest.Fault{Status: http.StatusOK, Body: string(body)})
		page := s.visitor().logIn()
		require.Equal(t, http.StatusOK, page.StatusCode)
		require.Contains(t, page.body, "Ann")
		require.NotContains(t, page.body, `rel="noreferrer"`, address)
	}
}
