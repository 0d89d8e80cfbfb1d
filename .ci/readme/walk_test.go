package readme

import (
	"bytes"
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rig is a file that is added to a program. It sends requests for Gumroad's hosts
// to the test server and refuses requests to other hosts.
const rig = `package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

type gumroadIsGumroadtest struct {
	target *url.URL
	http.RoundTripper
}

func init() {
	target, err := url.Parse(os.Getenv("GUMROADTEST"))
	if err != nil {
		panic(err)
	}
	http.DefaultTransport = gumroadIsGumroadtest{target, http.DefaultTransport}
}

func (g gumroadIsGumroadtest) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "gumroad.com" && !strings.HasSuffix(r.URL.Host, ".gumroad.com") {
		return nil, fmt.Errorf("%s is not Gumroad", r.URL.Host)
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = g.target.Scheme, g.target.Host, g.target.Host
	return g.RoundTripper.RoundTrip(r)
}
`

// secret is a session secret as "openssl rand -hex 32" prints it.
const secret = "5f1d7a0c9be84236a1c07d52f3e9b8640d7e1fa25c3b49880617e2d4c5a9f310"

// sent is text that a stranger puts into an error description.
const sent = "call-555-0100"

func build(t *testing.T, module string) string {
	program := filepath.Join(module, "program")
	output, err := command(module, "go build -o "+program+" .").CombinedOutput()
	require.NoError(t, err, string(output))
	return program
}

// newServer starts a test server with an application that has this callback.
func newServer(t *testing.T, callback string) *gumroadtest.Server {
	server := gumroadtest.NewServer()
	t.Cleanup(server.Close)
	server.SetApplication(gumroadtest.Application{Name: "Documentation", RedirectURIs: []string{callback}})
	return server
}

// environment returns the variables that the README says to set, and GUMROADTEST for
// rig.
func environment(server *gumroadtest.Server) map[string]string {
	return map[string]string{
		"GUMROADTEST":    server.URL,
		"GUMROAD_KEY":    server.ClientID,
		"GUMROAD_SECRET": server.ClientSecret,
		"SESSION_SECRET": secret,
	}
}

// newProgram returns a command for the program, and its output.
func newProgram(t *testing.T, path string, env map[string]string) (*exec.Cmd, *output) {
	cmd := exec.CommandContext(t.Context(), path)
	cmd.Dir = t.TempDir()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = []string{"HOME=" + cmd.Dir}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// output collects what a program prints. It can be read while the program runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(data)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// walk starts a web application and visits it.
func walk(t *testing.T, program, port string) {
	v := &visit{origin: "http://localhost:" + port}
	v.server = newServer(t, v.origin+"/auth/gumroad/callback")

	for _, missing := range []string{"GUMROAD_KEY", "GUMROAD_SECRET", "SESSION_SECRET"} {
		t.Run("without "+missing, func(t *testing.T) {
			env := environment(v.server)
			delete(env, missing)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			cmd, out := newProgram(t, program, env)
			require.NoError(t, cmd.Start())
			defer context.AfterFunc(ctx, func() { cmd.Process.Kill() })()
			err := cmd.Wait()
			assert.NoError(t, ctx.Err(), "the program does not exit")
			assert.Error(t, err, "the program exits with 0")
			assert.Contains(t, out.String(), missing)
			assert.Equal(t, 1, strings.Count(out.String(), "\n"), "want one sentence, not\n%s", out)
		})
	}

	for _, test := range []struct {
		name  string
		steps func(*testing.T)
	}{
		{"login", v.login}, {"denial", v.denial}, {"failure", v.failure}, {"prefetch", v.prefetch},
		{"chosen state", v.chosenState}, {"HEAD", v.head}, {"forged callback", v.forged},
		{"stray callback", v.stray}, {"two tabs", v.twoTabs}, {"old cookies", v.oldCookies}, {"foreign page", v.foreign},
	} {
		t.Run(test.name, func(t *testing.T) {
			v.start(t, program, environment(v.server))
			defer v.stop(t)
			test.steps(t)
		})
	}
	t.Run("any secret", func(t *testing.T) {
		for _, any := range []string{"short", "A phrase of more than 64 bytes, which is no key of AES as it stands here."} {
			env := environment(v.server)
			env["SESSION_SECRET"] = any
			func() {
				v.start(t, program, env)
				defer v.stop(t)
				v.login(t)
			}()
		}
	})
}

// visit is a running program and its Gumroad.
type visit struct {
	origin string
	server *gumroadtest.Server
	cmd    *exec.Cmd
	out    *output
	sent   []string // codes and states, which the log must not contain
}

func (v *visit) start(t *testing.T, program string, env map[string]string) {
	v.sent = nil
	v.cmd, v.out = newProgram(t, program, env)
	require.NoError(t, v.cmd.Start())
	require.Eventually(t, func() bool {
		resp, err := http.Get(v.origin + "/")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}, 10*time.Second, 20*time.Millisecond, "the program does not listen: %s", v.out)
}

// stop stops the program and checks its log.
func (v *visit) stop(t *testing.T) {
	v.cmd.Process.Kill()
	v.cmd.Wait()
	http.DefaultClient.CloseIdleConnections() // the next program has the same address
	t.Log(v.out)
	for _, secret := range v.sent {
		assert.NotContains(t, v.out.String(), secret, "the log has a code or a state")
		assert.NotContains(t, v.out.String(), url.QueryEscape(secret), "the log has a code or a state")
	}
	assert.NotContains(t, v.out.String(), "panic")
}

// newBrowser returns a browser without cookies. It does not follow redirects.
func newBrowser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// open makes a request and returns the answer and its text.
func (v *visit) open(t *testing.T, browser *http.Client, method, address string) (*http.Response, string) {
	req, err := http.NewRequest(method, address, nil)
	require.NoError(t, err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", v.origin)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := browser.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for _, cookie := range resp.Cookies() {
		if cookie.MaxAge >= 0 {
			assert.True(t, cookie.HttpOnly, "%s: a script can read the cookie %s", address, cookie.Name)
			assert.Equal(t, http.SameSiteLaxMode, cookie.SameSite, "%s: the cookie %s", address, cookie.Name)
		}
	}
	return resp, html.UnescapeString(string(body))
}

// follow opens the address and follows redirects. It fails the test if one leaves
// the application.
func (v *visit) follow(t *testing.T, browser *http.Client, address string) (*http.Response, string) {
	resp, text := v.open(t, browser, http.MethodGet, address)
	for range 5 {
		location, err := resp.Location()
		if err != nil {
			break
		}
		require.Equal(t, v.origin, location.Scheme+"://"+location.Host, "%s redirects to another host", address)
		resp, text = v.open(t, browser, http.MethodGet, location.String())
	}
	return resp, text
}

// begin presses the login button and returns the address at Gumroad.
func (v *visit) begin(t *testing.T, browser *http.Client) string {
	resp, page := v.open(t, browser, http.MethodGet, v.origin+"/")
	assert.Contains(t, resp.Header.Get("Content-Type"), "text/html")
	assert.Regexp(t, `(?i)<form[^>]*method="?post`, page, "the page has no form with method post")
	assert.Contains(t, page, "/auth/gumroad")
	resp, text := v.open(t, browser, http.MethodPost, v.origin+"/auth/gumroad")
	require.Equal(t, http.StatusSeeOther, resp.StatusCode, text)
	location, err := resp.Location()
	require.NoError(t, err)
	require.Equal(t, "gumroad.com", location.Host)
	require.NotEmpty(t, location.Query().Get("code_challenge"))
	require.NotEmpty(t, location.Query().Get("state"))
	v.sent = append(v.sent, location.Query().Get("state"))
	return location.String()
}

// authorize presses "Authorize" at Gumroad and returns the callback URL.
func (v *visit) authorize(t *testing.T, authURL string) string {
	callback, err := v.server.Authorize(authURL)
	require.NoError(t, err)
	address, err := url.Parse(callback)
	require.NoError(t, err)
	v.sent = append(v.sent, address.Query().Get("code"))
	return callback
}

func (v *visit) login(t *testing.T) {
	browser := newBrowser()
	callback := v.authorize(t, v.begin(t, browser))
	resp, text := v.open(t, browser, http.MethodGet, callback)
	require.Equal(t, http.StatusSeeOther, resp.StatusCode, "the callback stays in the address bar: %s", text)
	home, err := resp.Location()
	require.NoError(t, err)
	for _, visit := range []string{"after the login", "reload"} {
		resp, text = v.open(t, browser, http.MethodGet, home.String())
		assert.Equal(t, http.StatusOK, resp.StatusCode, visit)
		assert.Contains(t, text, "6754923450134", visit)
		assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"), visit)
	}

	// The user goes back and reloads the callback.
	_, text = v.follow(t, browser, callback)
	v.assertOwnWords(t, text)
	_, text = v.open(t, browser, http.MethodGet, home.String())
	assert.Contains(t, text, "6754923450134", "a reload of the callback ends the login")
	_, text = v.follow(t, newBrowser(), home.String())
	assert.NotContains(t, text, "6754923450134", "another browser is logged in")
}

func (v *visit) denial(t *testing.T) {
	browser := newBrowser()
	callback, err := v.server.Deny(v.begin(t, browser))
	require.NoError(t, err)
	before := len(v.server.Requests())
	_, text := v.follow(t, browser, callback)
	v.assertOwnWords(t, text)
	assert.Contains(t, text, "You did not give access.", "a denial")
	v.assertLoggedOut(t, browser)

	address, err := url.Parse(v.begin(t, browser))
	require.NoError(t, err)
	query := url.Values{"error": {"access_denied"}, "error_description": {sent}, "state": {address.Query().Get("state")}}
	_, text = v.follow(t, browser, v.origin+"/auth/gumroad/callback?"+query.Encode())
	v.assertOwnWords(t, text)
	assert.Len(t, v.server.Requests(), before, "a denial makes a request to Gumroad")
}

func (v *visit) failure(t *testing.T) {
	browser := newBrowser()
	v.server.Fail(gumroadtest.TokenPath, gumroadtest.Fault{Status: 503, Body: sent})
	_, text := v.follow(t, browser, v.authorize(t, v.begin(t, browser)))
	v.assertOwnWords(t, text)
	v.assertLoggedOut(t, browser)
	assert.Contains(t, v.out.String(), "gumroad: exchanging the authorization code", "the log has no error")
}

func (v *visit) prefetch(t *testing.T) {
	resp, _ := v.open(t, newBrowser(), http.MethodGet, v.origin+"/auth/gumroad")
	assert.NotContains(t, resp.Header.Get("Location"), "oauth", "a GET begins a login")
	assert.Empty(t, resp.Cookies(), "a GET begins a login")
}

func (v *visit) chosenState(t *testing.T) {
	resp, _ := v.open(t, newBrowser(), http.MethodPost, v.origin+"/auth/gumroad?state=chosen")
	location, err := resp.Location()
	require.NoError(t, err)
	assert.NotEqual(t, "chosen", location.Query().Get("state"), "a link can choose the state")
}

func (v *visit) head(t *testing.T) {
	browser := newBrowser()
	callback := v.authorize(t, v.begin(t, browser))
	v.assertIgnores(t, browser, http.MethodHead, callback)
	v.assertCompletes(t, browser, callback)
}

func (v *visit) forged(t *testing.T) {
	v.assertIgnores(t, newBrowser(), http.MethodGet, v.origin+"/auth/gumroad/callback?code=forged&state=forged")
}

// stray opens links to the callback while a login is in progress.
func (v *visit) stray(t *testing.T) {
	browser := newBrowser()
	callback := v.authorize(t, v.begin(t, browser))
	for _, query := range []string{"", "?code=x&state=y", "?code=x&state=", "?code=x", "?error=access_denied&state=y", "?state=%zz", "?code=x&state=y&provider=x"} {
		v.assertIgnores(t, browser, http.MethodGet, v.origin+"/auth/gumroad/callback"+query)
	}
	v.assertCompletes(t, browser, callback)
	v.assertIgnores(t, browser, http.MethodGet, v.origin+"/auth/gumroad/callback?code=x&state=y")
	_, text := v.follow(t, browser, v.origin+"/")
	assert.Contains(t, text, "6754923450134", "a stray callback logs the user out")
}

// twoTabs begins two logins in one browser. The newer one must work, whichever comes
// back first.
func (v *visit) twoTabs(t *testing.T) {
	for _, olderFirst := range []bool{true, false} {
		browser := newBrowser()
		older := v.authorize(t, v.begin(t, browser))
		newer := v.authorize(t, v.begin(t, browser))
		if olderFirst {
			v.assertIgnores(t, browser, http.MethodGet, older)
		}
		v.assertCompletes(t, browser, newer)
		v.assertIgnores(t, browser, http.MethodGet, older)
		_, text := v.follow(t, browser, v.origin+"/")
		assert.Contains(t, text, "6754923450134", "the older tab logs the user out")
	}
}

// oldCookies logs in with cookies that the program cannot read, such as those of an
// older secret.
func (v *visit) oldCookies(t *testing.T) {
	other := sessions.NewCookieStore(make([]byte, 32))
	for _, name := range []string{"_gothic_session", "app-user"} {
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		session, _ := other.New(r, name)
		session.Values["id"], session.Values["gumroad"] = "6754923450134", "{}"
		require.NoError(t, session.Save(r, w))
		for _, value := range []string{"", "old", w.Result().Cookies()[0].Value} {
			browser := newBrowser()
			origin, err := url.Parse(v.origin)
			require.NoError(t, err)
			browser.Jar.SetCookies(origin, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
			v.assertLoggedOut(t, browser)
			v.assertIgnores(t, browser, http.MethodGet, v.origin+"/auth/gumroad/callback?code=x&state=y")
			v.assertCompletes(t, browser, v.authorize(t, v.begin(t, browser)))
		}
	}
}

// foreign lets pages of other websites send the login form.
func (v *visit) foreign(t *testing.T) {
	browser := newBrowser()
	callback := v.authorize(t, v.begin(t, browser))
	for _, header := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		{"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://localhost:1"}},
		{"Origin": {"https://evil.example"}},
		{"Origin": {"null"}},
	} {
		req, err := http.NewRequest(http.MethodPost, v.origin+"/auth/gumroad", nil)
		require.NoError(t, err)
		req.Header = header
		resp, err := browser.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, http.StatusForbidden, resp.StatusCode, header)
		assert.Empty(t, resp.Cookies(), "a page with %v begins a login", header)
	}
	v.assertCompletes(t, browser, callback)
}

