package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/example/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBusyPort(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	_, port, err := net.SplitHostPort(busy.Addr().String())
	require.NoError(t, err)
	err = run(context.Background(), env(map[string]string{"PORT": port}), io.Discard)
	require.ErrorContains(t, err, "port "+port)
	require.ErrorContains(t, err, "set PORT")
}

// program is a running program.
type program struct{ base, says string }

// start runs the program until the test is over.
func start(t *testing.T, vars map[string]string) program {
	testkit.CaptureLog(t)
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, env(vars), in)
		in.Close()
	}()
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^Listening on port \d+\. Open http\S+ in a browser\. Ctrl-C stops it\.\n$`, first)
	says, err := lines.ReadString('\n')
	require.NoError(t, err)
	if vars["GUMROAD_KEY"] != "" {
		redirectURI, err := lines.ReadString('\n')
		require.NoError(t, err)
		says += redirectURI
	}
	t.Cleanup(func() {
		cancel()
		more, _ := io.ReadAll(lines)
		assert.Equal(t, "Stopping. Waiting for requests in progress. Press Ctrl-C again to stop at once.\n", string(more))
		assert.NoError(t, <-ended)
	})
	return program{regexp.MustCompile(`https?://\S+`).FindString(first), says}
}

// Without any settings, a user can log in.
func TestRun(t *testing.T) {
	base := start(t, map[string]string{"PORT": "0"}).base
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	resp, err := browser.PostForm(base+"/auth/gumroad", nil)
	consent := read(t)(resp, err)
	require.Equal(t, strings.TrimPrefix(base, "http://"), resp.Request.URL.Host, "one port is enough")
	require.Contains(t, consent, "Authorize")
	require.Contains(t, consent, "<bdi>Example</bdi>")
	require.Contains(t, consent, asked.Meaning, "Gumroad and the application say the same")

	form := url.Values{}
	for _, field := range regexp.MustCompile(`name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(consent, -1) {
		form.Set(field[1], field[2])
	}
	form.Del("_method") // of the other button
	page := read(t)(browser.PostForm(base+"/gumroad/oauth/authorize", form))
	require.Contains(t, page, "John Smith")
	require.Contains(t, page, `src="data:image/svg`)
	require.Contains(t, page, "test server")
	require.Contains(t, read(t)(browser.PostForm(base+"/token/refresh", nil)), "The access was refreshed")
	require.Contains(t, read(t)(browser.Get(base+"/products")), "Knot of the day")
	require.Contains(t, read(t)(browser.PostForm(base+"/disconnect", nil)), "You are disconnected")
	require.Contains(t, read(t)(browser.PostForm(base+"/auth/gumroad", nil)), "Authorize")
}

func read(t *testing.T) func(*http.Response, error) string {
	return func(resp *http.Response, err error) string {
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
}

func TestOtherHostName(t *testing.T) {
	base := start(t, map[string]string{"PORT": "0"}).base
	noRedirect := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequest(http.MethodGet, base+"/profile?done=fetched", nil)
	require.NoError(t, err)
	req.Host = strings.Replace(req.Host, "127.0.0.1", "localhost", 1)
	resp, err := noRedirect.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode)
	require.Equal(t, base+"/profile?done=fetched", resp.Header.Get("Location"))
}

// The text of a request line must not change the host of a redirect.
func TestOddRequestLines(t *testing.T) {
	base := start(t, map[string]string{"PORT": "0"}).base
	host := strings.TrimPrefix(base, "http://")
	for _, target := range []string{"foo:@evil.example/x", "*", "//evil.example/x", "http://evil.example/x", `/\evil.example/x`, ":x", "@evil.example"} {
		for _, name := range []string{"localhost", host} {
			conn, err := net.Dial("tcp", host)
			require.NoError(t, err)
			_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, name)
			require.NoError(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			conn.Close()
			if location := resp.Header.Get("Location"); location != "" {
				require.True(t, strings.HasPrefix(location, base+"/") || location == base || (location[0] == '/' && !strings.HasPrefix(location, "//")),
					"%s leads to %s", target, location)
			}
		}
	}
}

func TestTestGumroadSays(t *testing.T) {
	program := start(t, map[string]string{"PORT": "0"})
	require.Contains(t, program.says, "test server")
}

func TestRealGumroad(t *testing.T) {
	program := start(t, map[string]string{"PORT": "0", "GUMROAD_KEY": "the key", "GUMROAD_SECRET": "the secret",
		"SESSION_SECRET": testSecret, "DATABASE_URL": testkit.NewFile(t)})
	base := program.base
	require.Contains(t, program.says, "https://gumroad.com")
	require.Contains(t, program.says, "\n"+base+"/auth/gumroad/callback\n")
	noRedirect := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := noRedirect.PostForm(base+"/auth/gumroad", nil)
	require.NoError(t, err)
	resp.Body.Close()
	location, err := resp.Location()
	require.NoError(t, err)
	require.Equal(t, "https://gumroad.com/oauth/authorize", location.Scheme+"://"+location.Host+location.Path)
	require.Equal(t, "the key", location.Query().Get("client_id"))
	require.Equal(t, base+"/auth/gumroad/callback", location.Query().Get("redirect_uri"))
	require.Equal(t, "view_profile", location.Query().Get("scope"))

	resp, err = noRedirect.Get(base + "/gumroad/oauth/authorize")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusNotFound, resp.StatusCode, "there is no test server")
	require.NotContains(t, read(t)(noRedirect.Get(base+"/")), "test server")
}

