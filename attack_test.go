package gumroad_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/markbates/goth"
	"github.com/markbates/goth/gothic"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
)

// Who is in these attacks: mallory is the attacker.
const (
	alice   = "1000000000001"
	bob     = "1000000000002"
	mallory = "6660000000006"
)

const attackCallback = "/auth/gumroad/callback"

// attackApp is an application as gothic's documentation has it, which remembers
// by a cookie of its own who is logged in.
type attackApp struct {
	*httptest.Server
	t       *testing.T
	gumroad *gumroadtest.Server

	mu     sync.Mutex
	users  map[string]string // by the app's cookie
	failed error             // of the last callback
}

// attack runs against an application that must send its secret to Gumroad, and
// against one that need not, where PKCE is all there is.
func attack(t *testing.T, run func(t *testing.T, app *attackApp)) {
	for _, confidential := range []bool{true, false} {
		t.Run(fmt.Sprintf("confidential=%t", confidential), func(t *testing.T) {
			app := &attackApp{t: t, gumroad: gumroadtest.NewServer(), users: map[string]string{}}
			defer app.gumroad.Close()
			routes := http.NewServeMux()
			routes.HandleFunc("/auth/gumroad", func(w http.ResponseWriter, r *http.Request) {
				gothic.BeginAuthHandler(w, gothic.GetContextWithProvider(r, "gumroad-attack"))
			})
			routes.HandleFunc(attackCallback, app.complete)
			routes.HandleFunc("/me", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, app.user(r)) })
			app.Server = httptest.NewServer(routes)
			defer app.Close()

			app.gumroad.SetApplication(gumroadtest.Application{Name: "App", Confidential: confidential})
			provider := app.gumroad.Provider(app.URL + attackCallback)
			provider.SetName("gumroad-attack")
			goth.UseProviders(provider)
			defer goth.ClearProviders()
			before := gothic.Store
			gothic.Store = attackStore("a key of the test, 32 bytes long")
			defer func() { gothic.Store = before }()
			run(t, app)
		})
	}
}

// attackStore is the store that SECURITY.md recommends, but without https.
func attackStore(key string) *sessions.CookieStore {
	store := sessions.NewCookieStore([]byte(key), []byte(key))
	store.MaxAge(10 * 60)
	store.Options.HttpOnly = true
	store.Options.Secure = false
	store.Options.SameSite = http.SameSiteLaxMode
	return store
}

func (a *attackApp) complete(w http.ResponseWriter, r *http.Request) {
	user, err := gothic.CompleteUserAuth(w, gothic.GetContextWithProvider(r, "gumroad-attack"))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed = err; err != nil {
		http.Error(w, "the login failed", http.StatusForbidden)
		return
	}
	cookie := rand.Text()
	a.users[cookie] = user.UserID
	http.SetCookie(w, &http.Cookie{Name: "app", Value: cookie, Path: "/"})
}