// assertIgnores opens a callback that belongs to no login in progress. The program
// must not ask Gumroad or change a cookie.
func (v *visit) assertIgnores(t *testing.T, browser *http.Client, method, callback string) {
	t.Helper()
	before := len(v.server.Requests())
	resp, _ := v.open(t, browser, method, callback)
	assert.Empty(t, resp.Cookies(), "%s %s changes a cookie", method, callback)
	if method == http.MethodGet {
		_, text := v.follow(t, browser, callback)
		v.assertOwnWords(t, text)
	}
	assert.Len(t, v.server.Requests(), before, "%s %s makes a request to Gumroad", method, callback)
}

// assertCompletes opens the callback of the login in progress. It must log in.
func (v *visit) assertCompletes(t *testing.T, browser *http.Client, callback string) {
	t.Helper()
	_, text := v.follow(t, browser, callback)
	assert.Contains(t, text, "6754923450134", "the login fails")
}

// assertOwnWords fails the test if the page shows an error of Gumroad or gothic
// instead of the application's own words.
func (v *visit) assertOwnWords(t *testing.T, text string) {
	assert.NotEmpty(t, strings.TrimSpace(text), "the page is empty")
	for _, foreign := range []string{sent, "gumroad:", "resource owner", "matching session", "token mismatch", "securecookie"} {
		assert.NotContains(t, text, foreign, "the page shows an error of Gumroad or gothic")
	}
}

func (v *visit) assertLoggedOut(t *testing.T, browser *http.Client) {
	_, text := v.follow(t, browser, v.origin+"/")
	assert.NotContains(t, text, "6754923450134")
}
