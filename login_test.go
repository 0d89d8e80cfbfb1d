package gumroad_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
	"github.com/markbates/goth/gothic"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A shop is an application whose users log in with Gumroad through gothic. It
// answers a callback with the user or with the reason for the failure.
type shop struct {
	t       *testing.T
	url     string
	gumroad *gumroadtest.Server
	begun   int // the number of requests that assertRequests has checked
}

// openShop starts a shop and its Gumroad. gothic's state is global, so tests that
// use a shop must not be parallel.
func openShop(t *testing.T, confidential bool) *shop {
	t.Helper()
	g := gumroadtest.NewServer()
	t.Cleanup(g.Close)
	g.SetApplication(gumroadtest.Application{Name: "Shop", Confidential: confidential})

	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth/gumroad", func(w http.ResponseWriter, r *http.Request) {
		gothic.BeginAuthHandler(w, gothic.GetContextWithProvider(r, "gumroad"))
	})
	mux.HandleFunc("GET /auth/gumroad/callback", func(w http.ResponseWriter, r *http.Request) {
		user, err := gothic.CompleteUserAuth(w, gothic.GetContextWithProvider(r, "gumroad"))
		var refused *gumroad.Error
		switch {
		case errors.Is(err, gumroad.ErrAccessDenied):
			http.Error(w, "you said no", http.StatusForbidden)
		case errors.As(err, &refused):
			http.Error(w, refused.Code, http.StatusForbidden)
		case err != nil:
			http.Error(w, err.Error(), http.StatusForbidden)
		default:
			_ = json.NewEncoder(w).Encode(user)
		}
	})
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)

	store := sessions.NewCookieStore([]byte("0123456789abcdef0123456789abcdef"))
	store.Options = &sessions.Options{Path: "/", MaxAge: 600, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	before := gothic.Store
	gothic.Store = store
	goth.UseProviders(g.Provider(app.URL + "/auth/gumroad/callback"))
	t.Cleanup(func() {
		gothic.Store = before
		goth.ClearProviders()
	})
	return &shop{t: t, url: app.URL, gumroad: g}
}

// assertRequests fails the test unless the shop has made exactly these requests
// to Gumroad, in this order, since the last call.
func (s *shop) assertRequests(wanted ...string) {
	s.t.Helper()
	var made []string
	all := s.gumroad.Requests()
	for _, r := range all[s.begun:] {
		made = append(made, r.Method+" "+r.Path)
	}
	s.begun = len(all)
	assert.Equal(s.t, wanted, made)
}

// A browser has the cookies of one person. It does not follow redirects.
type browser struct {
	shop   *shop
	client *http.Client
}

func (s *shop) browser() browser {
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	return browser{s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

// copy returns another browser with the same cookies, as if somebody had copied
// them.
func (b browser) copy() browser {
	kept := b.shop.browser()
	at, err := url.Parse(b.shop.url)
	require.NoError(b.shop.t, err)
	kept.client.Jar.SetCookies(at, b.client.Jar.Cookies(at))
	return kept
}

// begin opens the login link with this query. It returns the address at Gumroad.
func (b browser) begin(query string) (authURL string) {
	t := b.shop.t
	t.Helper()
	resp, err := b.client.Get(b.shop.url + "/auth/gumroad" + query)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode)
	return resp.Header.Get("Location")
}

// open opens an address of the shop. It returns the user who is logged in, or the
// reason why nobody is.
func (b browser) open(address string) (user goth.User, refusal string) {
	t := b.shop.t
	t.Helper()
	resp, err := b.client.Get(address)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.StatusCode != http.StatusOK {
		return goth.User{}, strings.TrimSpace(string(body))
	}
	require.NoError(t, json.Unmarshal(body, &user))
	return user, ""
}

// authorize presses "Authorize" at Gumroad. It returns the callback URL.
func (s *shop) authorize(authURL string) (callback string) {
	s.t.Helper()
	callback, err := s.gumroad.Authorize(authURL)
	require.NoError(s.t, err)
	return callback
}

func TestLogin(t *testing.T) {
	s := openShop(t, true)
	b := s.browser()
	user, refusal := b.open(s.authorize(b.begin("")))
	require.Empty(t, refusal)
	s.assertRequests("POST /oauth/token", "GET /v2/user")

	made := s.gumroad.Requests()
	assert.Equal(t, s.gumroad.ClientSecret, made[0].Form.Get("client_secret"))
	assert.NotContains(t, made[0].Header, "Authorization")
	assert.Equal(t, "Bearer "+user.AccessToken, made[1].Header.Get("Authorization"))
	assert.Empty(t, made[1].Form)

	assert.NotEmpty(t, user.AccessToken)
	assert.NotEmpty(t, user.RefreshToken)
	assert.Zero(t, user.ExpiresAt)
	assert.Equal(t, "gumroad", user.Provider)
	assert.Equal(t, goth.User{UserID: "6754923450134", Name: "John Smith", NickName: "sailorjohn", Email: "johnsmith@gumroad.com",
		Description: "a sailor, a tailor", AvatarURL: "https://public-files.gumroad.com/john.png"}, profile(user))
}

// At the second login Gumroad does not ask the user again. It redirects the
// browser to the callback at once.
func TestLoginAgain(t *testing.T) {
	s := openShop(t, true)
	first := s.browser()
	_, refusal := first.open(s.authorize(first.begin("")))
	require.Empty(t, refusal)
	s.assertRequests("POST /oauth/token", "GET /v2/user")

	again := s.browser()
	again.client.CheckRedirect = nil
	user, refusal := again.open(s.url + "/auth/gumroad")
	assert.Empty(t, refusal)
	assert.Equal(t, "6754923450134", user.UserID)
	s.assertRequests("GET /oauth/authorize", "POST /oauth/token", "GET /v2/user")
}

func TestLoginDenied(t *testing.T) {
	s := openShop(t, true)
	b := s.browser()
	callback, err := s.gumroad.Deny(b.begin(""))
	require.NoError(t, err)
	_, refusal := b.open(callback)
	assert.Equal(t, "you said no", refusal)
	s.assertRequests()

	// The user can log in after a denial.
	user, _ := b.open(s.authorize(b.begin("")))
	assert.Equal(t, "6754923450134", user.UserID)
}

// The browser's history keeps the address of the callback, and somebody may copy
// the cookie. Neither can be used for a second login.
func TestLoginReplayed(t *testing.T) {
	s := openShop(t, true)
	b := s.browser()
	callback := s.authorize(b.begin(""))
	kept := b.copy()
	user, _ := b.open(callback)
	require.Equal(t, "6754923450134", user.UserID)
	s.assertRequests("POST /oauth/token", "GET /v2/user")

	_, refusal := b.open(callback)
	assert.Equal(t, "could not find a matching session for this request", refusal)
	s.assertRequests()

	_, refusal = kept.open(callback)
	assert.Equal(t, "invalid_grant", refusal)
	s.assertRequests("POST /oauth/token")
}

func TestLoginWithAnotherState(t *testing.T) {
	s := openShop(t, true)
	b := s.browser()
	callback := s.authorize(b.begin(""))
	b.begin("") // in another tab
	_, refusal := b.open(callback)
	assert.Equal(t, "state token mismatch", refusal)

	_, refusal = s.browser().open(callback)
	assert.Equal(t, "could not find a matching session for this request", refusal)
	s.assertRequests()
}

// edit returns address with its query changed by change.
func edit(t *testing.T, address string, change func(url.Values)) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	query := u.Query()
	change(query)
	u.RawQuery = query.Encode()
	return u.String()
}

