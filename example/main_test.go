package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestConfigErrors(t *testing.T) {
	for name, test := range map[string]struct {
		vars map[string]string
		says []string
	}{
		"only the key":            {map[string]string{"GUMROAD_KEY": "k"}, []string{"GUMROAD_KEY is set but GUMROAD_SECRET is not"}},
		"only the secret":         {map[string]string{"GUMROAD_SECRET": "hush"}, []string{"GUMROAD_SECRET is set but GUMROAD_KEY is not"}},
		"a port by name":          {map[string]string{"PORT": "http"}, []string{"PORT", `"http"`}},
		"a port beyond the last":  {map[string]string{"PORT": "65536"}, []string{"PORT", `"65536"`}},
		"an address without http": {map[string]string{"BASE_URL": "example.com"}, []string{"BASE_URL", "https://login.example.com"}},
		"an address with a path":  {map[string]string{"BASE_URL": "https://example.com/app"}, []string{"BASE_URL"}},
		"an address with a query": {map[string]string{"BASE_URL": "https://example.com?x=1"}, []string{"BASE_URL"}},
		"a port of nowhere":       {map[string]string{"BASE_URL": "https://example.com:65536"}, []string{"BASE_URL"}},
		"a port left out":         {map[string]string{"BASE_URL": "https://example.com:"}, []string{"BASE_URL"}},
		"an address of nowhere":   {map[string]string{"BASE_URL": "https://:3000"}, []string{"BASE_URL"}},
		"another scheme":          {map[string]string{"BASE_URL": "ftp://example.com"}, []string{"BASE_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(context.Background(), env(test.vars), io.Discard)
			require.Error(t, err)
			for _, text := range test.says {
				assert.Contains(t, err.Error(), text)
			}
			assert.NotContains(t, err.Error(), "hush")
		})
	}
}

func TestConfig(t *testing.T) {
	for name, test := range map[string]struct {
		vars            map[string]string
		listen, baseURL string
	}{
		"nothing set":  {nil, "127.0.0.1:3000", ""},
		"a port":       {map[string]string{"PORT": "8080"}, "127.0.0.1:8080", ""},
		"default port": {map[string]string{"BASE_URL": "https://Example.com:443"}, ":3000", "https://example.com"},
		"another port": {map[string]string{"BASE_URL": "http://example.com:443"}, ":3000", "http://example.com:443"},
		"an address":   {map[string]string{"BASE_URL": "https://example.com/", "PORT": "80"}, ":80", "https://example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := readConfig(env(test.vars))
			require.NoError(t, err)
			require.Equal(t, test.listen, cfg.listen)
			require.Equal(t, test.baseURL, cfg.baseURL)
		})
	}
}

func TestOrigin(t *testing.T) {
	require.Equal(t, "http://127.0.0.1", origin("http", "127.0.0.1:80"))
	require.Equal(t, "http://127.0.0.1:3000", origin("http", "127.0.0.1:3000"))
}

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

// start runs the program and returns the address that it says to open.
func start(t *testing.T, vars map[string]string) string {
	captureLog(t)
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, env(vars), in)
		in.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	t.Cleanup(func() {
		cancel()
		more, _ := io.ReadAll(out)
		assert.Empty(t, string(more), "it prints one line")
		assert.NoError(t, <-ended)
	})
	return regexp.MustCompile(`http://\S+`).FindString(line)
}

// With nothing set, a person can log in with no other program running.
func TestRun(t *testing.T) {
	base := start(t, map[string]string{"PORT": "0"})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	consent := read(t)(browser.PostForm(base+"/auth/gumroad", nil))
	require.Contains(t, consent, "Authorize")

	form := url.Values{}
	for _, field := range regexp.MustCompile(`name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(consent, -1) {
		form.Set(field[1], field[2])
	}
	form.Del("_method") // of the other button
	page := read(t)(browser.PostForm(base+"/gumroad/oauth/authorize", form))
	require.Contains(t, page, "John Smith")
	require.Contains(t, page, `src="data:image/svg`)
	require.Contains(t, page, "test server")
	require.Contains(t, read(t)(browser.PostForm(base+"/token/refresh", nil)), "There is a new token")
	require.Contains(t, read(t)(browser.PostForm(base+"/disconnect", nil)), "You are disconnected")
	require.Contains(t, read(t)(browser.PostForm(base+"/auth/gumroad", nil)), "Authorize", "Gumroad has no token left")
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
	base := start(t, map[string]string{"PORT": "0"})
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

func TestRealGumroad(t *testing.T) {
	base := start(t, map[string]string{"PORT": "0", "GUMROAD_KEY": "the key", "GUMROAD_SECRET": "the secret"})
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
