package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"app/accounts"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// visitor is a browser, without the network.
type visitor struct {
	t       *testing.T
	server  *gumroadtest.Server
	app     http.Handler
	cookies map[string]*http.Cookie
	path    string // what comes after /auth/gumroad
}

func (v *visitor) open(method, address string) *http.Response {
	r := httptest.NewRequest(method, address, nil)
	for _, cookie := range v.cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	v.app.ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		v.cookies[cookie.Name] = cookie
		if cookie.MaxAge < 0 {
			delete(v.cookies, cookie.Name)
		}
	}
	return w.Result()
}

func (v *visitor) logIn() {
	callback, err := v.server.Authorize(v.open("POST", baseURL+"/auth/gumroad"+v.path).Header.Get("Location"))
	require.NoError(v.t, err)
	resp := v.open("GET", callback)
	require.Equal(v.t, "/", resp.Header.Get("Location"))
}

func (v *visitor) assertLoggedIn(want bool) {
	v.t.Helper()
	r := httptest.NewRequest("GET", baseURL+"/", nil)
	for _, cookie := range v.cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	v.app.ServeHTTP(w, r)
	if want {
		assert.Contains(v.t, w.Body.String(), "6754923450134")
		assert.Contains(v.t, w.Body.String(), `action="/disconnect"`)
	} else {
		assert.NotContains(v.t, w.Body.String(), "6754923450134")
		assert.Contains(v.t, w.Body.String(), `action="/auth/gumroad"`)
	}
}

const secret = "a secret of more than thirty-two bytes"

// newVisitors returns the application and two browsers.
func newVisitors(t *testing.T) (one, two *visitor) {
	t.Chdir(t.TempDir())
	server := gumroadtest.NewServer()
	t.Cleanup(server.Close)
	goth.UseProviders(server.Provider(baseURL + "/auth/gumroad/callback"))
	app := newApp(secret)
	return &visitor{t, server, app, map[string]*http.Cookie{}, ""}, &visitor{t, server, app, map[string]*http.Cookie{}, ""}
}

func (v *visitor) store() *store { return openStore(secret, newStore(secret, 60)) }

func TestDisconnectEndsEverySession(t *testing.T) {
	one, two := newVisitors(t)
	one.assertLoggedIn(false)
	one.logIn()
	two.logIn()
	one.assertLoggedIn(true)
	two.assertLoggedIn(true)

	assert.Equal(t, http.StatusSeeOther, one.open("POST", baseURL+"/disconnect").StatusCode)
	one.assertLoggedIn(false)
	two.assertLoggedIn(false)
	err := one.store().Use(t.Context(), "6754923450134", func(string) error { return nil })
	assert.ErrorIs(t, err, accounts.ErrNoAccount)
	assert.True(t, mustLogIn(err))

	one.logIn()
	one.assertLoggedIn(true)
	two.assertLoggedIn(false)
	assert.Equal(t, http.StatusSeeOther, two.open("POST", baseURL+"/disconnect").StatusCode)
	one.assertLoggedIn(true)
}

func TestDisconnectThatGumroadDoesNotConfirm(t *testing.T) {
	one, _ := newVisitors(t)
	one.logIn()
	one.server.Fail(gumroadtest.RevokePath, gumroadtest.Fault{Status: 503})
	assert.Equal(t, http.StatusBadGateway, one.open("POST", baseURL+"/disconnect").StatusCode)
	one.assertLoggedIn(true)
	assert.Equal(t, http.StatusSeeOther, one.open("POST", baseURL+"/disconnect").StatusCode)
	one.assertLoggedIn(false)
}

// The page promises each of these of a user's tokens.
func TestTokens(t *testing.T) {
	one, two := newVisitors(t)
	one.logIn()
	store := one.store()
	provider, err := goth.GetProvider("gumroad")
	require.NoError(t, err)
	token := ""
	use := func() error {
		return store.Use(t.Context(), "6754923450134", func(accessToken string) error {
			token = accessToken
			_, err := provider.FetchUser(&gumroad.Session{AccessToken: accessToken})
			return err
		})
	}
	alive := func(token string) bool {
		_, err := provider.FetchUser(&gumroad.Session{AccessToken: token})
		return err == nil
	}
	require.NoError(t, use())
	first := token
	data, err := os.ReadFile("accounts.db")
	require.NoError(t, err)
	assert.NotContains(t, string(data), token, "the database has a token")

	two.logIn()
	require.NoError(t, use())
	assert.False(t, alive(first), "the second login revokes the tokens of the first")
	second := token

	require.NoError(t, store.Refresh(t.Context(), "6754923450134"))
	require.NoError(t, use())
	assert.False(t, alive(second))
	assert.True(t, alive(token))

	one.server.Fail(gumroadtest.TokenPath, gumroadtest.Fault{Status: 503, After: true})
	err = store.Refresh(t.Context(), "6754923450134")
	assert.Error(t, err)
	assert.False(t, mustLogIn(err), "nobody knows yet that the answer was lost")
	err = store.Refresh(t.Context(), "6754923450134")
	assert.ErrorIs(t, err, accounts.ErrRefused)
	assert.True(t, mustLogIn(err))
	one.assertLoggedIn(false)
}

// Both providers give the same person the same account, with the scopes of the last
// login.
func TestTwoProviders(t *testing.T) {
	useProviders("key", "secret")
	for name, scopes := range map[string]string{"gumroad": "view_profile", "gumroad-seller": "view_profile+view_sales"} {
		provider, err := goth.GetProvider(name)
		require.NoError(t, err)
		session, err := provider.BeginAuth("state")
		require.NoError(t, err)
		address, err := session.GetAuthURL()
		require.NoError(t, err)
		assert.Contains(t, address, "scope="+scopes+"&")
		assert.Contains(t, address, "%2Fauth%2F"+name+"%2Fcallback&")
	}

	buyer, seller := newVisitors(t)
	provider := seller.server.Provider(baseURL+"/auth/gumroad-seller/callback", "view_profile", "view_sales")
	provider.SetName("gumroad-seller")
	goth.UseProviders(provider)
	seller.path = "-seller"
	token := func() (token string) {
		require.NoError(t, seller.store().Use(t.Context(), "6754923450134", func(accessToken string) error {
			token = accessToken
			return nil
		}))
		return token
	}
	seller.logIn()
	sellers := token()
	buyer.logIn()
	assert.NotEqual(t, sellers, token())
	buyer.assertLoggedIn(true)
	seller.assertLoggedIn(true)
}