// withoutChallenge removes PKCE from the address of a login. An attacker can do
// this.
func withoutChallenge(query url.Values) {
	query.Del("code_challenge")
	query.Del("code_challenge_method")
}

func unchanged(url.Values) {}

// attacks lists the combinations of two things: whether the application is
// confidential, and whether the attacker removed PKCE from the address of the
// login.
var attacks = []struct {
	name         string
	confidential bool
	change       func(url.Values)
}{
	{"confidential", true, unchanged},
	{"confidential, no challenge", true, withoutChallenge},
	{"not confidential", false, unchanged},
	{"not confidential, no challenge", false, withoutChallenge},
}

// A thief uses the code of a victim's login in a login of the thief's own. The
// thief does not get into the victim's account.
func TestLoginWithAStolenCode(t *testing.T) {
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			s := openShop(t, attack.confidential)
			victim, thief := s.browser(), s.browser()
			begun := victim.begin("")
			callback := s.authorize(edit(t, begun, attack.change))
			stolen, err := url.Parse(callback)
			require.NoError(t, err)

			own := s.authorize(thief.begin(""))
			_, refusal := thief.open(edit(t, own, func(query url.Values) { query.Set("code", stolen.Query().Get("code")) }))
			assert.Equal(t, "invalid_grant", refusal)
			s.assertRequests("POST /oauth/token")
		})
	}
}

// An attacker makes a callback URL for the attacker's own account. Its state is
// known, since gothic takes the state from the link. A victim who opens it is not
// logged in as the attacker, and so does not leave sales or files there.
func TestLoginWithAFixedState(t *testing.T) {
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			s := openShop(t, attack.confidential)
			attacker, victim := s.browser(), s.browser()
			callback := s.authorize(edit(t, attacker.begin("?state=fixed"), attack.change))

			victim.begin("?state=fixed")
			_, refusal := victim.open(callback)
			assert.Equal(t, "invalid_grant", refusal)
			s.assertRequests("POST /oauth/token")
		})
	}
}

// A failed attempt of a thief does not use up the code. The victim can still log
// in with it.
func TestLoginAfterAnAttack(t *testing.T) {
	s := openShop(t, true)
	victim, thief := s.browser(), s.browser()
	callback := s.authorize(victim.begin("?state=fixed"))
	thief.begin("?state=fixed")
	_, refusal := thief.open(callback)
	assert.Equal(t, "invalid_grant", refusal)
	user, refusal := victim.open(callback)
	assert.Empty(t, refusal)
	assert.Equal(t, "6754923450134", user.UserID)
}

func TestLoginOfAMisconfiguredShop(t *testing.T) {
	s := openShop(t, true)
	provider, err := goth.GetProvider("gumroad")
	require.NoError(t, err)

	b := s.browser()
	provider.(*gumroad.Provider).Secret = "wrong"
	_, refusal := b.open(s.authorize(b.begin("")))
	assert.Equal(t, "invalid_client", refusal)
	s.assertRequests("POST /oauth/token")

	provider.(*gumroad.Provider).CallbackURL = s.url + "/elsewhere"
	_, err = s.gumroad.Authorize(b.begin(""))
	assert.ErrorContains(t, err, "redirect")
}