func (a *attackApp) user(r *http.Request) string {
	cookie, err := r.Cookie("app")
	if err != nil {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.users[cookie.Value]
}

// approve has this user press the button at Gumroad, and returns the callback
// that the browser is sent to.
func (a *attackApp) approve(user, authURL string) string {
	a.t.Helper()
	a.gumroad.SetUser(gumroadtest.User{ID: user})
	callback, err := a.gumroad.Authorize(authURL)
	require.NoError(a.t, err)
	return callback
}

// asked returns how often Gumroad was asked for a token, and for a user.
func (a *attackApp) asked() (tokens, users int) {
	for _, request := range a.gumroad.Requests() {
		switch request.Path {
		case gumroadtest.TokenPath:
			tokens++
		case gumroadtest.UserPath:
			users++
		}
	}
	return tokens, users
}

// refused fails the test unless the last callback ended with this error code of
// Gumroad's.
func (a *attackApp) refused(code string) {
	a.t.Helper()
	var refused *gumroad.Error
	require.ErrorAs(a.t, a.failed, &refused)
	assert.Equal(a.t, code, refused.Code)
}

// attackBrowser is somebody's browser. It follows no redirect by itself.
type attackBrowser struct {
	*http.Client
	app *attackApp
}

func (a *attackApp) browser() *attackBrowser {
	jar, err := cookiejar.New(nil)
	require.NoError(a.t, err)
	return &attackBrowser{app: a, Client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

func (b *attackBrowser) open(address string) (*http.Response, string) {
	b.app.t.Helper()
	response, err := b.Get(address)
	require.NoError(b.app.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(b.app.t, err)
	return response, string(body)
}

// begin starts a login, with this query, and returns the address at Gumroad.
func (b *attackBrowser) begin(query string) string {
	b.app.t.Helper()
	response, _ := b.open(b.app.URL + "/auth/gumroad" + query)
	require.Equal(b.app.t, http.StatusTemporaryRedirect, response.StatusCode)
	return response.Header.Get("Location")
}

// who returns the user that the application takes this browser for.
func (b *attackBrowser) who() string {
	b.app.t.Helper()
	_, user := b.open(b.app.URL + "/me")
	return user
}

// cookie returns what gothic keeps in this browser, and plant puts it into
// another one.
func (b *attackBrowser) cookie() *http.Cookie {
	b.app.t.Helper()
	address, _ := url.Parse(b.app.URL)
	for _, cookie := range b.Jar.Cookies(address) {
		if cookie.Name == gothic.SessionName {
			return cookie
		}
	}
	b.app.t.Fatal("no cookie of gothic's")
	return nil
}

func (b *attackBrowser) plant(cookie *http.Cookie) {
	address, _ := url.Parse(b.app.URL)
	b.Jar.SetCookies(address, []*http.Cookie{{Name: cookie.Name, Value: cookie.Value, Path: "/"}})
}

// attackWith returns an address with some parameters changed; an empty value
// takes one out.
func attackWith(t *testing.T, address string, pairs ...string) string {
	t.Helper()
	changed, err := url.Parse(address)
	require.NoError(t, err)
	query := changed.Query()
	for i := 0; i < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			query.Del(pairs[i])
		}
	}
	changed.RawQuery = query.Encode()
	return changed.String()
}

func attackParameter(t *testing.T, address, name string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	return parsed.Query().Get(name)
}

// Without an attack everyone gets in, or the other tests would show nothing.
func TestAttackNone(t *testing.T) {
	attack(t, func(t *testing.T, app *attackApp) {
		for _, user := range []string{alice, mallory, alice} {
			browser := app.browser()
			response, _ := browser.open(app.approve(user, browser.begin("")))
			assert.Equal(t, http.StatusOK, response.StatusCode)
			assert.Equal(t, user, browser.who())
		}
	})
}

// The attacker starts alice's login with a state that she knows (gothic takes it
// from the query), and has her browser open a callback with a code of the
// attacker's own, so that alice works in the attacker's account.
func TestAttackFixedState(t *testing.T) {
	for name, change := range map[string][]string{
		"a code with the attacker's challenge": nil,
		"a code without a challenge":           {"code_challenge", "", "code_challenge_method", ""},
		"a code with a plain challenge":        {"code_challenge", "known", "code_challenge_method", "plain"},
	} {
		t.Run(name, func(t *testing.T) {
			attack(t, func(t *testing.T, app *attackApp) {
				hers, attackers := app.browser(), app.browser()
				callback := app.approve(mallory, attackWith(t, attackers.begin("?state=fixed"), change...))
				hers.begin("?state=fixed")
				response, _ := hers.open(callback)
				assert.Equal(t, http.StatusForbidden, response.StatusCode)
				app.refused("invalid_grant")
				_, users := app.asked()
				assert.Zero(t, users)
				assert.Empty(t, hers.who())

				// Nor in the middle of a session of hers.
				hers.open(app.approve(alice, hers.begin("")))
				hers.begin("?state=fixed")
				hers.open(callback)
				assert.Equal(t, alice, hers.who())
			})
		})
	}
}

// The attacker has got at the code of alice's login before her browser used it,
// and puts it into a login of the attacker's own.
func TestAttackStolenCode(t *testing.T) {
	attack(t, func(t *testing.T, app *attackApp) {
		hers, attackers := app.browser(), app.browser()
		callback := app.approve(alice, hers.begin(""))

		attackers.open(callback) // no login was begun here
		assert.Error(t, app.failed)
		for _, state := range []string{"?state=" + url.QueryEscape(attackParameter(t, callback, "state")), ""} {
			begun := attackers.begin(state)
			attackers.open(attackWith(t, callback, "state", attackParameter(t, begun, "state")))
			app.refused("invalid_grant")
			assert.Empty(t, attackers.who())
		}

		// Straight to Gumroad, past the application.
		for _, verifier := range []string{"", "guess"} {
			form := url.Values{"grant_type": {"authorization_code"}, "client_id": {app.gumroad.ClientID}, "redirect_uri": {app.URL + attackCallback},
				"code": {attackParameter(t, callback, "code")}, "code_verifier": {verifier}}
			response, err := http.PostForm(app.gumroad.URL+gumroadtest.TokenPath, form)
			require.NoError(t, err)
			response.Body.Close()
			assert.GreaterOrEqual(t, response.StatusCode, 400)
		}

		hers.open(callback)
		assert.Equal(t, alice, hers.who())
		assert.Empty(t, attackers.who())
	})
}

// The attacker sends alice to Gumroad's authorization page with an address that
// asks for no challenge, so that her code is tied to no login.
func TestAttackStolenCodeWithoutChallenge(t *testing.T) {
	attack(t, func(t *testing.T, app *attackApp) {
		hers, attackers := app.browser(), app.browser()
		hers.open(app.approve(alice, hers.begin(""))) // she has used the application before
		begun := attackers.begin("")
		callback := app.approve(alice, attackWith(t, begun, "code_challenge", "", "code_challenge_method", ""))

		hers.open(callback) // where Gumroad sends her
		assert.Error(t, app.failed)
		assert.Equal(t, alice, hers.who())
		attackers.open(callback) // it has the state of the attacker's login
		app.refused("invalid_grant")
		assert.Empty(t, attackers.who())
	})
}

// The attacker has kept what alice's browser sent: the address of her callback
// and the cookie of before.
func TestAttackReplayedCallback(t *testing.T) {
	attack(t, func(t *testing.T, app *attackApp) {
		hers, attackers := app.browser(), app.browser()
		callback := app.approve(alice, hers.begin(""))
		cookie := hers.cookie()
		hers.open(callback)
		require.Equal(t, alice, hers.who())

		attackers.open(callback)
		assert.Error(t, app.failed)
		attackers.plant(cookie)
		attackers.open(callback)
		app.refused("invalid_grant")
		assert.Empty(t, attackers.who())

		// Alice's own reload fails as well, and does not log her out.
		hers.open(callback)
		assert.Error(t, app.failed)
		hers.plant(cookie)
		hers.open(callback)
		app.refused("invalid_grant")
		assert.Equal(t, alice, hers.who())
	})
}

// The answer to a callback carries, for gothic's cookie, the session with the
// tokens in it, and then takes it back. Whoever keeps that one holds alice's
// access token, so it is good exactly as long as the token.
func TestAttackCookieWithTokens(t *testing.T) {
	attack(t, func(t *testing.T, app *attackApp) {
		hers, attackers := app.browser(), app.browser()
		callback := app.approve(alice, hers.begin(""))
		response, _ := hers.open(callback)
		var kept *http.Cookie
		for _, cookie := range response.Cookies() {
			if cookie.Name == gothic.SessionName && cookie.MaxAge > 0 {
				kept = cookie
			}
		}
		require.NotNil(t, kept)

		// With another state than that of its login it is good for nothing.
		attackers.plant(kept)
		attackers.open(attackWith(t, callback, "state", "another"))
		assert.Error(t, app.failed)
		assert.Empty(t, attackers.who())

		// Nor once the application has revoked the token.
		provider, err := goth.GetProvider("gumroad-attack")
		require.NoError(t, err)
		require.NoError(t, provider.(*gumroad.Provider).RevokeToken(t.Context(), attackToken(t, kept)))
		attackers.plant(kept)
		attackers.open(callback)
		app.refused("invalid_grant")
		assert.Empty(t, attackers.who())
	})
}

// attackToken reads the access token out of gothic's cookie.
func attackToken(t *testing.T, cookie *http.Cookie) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(cookie)
	stored, err := gothic.GetFromSession("gumroad-attack", r)
	require.NoError(t, err)
	provider, err := goth.GetProvider("gumroad-attack")
	require.NoError(t, err)
	session, err := provider.UnmarshalSession(stored)
	require.NoError(t, err)
	require.NotEmpty(t, session.(*gumroad.Session).AccessToken)
	return session.(*gumroad.Session).AccessToken
}

// Two tabs of one browser begin a login each. gothic keeps the later one, and
// none once a callback has failed.
func TestAttackTwoLoginsInOneBrowser(t *testing.T) {
	for _, state := range []string{"", "?state=same"} {
		t.Run("the later one first"+state, func(t *testing.T) {
			attack(t, func(t *testing.T, app *attackApp) {
				browser := app.browser()
				first := app.approve(alice, browser.begin(state))
				second := app.approve(bob, browser.begin(state))
				browser.open(second)
				require.NoError(t, app.failed)
				require.Equal(t, bob, browser.who())
				browser.open(first)
				assert.Error(t, app.failed)
				assert.Equal(t, bob, browser.who())
			})
		})
		t.Run("the earlier one first"+state, func(t *testing.T) {
			attack(t, func(t *testing.T, app *attackApp) {
				browser := app.browser()
				first := app.approve(alice, browser.begin(state))
				second := app.approve(bob, browser.begin(state))
				browser.open(first)
				assert.Error(t, app.failed)
				assert.Empty(t, browser.who())
				browser.open(second)
				assert.Error(t, app.failed)
				assert.Empty(t, browser.who())
				// A new login works.
				browser.open(app.approve(bob, browser.begin("")))
				assert.Equal(t, bob, browser.who())
			})
		})
	}
}

// Cookies of gothic's are exchanged between two browsers that are in the middle
// of a login each.
func TestAttackCookieOfAnotherUser(t *testing.T) {
	for _, state := range []string{"", "?state=fixed"} {
		t.Run("the attacker's cookie in alice's browser"+state, func(t *testing.T) {
			attack(t, func(t *testing.T, app *attackApp) {
				hers, attackers := app.browser(), app.browser()
				attackers.begin(state)
				callback := app.approve(alice, hers.begin(state))
				hers.plant(attackers.cookie())
				hers.open(callback)
				assert.Error(t, app.failed)
				assert.Empty(t, hers.who())
				assert.Empty(t, attackers.who())
			})
		})
		t.Run("alice's cookie in the attacker's browser"+state, func(t *testing.T) {
			attack(t, func(t *testing.T, app *attackApp) {
				hers, attackers := app.browser(), app.browser()
				callback := app.approve(mallory, attackers.begin(state))
				herURL := hers.begin(state)
				attackers.plant(hers.cookie())
				for _, state := range []string{attackParameter(t, callback, "state"), attackParameter(t, herURL, "state")} {
					attackers.plant(hers.cookie())
					attackers.open(attackWith(t, callback, "state", state))
					assert.Error(t, app.failed)
					assert.Empty(t, attackers.who())
				}
				hers.open(app.approve(alice, herURL))
				assert.Equal(t, alice, hers.who())
			})
		})
	}
	t.Run("a cookie of another application", func(t *testing.T) {
		attack(t, func(t *testing.T, app *attackApp) {
			hers := app.browser()
			own := gothic.Store
			gothic.Store = attackStore("a key of the attacker's, 32 long")
			callback := app.approve(alice, hers.begin(""))
			gothic.Store = own
			hers.open(callback)
			assert.Error(t, app.failed)
			tokens, users := app.asked()
			assert.Zero(t, tokens+users)
			assert.Empty(t, hers.who())
		})
	})
}

// A callback that says both, that the user denied and that here is a code: the
// code is somebody's whom the attacker wants in, and the denial wins.
func TestAttackDenialWithCode(t *testing.T) {
	attack(t, func(t *testing.T, app *attackApp) {
		hers, attackers := app.browser(), app.browser()
		stolen := attackParameter(t, app.approve(alice, attackWith(t, attackers.begin(""), "code_challenge", "", "code_challenge_method", "")), "code")
		for _, post := range []bool{false, true} {
			for _, query := range []string{"%s&code=%s", "code=%[2]s&%[1]s"} {
				for _, code := range []string{stolen, ""} {
					authURL := hers.begin("")
					if code == "" { // one that would do
						code = attackParameter(t, app.approve(mallory, authURL), "code")
					}
					denied, err := app.gumroad.Deny(authURL)
					require.NoError(t, err)
					address, denial, _ := strings.Cut(denied, "?")
					if both := fmt.Sprintf(query, denial, code); post {
						response, err := hers.Post(address, "application/x-www-form-urlencoded", strings.NewReader(both))
						require.NoError(t, err)
						response.Body.Close()
					} else {
						hers.open(address + "?" + both)
					}
					assert.True(t, errors.Is(app.failed, gumroad.ErrAccessDenied), "failed with %v", app.failed)
					assert.Empty(t, hers.who())
				}
			}
		}
		tokens, users := app.asked()
		assert.Zero(t, tokens+users, "requests to Gumroad")
	})
}