// With a BASE_URL, a proxy may change the Host.
func TestBaseURL(t *testing.T) {
	program := start(t, map[string]string{"PORT": "0", "BASE_URL": "https://login.example.com", "GUMROAD_KEY": "k", "GUMROAD_SECRET": "s",
		"SESSION_SECRET": testSecret, "DATABASE_URL": testkit.NewFile(t)})
	require.Equal(t, "https://login.example.com", program.base)
	require.Contains(t, program.says, "\nhttps://login.example.com/auth/gumroad/callback\n")
}

// Browsers open connections before they need them. Stopping waits for requests, but
// not for these connections.
func TestStop(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	arrived, finish := make(chan bool), make(chan bool)
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, listener, newServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			arrived <- true
			<-finish
			fmt.Fprint(w, "done")
		})), in)
	}()
	silent, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer silent.Close()
	answers := make(chan string, 1)
	go func() { answers <- read(t)(http.Get("http://" + listener.Addr().String())) }()
	<-arrived
	cancel()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "Waiting")
	require.NoError(t, silent.SetReadDeadline(time.Now().Add(4*time.Second))) // by itself, Shutdown closes it after five
	_, err = silent.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "the silent connection is closed while the request goes on")
	select {
	case err := <-ended:
		require.Fail(t, "it did not wait", err)
	default:
	}
	close(finish)
	require.Equal(t, "done", <-answers)
	require.NoError(t, <-ended)
}

// A failure to serve or to stop is an error.
func TestServeFails(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.ErrorContains(t, serve(context.Background(), listener, newServer(nil), io.Discard), "serving: ")

	listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	finish := make(chan bool)
	server := newServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		cancel()
		<-finish
	}))
	server.WriteTimeout = time.Millisecond
	go http.Get("http://" + listener.Addr().String())
	require.ErrorContains(t, serve(ctx, listener, server, io.Discard), "stopping: ")
	close(finish)
}

// A connection has a time limit. It is long enough for a login.
func TestTimeLimits(t *testing.T) {
	server := newServer(nil)
	for name, limit := range map[string]time.Duration{
		"header": server.ReadHeaderTimeout, "request": server.ReadTimeout, "idle": server.IdleTimeout, "answer": server.WriteTimeout,
	} {
		require.Positive(t, limit, name)
		require.LessOrEqual(t, limit, 2*time.Minute, name)
	}
	require.Less(t, server.ReadHeaderTimeout, server.ReadTimeout)
	require.Greater(t, server.WriteTimeout, 3*gumroad.RequestTimeout, "a login")
	lease := gumroad.RequestTimeout + (8+10)*time.Second // as package accounts has it
	require.Greater(t, server.WriteTimeout, lease+time.Second+gumroad.RequestTimeout+8*time.Second, "a refresh that waits for another")
}
