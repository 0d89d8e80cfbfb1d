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

// The users in these tests. mallory is the attacker.
const (
	alice   = "1000000000001"
	bob     = "1000000000002"
	mallory = "6660000000006"
)

const attackCallback = "/auth/gumroad/callback"

// attackApp is an application that uses gothic as gothic's documentation shows.
// A cookie of its own says who is logged in.
type attackApp struct {
	*httptest.Server
	t       *testing.T
	gumroad *gumroadtest.Server

	mu     sync.Mutex
	users  map[string]string // by the app's cookie
	failed error             // the error of the last callback
}

// attack calls run twice: with an application that must send its secret to
// Gumroad, and with one that does not have to. Only PKCE protects the second.
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

// attackStore is the store that SECURITY.md recommends, but its cookies work over
// plain HTTP.
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

// approve presses "Authorize" at Gumroad as user. It returns the callback URL to
// which Gumroad redirects the browser.
func (a *attackApp) approve(user, authURL string) string {
	a.t.Helper()
	a.gumroad.SetUser(gumroadtest.User{ID: user})
	callback, err := a.gumroad.Authorize(authURL)
	require.NoError(a.t, err)
	return callback
}

// asked returns the number of requests for a token and for a user.
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

// refused fails the test unless the last callback failed with this error code
// from Gumroad.
func (a *attackApp) refused(code string) {
	a.t.Helper()
	var refused *gumroad.Error
	require.ErrorAs(a.t, a.failed, &refused)
	assert.Equal(a.t, code, refused.Code)
}

// attackBrowser is one person's browser. It does not follow redirects.
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

// begin starts a login with this query and returns the address at Gumroad.
func (b *attackBrowser) begin(query string) string {
	b.app.t.Helper()
	response, _ := b.open(b.app.URL + "/auth/gumroad" + query)
	require.Equal(b.app.t, http.StatusTemporaryRedirect, response.StatusCode)
	return response.Header.Get("Location")
}

// who returns the ID of the user who is logged in with this browser, or "".
func (b *attackBrowser) who() string {
	b.app.t.Helper()
	_, user := b.open(b.app.URL + "/me")
	return user
}

// cookie returns gothic's cookie in this browser.
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

// plant puts a cookie into this browser.
func (b *attackBrowser) plant(cookie *http.Cookie) {
	address, _ := url.Parse(b.app.URL)
	b.Jar.SetCookies(address, []*http.Cookie{{Name: cookie.Name, Value: cookie.Value, Path: "/"}})
}

// attackWith returns address with some parameters changed. An empty value
// removes the parameter.
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

// Without an attack, everyone can log in. If they could not, the other tests
// would prove nothing.
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

// The attacker starts a login in alice's browser with a state that the attacker
// knows, since gothic takes the state from the query. Then the attacker makes
// the browser open a callback with the attacker's own code. If that worked, alice
// would use the attacker's account.
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

				// The attack does not change a session that alice already has either.
				hers.open(app.approve(alice, hers.begin("")))
				hers.begin("?state=fixed")
				hers.open(callback)
				assert.Equal(t, alice, hers.who())
			})
		})
	}
}

// The attacker stole the code of alice's login before her browser used it. The
// attacker uses it in a login of the attacker's own.
func TestAttackStolenCode(t *testing.T) {
	attack(t, func(t *testing.T, app *attackApp) {
		hers, attackers := app.browser(), app.browser()
		callback := app.approve(alice, hers.begin(""))

		attackers.open(callback) // this browser began no login
		assert.Error(t, app.failed)
		for _, state := range []string{"?state=" + url.QueryEscape(attackParameter(t, callback, "state")), ""} {
			begun := attackers.begin(state)
			attackers.open(attackWith(t, callback, "state", attackParameter(t, begun, "state")))
			app.refused("invalid_grant")
			assert.Empty(t, attackers.who())
		}

		// The attacker sends the code to Gumroad directly.
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
// has no challenge. Her code is then not bound to any login.
func TestAttackStolenCodeWithoutChallenge(t *testing.T) {
	attack(t, func(t *testing.T, app *attackApp) {
		hers, attackers := app.browser(), app.browser()
		hers.open(app.approve(alice, hers.begin(""))) // she has used the application before
		begun := attackers.begin("")
		callback := app.approve(alice, attackWith(t, begun, "code_challenge", "", "code_challenge_method", ""))

		hers.open(callback) // Gumroad redirects her browser there
		assert.Error(t, app.failed)
		assert.Equal(t, alice, hers.who())
		attackers.open(callback) // the callback has the state of the attacker's login
		app.refused("invalid_grant")
		assert.Empty(t, attackers.who())
	})
}

// The attacker recorded what alice's browser sent: the address of her callback
// and the cookie that she had before it.
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

		// A reload by alice fails too. It does not log her out.
		hers.open(callback)
		assert.Error(t, app.failed)
		hers.plant(cookie)
		hers.open(callback)
		app.refused("invalid_grant")
		assert.Equal(t, alice, hers.who())
	})
}

// The answer to a callback sets gothic's cookie twice: first to the session with
// the tokens, then to nothing. Whoever keeps the first cookie has alice's access
// token. The cookie works as long as the token works, and no longer.
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

		// It does not work with a state other than that of its login.
		attackers.plant(kept)
		attackers.open(attackWith(t, callback, "state", "another"))
		assert.Error(t, app.failed)
		assert.Empty(t, attackers.who())

		// It does not work after the application has revoked the token.
		provider, err := goth.GetProvider("gumroad-attack")
		require.NoError(t, err)
		require.NoError(t, provider.(*gumroad.Provider).RevokeToken(t.Context(), attackToken(t, kept)))
		attackers.plant(kept)
		attackers.open(callback)
		app.refused("invalid_request") // there is no verifier for the code
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

// Two tabs of one browser each begin a login. gothic keeps only the later one.
// After a failed callback, it keeps none.
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

// Two browsers each have a login in progress. The attacker copies gothic's cookie
// from one browser to the other.
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

// An attacker sends alice to a callback that has both a denial and a code. The
// denial wins, and the code is not used.
func TestAttackDenialWithCode(t *testing.T) {
	attack(t, func(t *testing.T, app *attackApp) {
		hers, attackers := app.browser(), app.browser()
		stolen := attackParameter(t, app.approve(alice, attackWith(t, attackers.begin(""), "code_challenge", "", "code_challenge_method", "")), "code")
		for _, post := range []bool{false, true} {
			for _, query := range []string{"%s&code=%s", "code=%[2]s&%[1]s"} {
				for _, code := range []string{stolen, ""} {
					authURL := hers.begin("")
					if code == "" { // a code of this login, which would work without the denial
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
