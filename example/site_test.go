package main

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/example/internal/testkit"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testSite is the application on a server, with its own test server for Gumroad. At
// the end of the test, it checks that no token, code or verifier was shown or logged.
type testSite struct {
	t        *testing.T
	url      string
	app      *app      // the first of apps
	db       *database // of app
	apps     []*app    // the copies of the application, which take turns
	turn     atomic.Int64
	address  string // of the database
	gumroad  *gumroadtest.Server
	provider *gumroad.Provider
	server   *httptest.Server
	log      *testkit.Buffer
	seen     *testkit.Buffer // what browsers were sent
	wire     *testkit.Wire
}

const testSecret = "a secret of thirty-two characters"

// siteOptions are the settings of a testSite that differ from the default.
type siteOptions struct {
	https   bool
	address string // of the database, "" for memory
	copies  int    // of the application, 0 for one
}

func newTestSite(t *testing.T, options ...siteOptions) *testSite {
	var o siteOptions
	if len(options) == 1 {
		o = options[0]
	}
	s := &testSite{t: t, gumroad: gumroadtest.NewServer(), log: testkit.CaptureLog(t), seen: &testkit.Buffer{}, address: o.address}
	t.Cleanup(s.gumroad.Close)
	s.gumroad.Handle("GET /products", http.HandlerFunc(listProducts), asked.Scope)
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.apps[int(s.turn.Add(1))%len(s.apps)].ServeHTTP(w, r)
	}))
	if o.https {
		s.server.StartTLS()
	} else {
		s.server.Start()
	}
	t.Cleanup(s.server.Close)
	s.url = s.server.URL
	s.provider = s.gumroad.Provider(s.url+"/auth/gumroad/callback", asked.Scope)
	s.wire = &testkit.Wire{Next: s.provider.HTTPClient.Transport}
	s.provider.HTTPClient = &http.Client{Transport: s.wire}
	for range max(1, o.copies) {
		s.apps = append(s.apps, s.newCopy(testSecret))
	}
	s.app = s.apps[0]
	t.Cleanup(func() {
		for _, secret := range s.wire.Found() {
			assert.NotContains(t, s.seen.String(), secret, "a browser was sent a secret")
			assert.NotContains(t, s.log.String(), secret, "the log has a secret")
		}
	})
	return s
}

// newCopy starts a copy of the application.
func (s *testSite) newCopy(secret string) *app {
	db := openTestDatabase(s.t, s.address)
	s.db = cmp.Or(s.db, db)
	base, err := url.Parse(s.url)
	require.NoError(s.t, err)
	copied, err := newApp(s.t.Context(), s.provider, db, base, secret, false)
	require.NoError(s.t, err)
	return copied
}

// restart replaces all copies by one with this secret.
func (s *testSite) restart(secret string) {
	s.db = nil
	s.app = s.newCopy(secret)
	s.apps = []*app{s.app}
}

func openTestDatabase(t *testing.T, address string) *database {
	db, err := openDatabase(context.Background(), address)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// authorize presses the button at Gumroad and returns the callback URL.
func (s *testSite) authorize(begun answer) string {
	callback, err := s.gumroad.Authorize(begun.Header.Get("Location"))
	require.NoError(s.t, err)
	return callback
}

// accessToken returns the stored access token of the only user.
func (s *testSite) accessToken() (token string) {
	var id string
	require.NoError(s.t, s.db.QueryRow("SELECT user_id FROM gumroad_accounts").Scan(&id))
	require.NoError(s.t, s.app.accounts.Use(context.Background(), id, func(stored string) error {
		token = stored
		return nil
	}))
	return token
}

// alive reports whether Gumroad accepts the token.
func (s *testSite) alive(token string) bool {
	require.NotEmpty(s.t, token)
	_, err := s.provider.FetchUser(&gumroad.Session{AccessToken: token})
	return err == nil
}

// visitor is a browser with its own cookies.
type visitor struct {
	site   *testSite
	client *http.Client
}

// answer is a response with its body.
type answer struct {
	*http.Response
	body string
}

func (s *testSite) visitor() *visitor {
	client := *s.server.Client()
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	client.Jar = jar
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		s.note(next.Response)
		if !strings.HasPrefix(next.URL.String(), s.url) {
			return http.ErrUseLastResponse // to Gumroad
		}
		return nil
	}
	return &visitor{site: s, client: &client}
}

func (s *testSite) note(resp *http.Response) {
	for name, values := range resp.Header {
		s.seen.Write([]byte(name + ": " + strings.Join(values, ", ") + "\n"))
	}
}

func (v *visitor) do(method, address string, header http.Header) answer {
	req, err := http.NewRequest(method, address, nil)
	if !assert.NoError(v.site.t, err) {
		return answer{Response: &http.Response{}}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := v.client.Do(req)
	if !assert.NoError(v.site.t, err) {
		return answer{Response: &http.Response{}}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	assert.NoError(v.site.t, err)
	v.site.note(resp)
	v.site.seen.Write(body)
	return answer{resp, string(body)}
}

func (v *visitor) get(path string) answer       { return v.do(http.MethodGet, v.site.url+path, nil) }
func (v *visitor) follow(address string) answer { return v.do(http.MethodGet, address, nil) }

// post sends the request of a button on a page of the application.
func (v *visitor) post(path string) answer {
	return v.do(http.MethodPost, v.site.url+path, http.Header{"Origin": {v.site.url}, "Sec-Fetch-Site": {"same-origin"}})
}

// begin returns the redirect to Gumroad.
func (v *visitor) begin() answer {
	begun := v.post("/auth/gumroad")
	require.Equal(v.site.t, http.StatusSeeOther, begun.StatusCode)
	return begun
}

// logIn logs in and returns the last page.
func (v *visitor) logIn() answer { return v.follow(v.site.authorize(v.begin())) }

// state returns the state of a redirect to Gumroad.
func state(begun answer) string {
	location, _ := url.Parse(begun.Header.Get("Location"))
	return location.Query().Get("state")
}

// callbackURL returns the callback's address. Browsers send gothic's cookie there.
func (v *visitor) callbackURL() *url.URL {
	u, err := url.Parse(v.site.url + "/auth/gumroad/callback")
	require.NoError(v.site.t, err)
	return u
}

// session returns the value of the session cookie.
func (v *visitor) session() string { return v.cookie(v.site.app.sessions.Cookie.Name) }

func (v *visitor) cookie(name string) string {
	for _, c := range v.client.Jar.Cookies(v.callbackURL()) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (v *visitor) setCookie(name, value string) {
	v.client.Jar.SetCookies(v.callbackURL(), []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}
