package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testSite is the application on a server, with its own test server for Gumroad. At
// the end of the test, it checks that no token, code or verifier was shown or logged.
type testSite struct {
	t        *testing.T
	url      string
	app      *app   // the first of apps
	apps     []*app // the copies of the application, which take turns
	turn     atomic.Int64
	address  string // of the database
	gumroad  *gumroadtest.Server
	provider *gumroad.Provider
	server   *httptest.Server
	log      *safeBuffer
	seen     *safeBuffer // what browsers were sent
	secrets  *secretFinder
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
	s := &testSite{t: t, gumroad: gumroadtest.NewServer(), log: captureLog(t), seen: &safeBuffer{}, secrets: &secretFinder{}, address: o.address}
	t.Cleanup(s.gumroad.Close)
	s.gumroad.Handle("GET /products", http.HandlerFunc(listProducts), gumroad.ScopeViewProfile)
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
	s.provider = s.gumroad.Provider(s.url + "/auth/gumroad/callback")
	s.provider.HTTPClient = &http.Client{Transport: s.secrets}
	for range max(1, o.copies) {
		s.apps = append(s.apps, s.newCopy(testSecret))
	}
	s.app = s.apps[0]
	t.Cleanup(func() {
		for _, secret := range s.secrets.found() {
			assert.NotContains(t, s.seen.String(), secret, "a browser was sent a secret")
			assert.NotContains(t, s.log.String(), secret, "the log has a secret")
		}
	})
	return s
}

// newCopy starts a copy of the application.
func (s *testSite) newCopy(secret string) *app {
	db := openTestDatabase(s.t, s.address)
	base, err := url.Parse(s.url)
	require.NoError(s.t, err)
	copied, err := newApp(s.provider, db, base, secret, false)
	require.NoError(s.t, err)
	return copied
}

// restart replaces all copies by one with this secret.
func (s *testSite) restart(secret string) {
	s.app = s.newCopy(secret)
	s.apps = []*app{s.app}
}

func openTestDatabase(t *testing.T, address string) *database {
	db, err := openDatabase(context.Background(), address)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// eachDatabase runs a test on each kind of database. If several copies of the
// application share the database, it leaves out the one in memory.
func eachDatabase(t *testing.T, shared bool, test func(t *testing.T, address string)) {
	if !shared {
		t.Run("SQLite in memory", func(t *testing.T) { test(t, "") })
	}
	t.Run("SQLite", func(t *testing.T) { test(t, newFile(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newSchema(t)) })
}

func newFile(t *testing.T) string { return "file:" + filepath.Join(t.TempDir(), "test ?#%.db") }

var schemas atomic.Int64

// newSchema returns the address of an empty schema in the PostgreSQL database at
// TEST_DATABASE_URL.
func newSchema(t *testing.T) string {
	server := os.Getenv("TEST_DATABASE_URL")
	if server == "" {
		t.Skip("TEST_DATABASE_URL is not set to the address of a PostgreSQL database")
	}
	u, err := url.Parse(server)
	require.NoError(t, err)
	db, err := sql.Open("pgx", server)
	require.NoError(t, err)
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), schemas.Add(1))
	_, err = db.Exec("CREATE SCHEMA " + name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Exec("DROP SCHEMA " + name + " CASCADE")
		assert.NoError(t, err)
		db.Close()
	})
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	return u.String()
}

// authorize presses the button at Gumroad and returns the callback URL.
func (s *testSite) authorize(begun answer) string {
	callback, err := s.gumroad.Authorize(begun.Header.Get("Location"))
	require.NoError(s.t, err)
	return callback
}

// tokens returns the stored tokens of the only user.
func (s *testSite) tokens() pair {
	var id string
	require.NoError(s.t, s.app.accounts.db.QueryRow("SELECT user_id FROM gumroad_accounts").Scan(&id))
	acc, err := s.app.accounts.read(context.Background(), id)
	require.NoError(s.t, err)
	tokens, err := s.app.accounts.open(acc)
	require.NoError(s.t, err)
	return tokens
}

// login returns the login of the only user.
func (s *testSite) login() login {
	var who login
	require.NoError(s.t, s.app.accounts.db.QueryRow("SELECT user_id, connection FROM gumroad_accounts").Scan(&who.UserID, &who.Connection))
	return who
}

// revoked returns the tokens that Gumroad was asked to revoke.
func (s *testSite) revoked() (tokens []string) {
	for _, r := range s.gumroad.Requests() {
		if r.Path == gumroadtest.RevokePath {
			tokens = append(tokens, r.Form.Get("token"))
		}
	}
	return tokens
}

func (s *testSite) accessToken() string { return s.tokens().Access }

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

// visitorWith is another visitor with this session.
func (s *testSite) visitorWith(session string) *visitor {
	v := s.visitor()
	v.setCookie(s.app.sessions.Cookie.Name, session)
	return v
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
