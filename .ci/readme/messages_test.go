package readme

import (
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
	"github.com/markbates/goth/gothic"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const callbackURL = "https://app.example/auth/gumroad/callback"

// TestMessages makes the mistakes that docs/troubleshooting.md describes. It checks
// that each leads to the message, and that the page has a heading for it.
func TestMessages(t *testing.T) {
	gothic.SetState = func(*http.Request) string { return rand.Text() }
	server := gumroadtest.NewServer()
	defer server.Close()
	provider := server.Provider(callbackURL)
	goth.UseProviders(provider)

	headings := anchors(readPages(t, "docs/troubleshooting.md")[0].text)
	for _, test := range []struct {
		message string
		mistake func() error
	}{
		{"could not find a matching session for this request", func() error {
			_, err := complete("gumroad", callbackURL+"?code=1&state=2", nil)
			return err
		}},
		{"state token mismatch", func() error {
			_, cookies, _ := begin("gumroad", nil)
			_, err := complete("gumroad", callbackURL+"?code=1&state=2", cookies)
			return err
		}},
		{"you must select a provider", func() error {
			_, err := gothic.CompleteUserAuth(httptest.NewRecorder(), httptest.NewRequest("GET", callbackURL, nil))
			return err
		}},
		{"no provider for gumroad exists", func() error {
			goth.ClearProviders()
			defer goth.UseProviders(provider)
			_, _, err := begin("gumroad", nil)
			return err
		}},
		{"securecookie: hash key is not set", func() error {
			gothic.Store = sessions.NewCookieStore([]byte(""))
			_, _, err := begin("gumroad", nil)
			return err
		}},
		{"crypto/aes: invalid key size 64", func() error {
			gothic.Store = sessions.NewCookieStore([]byte(secret), []byte(secret))
			_, _, err := begin("gumroad", nil)
			return err
		}},
		{"securecookie: the value is too long", func() error {
			var cookies []*http.Cookie
			for i := range 6 {
				seller := server.Provider(callbackURL)
				seller.SetName(fmt.Sprint("gumroad-seller-", i))
				goth.UseProviders(seller)
				var err error
				if _, cookies, err = begin(seller.Name(), cookies); err != nil {
					return err
				}
			}
			return nil
		}},
		{"invalid_redirect_uri", func() error {
			other := gumroad.NewCustomisedURL(server.ClientID, server.ClientSecret, callbackURL+"/",
				server.URL+gumroadtest.AuthorizePath, server.URL+gumroadtest.TokenPath, server.URL+gumroadtest.UserPath)
			_, err := server.Authorize(authURL(other))
			return err
		}},
		{"invalid_scope", func() error {
			_, err := server.Authorize(authURL(server.Provider(callbackURL, "view_profile,view_sales")))
			return err
		}},
		{"invalid_client", func() error {
			other := server.Provider(callbackURL)
			other.Secret += "\n"
			return finish(server, other, func(goth.Session) {})
		}},
		{"invalid_grant", func() error {
			return finish(server, provider, func(session goth.Session) {
				session.(*gumroad.Session).CodeVerifier = strings.Repeat("x", 43)
			})
		}},
		{"Missing required parameter: code_verifier", func() error {
			return finish(server, provider, func(session goth.Session) { *session.(*gumroad.Session) = gumroad.Session{} })
		}},
		{"x509: certificate signed by unknown authority", func() error {
			proxy := httptest.NewUnstartedServer(server)
			proxy.Config.ErrorLog = log.New(io.Discard, "", 0)
			proxy.StartTLS()
			defer proxy.Close()
			other := gumroad.NewCustomisedURL(server.ClientID, server.ClientSecret, callbackURL,
				server.URL+gumroadtest.AuthorizePath, proxy.URL+gumroadtest.TokenPath, server.URL+gumroadtest.UserPath)
			return finish(server, other, func(goth.Session) {})
		}},
		{"context deadline exceeded", func() error {
			server.Fail(gumroadtest.TokenPath, gumroadtest.Fault{Delay: time.Minute})
			other := server.Provider(callbackURL)
			other.HTTPClient = &http.Client{Timeout: 50 * time.Millisecond}
			return finish(server, other, func(goth.Session) {})
		}},
		{"TLS handshake timeout", func() error {
			silent, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			defer silent.Close()
			other := gumroad.NewCustomisedURL(server.ClientID, server.ClientSecret, callbackURL,
				server.URL+gumroadtest.AuthorizePath, "https://"+silent.Addr().String()+gumroadtest.TokenPath, server.URL+gumroadtest.UserPath)
			other.HTTPClient = &http.Client{Transport: &http.Transport{TLSHandshakeTimeout: 50 * time.Millisecond}}
			return finish(server, other, func(goth.Session) {})
		}},
		{"Proxy Authentication Required", func() error {
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusProxyAuthRequired)
			}))
			defer proxy.Close()
			address, err := url.Parse(proxy.URL)
			if err != nil {
				return err
			}
			other := gumroad.NewCustomisedURL(server.ClientID, server.ClientSecret, callbackURL,
				server.URL+gumroadtest.AuthorizePath, "https://api.gumroad.com/oauth/token", server.URL+gumroadtest.UserPath)
			other.HTTPClient = &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(address)}}
			return finish(server, other, func(goth.Session) {})
		}},
		{"429 Too Many Requests", func() error {
			server.Fail(gumroadtest.TokenPath, gumroadtest.Fault{Status: http.StatusTooManyRequests, Body: "Retry later"})
			return finish(server, provider, func(goth.Session) {})
		}},
		{"403 Forbidden", func() error {
			_, err := login(server, server.Provider(callbackURL, gumroad.ScopeEditProfile))
			return err
		}},
		{"401 Unauthorized", func() error {
			session, err := login(server, provider)
			if err != nil {
				return err
			}
			if err := provider.RevokeToken(t.Context(), session.AccessToken); err != nil {
				return err
			}
			_, err = provider.FetchUser(session)
			return err
		}},
		{"gob: type not registered", func() error {
			session, err := login(server, provider)
			if err != nil {
				return err
			}
			user, err := provider.FetchUser(session)
			if err != nil {
				return err
			}
			kept := sessions.NewSession(gothic.Store, "app-user")
			kept.Options = &sessions.Options{}
			kept.Values["user"] = user
			return kept.Save(httptest.NewRequest("GET", "/", nil), httptest.NewRecorder())
		}},
	} {
		t.Run(test.message, func(t *testing.T) {
			gothic.Store = sessions.NewCookieStore([]byte(secret))
			err := test.mistake()
			require.ErrorContains(t, err, test.message)
			t.Log(err)
			for name := range anchors("# " + test.message) {
				assert.True(t, headings[name], "docs/troubleshooting.md has no heading %q", test.message)
			}
		})
	}
}

