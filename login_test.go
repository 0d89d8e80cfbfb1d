package gumroad_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
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

// A shop is an application whose users log in with Gumroad through gothic. A cookie
// of its own says who is logged in.
type shop struct {
	t        *testing.T
	url      string
	gumroad  *gumroadtest.Server
	provider *gumroad.Provider
	seen     int      // the number of requests that assertRequests has checked
	users    sync.Map // by the shop's cookie
}

// inShops calls run with two shops: one that must send its secret to Gumroad, and
// one that does not have to. Only PKCE protects the second.
func inShops(t *testing.T, run func(t *testing.T, s *shop)) {
	for _, confidential := range []bool{true, false} {
		t.Run(fmt.Sprintf("confidential=%t", confidential), func(t *testing.T) {
			run(t, openShop(t, confidential))
		})
	}
}

// openShop starts a shop and its Gumroad. gothic's state is global, so tests that
// use a shop must not be parallel.
func openShop(t *testing.T, confidential bool) *shop {
	t.Helper()
	s := &shop{t: t, gumroad: gumroadtest.NewServer()}
	t.Cleanup(s.gumroad.Close)
	s.gumroad.SetApplication(gumroadtest.Application{Name: "Shop", Confidential: confidential})

	pages := http.NewServeMux()
	pages.HandleFunc("GET /auth/gumroad", func(w http.ResponseWriter, r *http.Request) {
		gothic.BeginAuthHandler(w, gothic.GetContextWithProvider(r, "gumroad"))
	})
	pages.HandleFunc("/auth/gumroad/callback", s.complete)
	pages.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie("shop"); err == nil {
			user, _ := s.users.Load(cookie.Value)
			fmt.Fprint(w, user)
		}
	})
	app := httptest.NewServer(pages)
	t.Cleanup(app.Close)
	s.url = app.URL

	before := gothic.Store
	gothic.Store = sealed("a key of the shop, 32 bytes long")
	s.restart()
	t.Cleanup(func() {
		gothic.Store = before
		goth.ClearProviders()
	})
	return s
}

// sealed returns the store that SECURITY.md recommends, but its cookies work over
// plain HTTP.
func sealed(key string) *sessions.CookieStore {
	store := sessions.NewCookieStore([]byte(key), []byte(key))
	store.Options = &sessions.Options{Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	store.MaxAge(10 * 60)
	return store
}

// restart gives the shop a new provider, as a restart or another replica does.
func (s *shop) restart() {
	s.provider = s.gumroad.Provider(s.url + "/auth/gumroad/callback")
	goth.UseProviders(s.provider)
}

// complete answers a callback with the user or with the reason for the failure.
func (s *shop) complete(w http.ResponseWriter, r *http.Request) {
	user, err := gothic.CompleteUserAuth(w, gothic.GetContextWithProvider(r, "gumroad"))
	var refused *gumroad.Error
	switch {
	case errors.Is(err, gumroad.ErrAccessDenied):
		http.Error(w, "the user said no", http.StatusForbidden)
	case errors.As(err, &refused):
		http.Error(w, refused.Code, http.StatusForbidden)
	case err != nil:
		http.Error(w, err.Error(), http.StatusForbidden)
	default:
		cookie := rand.Text()
		s.users.Store(cookie, user.UserID)
		http.SetCookie(w, &http.Cookie{Name: "shop", Value: cookie, Path: "/"})
		_ = json.NewEncoder(w).Encode(user)
	}
}

// authorize presses "Authorize" at Gumroad as user. It returns the callback URL.
func (s *shop) authorize(user, authURL string) string {
	callback, err := s.gumroad.AuthorizeAs(gumroadtest.User{ID: user}, authURL)
	assert.NoError(s.t, err)
	return callback
}

// assertRequests fails the test unless the shop has made exactly these requests
// to Gumroad, in this order, since the last call.
func (s *shop) assertRequests(wanted ...string) {
	s.t.Helper()
	var made []string
	all := s.gumroad.Requests()
	for _, r := range all[s.seen:] {
		made = append(made, r.Method+" "+r.Path)
	}
	s.seen = len(all)
	assert.Equal(s.t, wanted, made)
}

// A browser has the cookies of one person. It does not follow redirects.
type browser struct {
	*http.Client
	shop *shop
}

func (s *shop) browser() browser {
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	return browser{&http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}, s}
}