// TestSetUpCheck runs the command of docs/troubleshooting.md that checks the set-up.
func TestSetUpCheck(t *testing.T) {
	server := gumroadtest.NewServer()
	defer server.Close()
	check := readPages(t, "docs/troubleshooting.md")[0].blocks("console")[0].text
	require.Contains(t, check, "https://api.gumroad.com/")
	for _, test := range []struct{ key, secret, want string }{
		{server.ClientID, server.ClientSecret, "invalid_grant"},
		{server.ClientID, "", "invalid_grant"},
		{server.ClientID, "wrong&", "invalid_client"},
		{"wrong", server.ClientSecret, "invalid_client"},
	} {
		cmd := command(t.TempDir(), strings.ReplaceAll(check, "https://api.gumroad.com", server.URL))
		cmd.Env = append(cmd.Env, "GUMROAD_KEY="+test.key, "GUMROAD_SECRET="+test.secret)
		output, err := cmd.Output()
		require.NoError(t, err)
		assert.Contains(t, string(output), `"error":"`+test.want+`"`, "%+v", test)
	}
}

// begin begins a login through gothic.
func begin(provider string, cookies []*http.Cookie) (string, []*http.Cookie, error) {
	r := httptest.NewRequest("POST", "https://app.example/auth/gumroad", nil)
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	address, err := gothic.GetAuthURL(w, gothic.GetContextWithProvider(r, provider))
	return address, w.Result().Cookies(), err
}

// complete completes a login through gothic.
func complete(provider, address string, cookies []*http.Cookie) (goth.User, error) {
	r := httptest.NewRequest("GET", address, nil)
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	return gothic.CompleteUserAuth(httptest.NewRecorder(), gothic.GetContextWithProvider(r, provider))
}

func authURL(provider goth.Provider) string {
	session, err := provider.BeginAuth("state")
	if err != nil {
		return ""
	}
	address, _ := session.GetAuthURL()
	return address
}

// finish logs in without gothic. It calls spoil with the session before Authorize.
func finish(server *gumroadtest.Server, provider goth.Provider, spoil func(goth.Session)) error {
	session, err := provider.BeginAuth("state")
	if err != nil {
		return err
	}
	address, err := session.GetAuthURL()
	if err != nil {
		return err
	}
	callback, err := server.Authorize(address)
	if err != nil {
		return err
	}
	back, err := url.Parse(callback)
	if err != nil {
		return err
	}
	spoil(session)
	_, err = session.Authorize(provider, back.Query())
	return err
}

func login(server *gumroadtest.Server, provider goth.Provider) (*gumroad.Session, error) {
	var session *gumroad.Session
	err := finish(server, provider, func(s goth.Session) { session = s.(*gumroad.Session) })
	if err != nil {
		return nil, err
	}
	_, err = provider.FetchUser(session)
	return session, err
}