// read returns the answer to a request and its body.
func (b browser) read(resp *http.Response, err error) (*http.Response, string) {
	b.shop.t.Helper()
	if !assert.NoError(b.shop.t, err) {
		return &http.Response{}, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	assert.NoError(b.shop.t, err)
	return resp, strings.TrimSpace(string(body))
}

// begin opens the login link with this query. It returns the address at Gumroad.
func (b browser) begin(query string) (authURL string) {
	b.shop.t.Helper()
	resp, _ := b.read(b.Get(b.shop.url + "/auth/gumroad" + query))
	assert.Equal(b.shop.t, http.StatusTemporaryRedirect, resp.StatusCode)
	return resp.Header.Get("Location")
}

// open opens a callback. It returns the user who is now logged in, or the reason why
// nobody is.
func (b browser) open(callback string) (user goth.User, refusal string) {
	b.shop.t.Helper()
	return b.outcome(b.Get(callback))
}

func (b browser) outcome(resp *http.Response, err error) (user goth.User, refusal string) {
	b.shop.t.Helper()
	resp, body := b.read(resp, err)
	if resp.StatusCode != http.StatusOK {
		return goth.User{}, body
	}
	assert.NoError(b.shop.t, json.Unmarshal([]byte(body), &user))
	return user, ""
}

// who returns the id of the user who is logged in at the shop, or "".
func (b browser) who() string {
	b.shop.t.Helper()
	_, user := b.read(b.Get(b.shop.url + "/me"))
	return user
}

// cookie returns gothic's cookie in this browser.
func (b browser) cookie() *http.Cookie {
	b.shop.t.Helper()
	at, err := url.Parse(b.shop.url)
	require.NoError(b.shop.t, err)
	for _, cookie := range b.Jar.Cookies(at) {
		if cookie.Name == gothic.SessionName {
			return cookie
		}
	}
	require.Fail(b.shop.t, "gothic has set no cookie")
	return nil
}

// plant puts a copy of a cookie into this browser.
func (b browser) plant(cookie *http.Cookie) {
	at, err := url.Parse(b.shop.url)
	require.NoError(b.shop.t, err)
	b.Jar.SetCookies(at, []*http.Cookie{{Name: cookie.Name, Value: cookie.Value, Path: "/"}})
}

// change returns address with these parameters, which are names and values. An
// empty value removes the parameter.
func change(t *testing.T, address string, pairs ...string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	query := u.Query()
	for i := 0; i < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			query.Del(pairs[i])
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

func parameter(t *testing.T, address, name string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u.Query().Get(name)
}

// withoutChallenge removes PKCE from the address of a login. An attacker who makes a
// user open that address can do this.
var withoutChallenge = []string{"code_challenge", "", "code_challenge_method", ""}

// The shop restarts between the beginning and the end of the login, so everything
// that the login needs is in the session.
func TestLogin(t *testing.T) {
	inShops(t, func(t *testing.T, s *shop) {
		b := s.browser()
		callback, err := s.gumroad.AuthorizeAs(gumroadtest.User{ID: alice, Name: "Alice Liddell", Username: "alice", Email: "alice@example.com",
			Bio: "curiouser", Picture: "https://example.com/alice.png"}, b.begin(""))
		require.NoError(t, err)
		s.restart()
		user, refusal := b.open(callback)
		require.Empty(t, refusal)
		assert.Equal(t, alice, b.who())
		s.assertRequests("POST /oauth/token", "GET /v2/user")

		assert.NotEmpty(t, user.AccessToken)
		assert.NotEmpty(t, user.RefreshToken)
		assert.NotEmpty(t, user.RawData)
		user.AccessToken, user.RefreshToken, user.RawData = "", "", nil
		assert.Equal(t, goth.User{Provider: "gumroad", UserID: alice, Name: "Alice Liddell", NickName: "alice", Email: "alice@example.com",
			Description: "curiouser", AvatarURL: "https://example.com/alice.png"}, user)

		// Somebody else can use the same browser.
		b.open(s.authorize(bob, b.begin("")))
		assert.Equal(t, bob, b.who())
	})
}

// At the second login Gumroad does not ask the user of a confidential application
// again. It redirects the browser to the callback at once.
func TestLoginAgain(t *testing.T) {
	s := openShop(t, true)
	s.gumroad.SetUser(gumroadtest.User{ID: alice})
	first, again := s.browser(), s.browser()
	first.open(s.authorize(alice, first.begin("")))
	s.assertRequests("POST /oauth/token", "GET /v2/user")

	again.CheckRedirect = nil
	_, refusal := again.open(s.url + "/auth/gumroad")
	assert.Empty(t, refusal)
	assert.Equal(t, alice, again.who())
	s.assertRequests("GET /oauth/authorize", "POST /oauth/token", "GET /v2/user")
}

func TestLoginDenied(t *testing.T) {
	inShops(t, func(t *testing.T, s *shop) {
		b := s.browser()
		callback, err := s.gumroad.Deny(b.begin(""))
		require.NoError(t, err)
		_, refusal := b.open(callback)
		assert.Equal(t, "the user said no", refusal)
		assert.Empty(t, b.who())
		s.assertRequests()

		// The user can log in after a denial.
		b.open(s.authorize(alice, b.begin("")))
		assert.Equal(t, alice, b.who())
	})
}

// Logins that happen at the same time do not affect each other.
func TestLoginsAtOnce(t *testing.T) {
	const logins = 100
	s := openShop(t, false)
	var work sync.WaitGroup
	start := make(chan struct{})
	for i := range logins {
		b, id := s.browser(), fmt.Sprintf("1%012d", i)
		work.Add(1)
		go func() {
			defer work.Done()
			<-start
			user, refusal := b.open(s.authorize(id, b.begin("")))
			assert.Empty(t, refusal)
			assert.Equal(t, id, user.UserID)
			assert.Equal(t, id, b.who())
		}()
	}
	close(start)
	work.Wait()

	requests := map[string]int{}
	for _, r := range s.gumroad.Requests() {
		requests[r.Path]++
	}
	assert.Equal(t, map[string]int{"/oauth/token": logins, "/v2/user": logins}, requests)
}

// Logins one after the other use one connection.
func TestLoginsOverOneConnection(t *testing.T) {
	s := openShop(t, false)
	var connections atomic.Int32
	client := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		connections.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	defer client.CloseIdleConnections()
	s.provider.HTTPClient = &http.Client{Transport: client}
	b := s.browser()
	for _, user := range []string{alice, bob, alice} {
		b.open(s.authorize(user, b.begin("")))
		require.Equal(t, user, b.who())
	}
	assert.EqualValues(t, 1, connections.Load())
}

// An attacker makes a callback URL for the attacker's own account. Its state is
// known, since gothic takes the state from the link. A victim who opens it is not
// logged in as the attacker, and so does not leave sales or files there.
func TestAttackFixedState(t *testing.T) {
	for name, challenge := range map[string][]string{
		"the challenge of the attacker's login": nil,
		"no challenge":                          withoutChallenge,
		"a plain challenge":                     {"code_challenge", "known", "code_challenge_method", "plain"},
	} {
		t.Run(name, func(t *testing.T) {
			inShops(t, func(t *testing.T, s *shop) {
				hers, attackers := s.browser(), s.browser()
				callback := s.authorize(mallory, change(t, attackers.begin("?state=fixed"), challenge...))
				hers.begin("?state=fixed")
				_, refusal := hers.open(callback)
				assert.Equal(t, "invalid_grant", refusal)
				assert.Empty(t, hers.who())
				s.assertRequests("POST /oauth/token")

				// The attack does not log out a user either.
				hers.open(s.authorize(alice, hers.begin("?state=fixed")))
				hers.begin("?state=fixed")
				hers.open(callback)
				assert.Equal(t, alice, hers.who())
			})
		})
	}
}

// The attacker has the callback URL of alice's login before her browser opens it.
func TestAttackStolenCode(t *testing.T) {
	inShops(t, func(t *testing.T, s *shop) {
		hers, attackers := s.browser(), s.browser()
		callback := s.authorize(alice, hers.begin(""))
		_, refusal := attackers.open(callback)
		assert.Equal(t, "could not find a matching session for this request", refusal)
		s.assertRequests()

		// In a login of the attacker's own, with another state or with the same.
		for _, query := range []string{"", "?state=" + url.QueryEscape(parameter(t, callback, "state"))} {
			state := parameter(t, attackers.begin(query), "state")
			_, refusal = attackers.open(change(t, callback, "state", state))
			assert.Equal(t, "invalid_grant", refusal)
			assert.Empty(t, attackers.who())
			s.assertRequests("POST /oauth/token")
		}

		// None of this used up the code.
		hers.open(callback)
		assert.Equal(t, alice, hers.who())
	})
}

// The attacker makes alice open the address of the attacker's login, without the
// challenge. Her code is then not bound to any login.
func TestAttackStolenCodeWithoutChallenge(t *testing.T) {
	inShops(t, func(t *testing.T, s *shop) {
		hers, attackers := s.browser(), s.browser()
		hers.open(s.authorize(alice, hers.begin(""))) // she has used the shop before
		callback := s.authorize(alice, change(t, attackers.begin(""), withoutChallenge...))

		_, refusal := hers.open(callback) // Gumroad redirects her browser there
		assert.NotEmpty(t, refusal)
		assert.Equal(t, alice, hers.who())
		_, refusal = attackers.open(callback) // the callback has the state of the attacker's login
		assert.Equal(t, "invalid_grant", refusal)
		assert.Empty(t, attackers.who())
	})
}

// The attacker recorded what alice's browser sent: the callback URL, which stays in
// the browser's history, and the cookie that she had before it.
func TestAttackReplay(t *testing.T) {
	inShops(t, func(t *testing.T, s *shop) {
		hers, attackers := s.browser(), s.browser()
		callback, cookie := s.authorize(alice, hers.begin("")), hers.cookie()
		hers.open(callback)
		require.Equal(t, alice, hers.who())

		attackers.plant(cookie)
		_, refusal := attackers.open(callback)
		assert.Equal(t, "invalid_grant", refusal)
		assert.Empty(t, attackers.who())

		// When alice reloads the page, that fails too, but she stays logged in.
		_, refusal = hers.open(callback)
		assert.Equal(t, "could not find a matching session for this request", refusal)
		assert.Equal(t, alice, hers.who())
	})
}

// The answer to a callback sets gothic's cookie twice: first to the session with
// the tokens, then to nothing. Whoever keeps the first cookie has alice's access
// token. The cookie works as long as the token works, and no longer.
func TestAttackCookieWithTokens(t *testing.T) {
	inShops(t, func(t *testing.T, s *shop) {
		hers, attackers := s.browser(), s.browser()
		callback := s.authorize(alice, hers.begin(""))
		resp, _ := hers.read(hers.Get(callback))
		kept := resp.Cookies()[0]
		require.Equal(t, gothic.SessionName, kept.Name)
		require.Positive(t, kept.MaxAge)

		attackers.plant(kept)
		_, refusal := attackers.open(change(t, callback, "state", "another"))
		assert.Equal(t, "state token mismatch", refusal)
		attackers.plant(kept)
		user, _ := attackers.open(callback)
		require.Equal(t, alice, user.UserID, "the cookie has no token")

		require.NoError(t, s.provider.RevokeToken(t.Context(), user.AccessToken))
		again := s.browser()
		again.plant(kept)
		_, refusal = again.open(callback)
		assert.Equal(t, "invalid_request", refusal) // there is no verifier for the code
		assert.Empty(t, again.who())
	})
}

// Two tabs of one browser each begin a login. gothic keeps only the later one.
// After a failed callback, it keeps none.
func TestAttackTwoLoginsInOneBrowser(t *testing.T) {
	for query, refusal := range map[string]string{"": "state token mismatch", "?state=same": "invalid_grant"} {
		t.Run("the later one first"+query, func(t *testing.T) {
			inShops(t, func(t *testing.T, s *shop) {
				b := s.browser()
				first := s.authorize(alice, b.begin(query))
				second := s.authorize(bob, b.begin(query))
				b.open(second)
				require.Equal(t, bob, b.who())
				_, refused := b.open(first)
				assert.Equal(t, "could not find a matching session for this request", refused)
				assert.Equal(t, bob, b.who())
			})
		})
		t.Run("the earlier one first"+query, func(t *testing.T) {
			inShops(t, func(t *testing.T, s *shop) {
				b := s.browser()
				first := s.authorize(alice, b.begin(query))
				second := s.authorize(bob, b.begin(query))
				_, refused := b.open(first)
				assert.Equal(t, refusal, refused)
				_, refused = b.open(second)
				assert.Equal(t, "could not find a matching session for this request", refused)
				assert.Empty(t, b.who())
			})
		})
	}
}

// Two browsers each have a login in progress. The attacker copies gothic's cookie
// from one to the other.
func TestAttackCookieOfAnotherLogin(t *testing.T) {
	for query, refusal := range map[string]string{"": "state token mismatch", "?state=fixed": "invalid_grant"} {
		t.Run("the attacker's cookie in alice's browser"+query, func(t *testing.T) {
			inShops(t, func(t *testing.T, s *shop) {
				hers, attackers := s.browser(), s.browser()
				attackers.begin(query)
				callback := s.authorize(alice, hers.begin(query))
				hers.plant(attackers.cookie())
				_, refused := hers.open(callback)
				assert.Equal(t, refusal, refused)
				assert.Empty(t, hers.who())
			})
		})
		t.Run("alice's cookie in the attacker's browser"+query, func(t *testing.T) {
			inShops(t, func(t *testing.T, s *shop) {
				hers, attackers := s.browser(), s.browser()
				callback := s.authorize(mallory, attackers.begin(query))
				authURL := hers.begin(query)
				attackers.plant(hers.cookie())
				_, refused := attackers.open(callback)
				assert.Equal(t, refusal, refused)
				attackers.plant(hers.cookie())
				_, refused = attackers.open(change(t, callback, "state", parameter(t, authURL, "state")))
				assert.Equal(t, "invalid_grant", refused)
				assert.Empty(t, attackers.who())

				hers.open(s.authorize(alice, authURL))
				assert.Equal(t, alice, hers.who())
			})
		})
	}
	t.Run("a cookie with another key", func(t *testing.T) {
		s := openShop(t, false)
		hers, own := s.browser(), gothic.Store
		gothic.Store = sealed("a key of mallory's, 32 bytes long"[:32])
		callback := s.authorize(alice, hers.begin(""))
		gothic.Store = own
		_, refused := hers.open(callback)
		assert.Equal(t, "could not find a matching session for this request", refused)
		s.assertRequests()
	})
}

// The attacker makes up a callback for a login that alice has begun.
func TestAttackForgedCallback(t *testing.T) {
	for name, forged := range map[string]struct {
		pairs    []string
		refusal  string
		requests []string
	}{
		"no code":           {nil, "gumroad: completing the login: the callback has no authorization code; let the user start again", nil},
		"an invented code":  {[]string{"code", "invented"}, "invalid_grant", []string{"POST /oauth/token"}},
		"an invented error": {[]string{"error", "server_error"}, "server_error", nil},
		"another state":     {[]string{"code", "invented", "state", "another"}, "state token mismatch", nil},
		"no state":          {[]string{"code", "invented", "state", ""}, "state token mismatch", nil},
	} {
		t.Run(name, func(t *testing.T) {
			inShops(t, func(t *testing.T, s *shop) {
				b := s.browser()
				state := parameter(t, b.begin(""), "state")
				_, refusal := b.open(change(t, s.url+"/auth/gumroad/callback", append([]string{"state", state}, forged.pairs...)...))
				assert.Equal(t, forged.refusal, refusal)
				assert.Empty(t, b.who())
				s.assertRequests(forged.requests...)
			})
		})
	}
}

// A callback can have both a denial and a code of the same login. The denial wins,
// and the code is not used.
func TestAttackDenialWithCode(t *testing.T) {
	inShops(t, func(t *testing.T, s *shop) {
		for _, query := range []string{"%s&code=%s", "code=%[2]s&%[1]s"} {
			for _, post := range []bool{false, true} {
				b := s.browser()
				authURL := b.begin("")
				denied, err := s.gumroad.Deny(authURL)
				require.NoError(t, err)
				address, denial, _ := strings.Cut(denied, "?")
				both := fmt.Sprintf(query, denial, parameter(t, s.authorize(alice, authURL), "code"))
				refusal := ""
				if post {
					_, refusal = b.outcome(b.Post(address, "application/x-www-form-urlencoded", strings.NewReader(both)))
				} else {
					_, refusal = b.open(address + "?" + both)
				}
				assert.Equal(t, "the user said no", refusal)
				assert.Empty(t, b.who())
			}
		}
		s.assertRequests()
	})
}
