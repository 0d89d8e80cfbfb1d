package gumroad_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/markbates/goth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

func Test_New(t *testing.T) {
	t.Parallel()
	p := gumroad.New(clientKey, secret, callbackURL)
	assert.Equal(t, clientKey, p.ClientKey)
	assert.Equal(t, secret, p.Secret)
	assert.Equal(t, callbackURL, p.CallbackURL)
	assert.Nil(t, p.HTTPClient)
	assert.Equal(t, "gumroad", p.Name())
	assert.True(t, p.RefreshTokenAvailable())
	p.Debug(true) // a no-op that goth.Provider requires
}

func Test_ImplementsProvider(t *testing.T) {
	t.Parallel()
	assert.Implements(t, (*goth.Provider)(nil), gumroad.New(clientKey, secret, callbackURL))
}

// goth finds the provider by its name. User.Provider is the name too.
func TestSetName(t *testing.T) {
	p := answering(t, object(`{"success":true,"user":{"id":"1"}}`))
	p.SetName("gumroad-of-another-shop")
	goth.UseProviders(p)
	defer goth.ClearProviders()
	found, err := goth.GetProvider("gumroad-of-another-shop")
	require.NoError(t, err)
	user, err := found.FetchUser(&gumroad.Session{AccessToken: accessToken})
	require.NoError(t, err)
	assert.Equal(t, "gumroad-of-another-shop", user.Provider)
}

// begin begins a login. It returns the session and the query of its AuthURL. It
// fails the test unless AuthURL without the query is address.
func begin(t *testing.T, p *gumroad.Provider, state, address string) (*gumroad.Session, url.Values) {
	t.Helper()
	session, err := p.BeginAuth(state)
	require.NoError(t, err)
	require.IsType(t, &gumroad.Session{}, session)
	authURL, err := session.GetAuthURL()
	require.NoError(t, err)
	found, query, _ := strings.Cut(authURL, "?")
	assert.Equal(t, address, found)
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	return session.(*gumroad.Session), values
}

func Test_BeginAuth(t *testing.T) {
	t.Parallel()
	const state = "st/a+te=&é 1"
	s, query := begin(t, gumroad.New(clientKey, secret, callbackURL), state, "https://gumroad.com/oauth/authorize")
	challenge := sha256.Sum256([]byte(s.CodeVerifier))
	assert.Equal(t, url.Values{
		"response_type":         {"code"},
		"client_id":             {clientKey},
		"redirect_uri":          {callbackURL},
		"scope":                 {"view_profile"},
		"state":                 {state},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
	}, query)
	assert.Equal(t, &gumroad.Session{AuthURL: s.AuthURL, CodeVerifier: s.CodeVerifier}, s)
	assert.Regexp(t, `^[A-Za-z0-9._~-]{43,128}$`, s.CodeVerifier, "RFC 7636 allows only such verifiers")
}

func TestBeginAuthMakesANewVerifierEachTime(t *testing.T) {
	t.Parallel()
	p := gumroad.NewCustomisedURL(clientKey, secret, callbackURL, "http://127.0.0.1:1/begin", "", "")
	first, firstQuery := begin(t, p, "state", "http://127.0.0.1:1/begin")
	second, secondQuery := begin(t, p, "state", "http://127.0.0.1:1/begin")
	assert.NotEqual(t, first.CodeVerifier, second.CodeVerifier)
	assert.NotEqual(t, firstQuery["code_challenge"], secondQuery["code_challenge"])
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		given  []string
		wanted string
	}{
		{nil, "view_profile"},
		{[]string{""}, "view_profile"},
		{[]string{" ", "\t\n", ""}, "view_profile"},
		{[]string{gumroad.ScopeEditProducts}, "edit_products"},
		{[]string{gumroad.ScopeEditProducts, gumroad.ScopeViewSales}, "edit_products view_sales"},
		{[]string{"", gumroad.ScopeViewSales, " "}, "view_sales"},
		{[]string{"edit_products view_sales"}, "edit_products view_sales"},
		{[]string{
			gumroad.ScopeViewProfile, gumroad.ScopeEditProfile, gumroad.ScopeEditProducts, gumroad.ScopeEditEmails,
			gumroad.ScopeViewSales, gumroad.ScopeViewPayouts, gumroad.ScopeViewTaxData, gumroad.ScopeMarkSalesAsShipped,
			gumroad.ScopeEditSales, gumroad.ScopeAccount,
		}, "view_profile edit_profile edit_products edit_emails view_sales view_payouts view_tax_data mark_sales_as_shipped edit_sales account"},
	} {
		_, query := begin(t, gumroad.New(clientKey, secret, callbackURL, test.given...), "s", "https://gumroad.com/oauth/authorize")
		assert.Equal(t, []string{test.wanted}, query["scope"], "%q", test.given)
	}
}

// A program may change its slice later.
func TestScopesAreCopied(t *testing.T) {
	t.Parallel()
	scopes := []string{gumroad.ScopeViewProfile}
	p := gumroad.New(clientKey, secret, callbackURL, scopes...)
	scopes[0] = gumroad.ScopeAccount
	_, query := begin(t, p, "s", "https://gumroad.com/oauth/authorize")
	assert.Equal(t, "view_profile", query.Get("scope"))
}

// Every request goes to Gumroad's documented address and uses the application's
// client.
func TestDefaultEndpoints(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		var asked []string
		p := gumroad.New(clientKey, secret, callbackURL)
		p.HTTPClient = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.String())
			return nil, errors.New("no network")
		})}
		assert.Error(t, call.make(p))
		assert.Equal(t, []string{call.url}, asked, call.doing)
	}
}

func TestRevocationEndpointIsTheTokenEndpointsNeighbour(t *testing.T) {
	t.Parallel()
	for tokenURL, wanted := range map[string]string{
		"https://gumroad.com/oauth/token":            "https://gumroad.com/oauth/revoke",
		"http://127.0.0.1:8080/oauth/token":          "http://127.0.0.1:8080/oauth/revoke",
		"http://127.0.0.1/behind/a/prefix/token":     "http://127.0.0.1/behind/a/prefix/revoke",
		"http://127.0.0.1/oauth/token?grant=for#you": "http://127.0.0.1/oauth/revoke",
	} {
		var asked string
		p := gumroad.NewCustomisedURL(clientKey, secret, callbackURL, "", tokenURL, "")
		p.HTTPClient = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.String()
			return nil, errors.New("no network")
		})}
		assert.Error(t, p.RevokeToken(context.Background(), accessToken))
		assert.Equal(t, wanted, asked)
	}
}

// Without an AuthURL, the address of the login would begin with "?". A browser
// would open it within the application.
func TestBeginAuthWithoutEndpoint(t *testing.T) {
	t.Parallel()
	session, err := gumroad.NewCustomisedURL(clientKey, secret, callbackURL, "", "", "").BeginAuth("state")
	assert.Nil(t, session)
	assertReadable(t, "beginning the login", err)
	assert.ErrorContains(t, err, "the provider has no AuthURL")
}

// goth's own tests create providers with an empty key and secret.
func TestBeginAuthOfAnEmptyProvider(t *testing.T) {
	t.Parallel()
	session, err := gumroad.New("", "", "/foo").BeginAuth("test_state")
	require.NoError(t, err)
	authURL, err := session.GetAuthURL()
	require.NoError(t, err)
	assert.Contains(t, authURL, "gumroad.com/oauth/authorize")
}

// Every method of a provider that New did not make returns an error that says so.
func TestProviderThatNewDidNotMake(t *testing.T) {
	t.Parallel()
	for _, p := range []*gumroad.Provider{nil, {}, {ClientKey: clientKey, Secret: secret, AuthURL: "https://gumroad.com/oauth/authorize",
		TokenURL: "https://gumroad.com/oauth/token", ProfileURL: "https://gumroad.com/api/v2/user"}} {
		session, err := p.BeginAuth("state")
		assert.Nil(t, session)
		assertReadable(t, "beginning the login", err)
		session, err = p.UnmarshalSession("{}")
		assert.Nil(t, session)
		assertReadable(t, "reading the stored session", err)
		for _, call := range calls {
			err := errors.Join(err, call.make(p))
			if p != nil {
				assert.Equal(t, 2, strings.Count(err.Error(), "the provider was not made by New"), err)
			}
		}
		_, err = (&gumroad.Session{}).Authorize(p, url.Values{"error": {"access_denied"}})
		assertReadable(t, "completing the login", err)
		assert.NotErrorIs(t, err, gumroad.ErrAccessDenied)
	}
}

// A program may change one endpoint and keep the others.
func TestEndpointsCanBeChanged(t *testing.T) {
	t.Parallel()
	p := gumroad.New(clientKey, secret, callbackURL)
	assert.Equal(t, "https://gumroad.com/oauth/authorize", p.AuthURL)
	assert.Equal(t, "https://api.gumroad.com/oauth/token", p.TokenURL)
	assert.Equal(t, "https://api.gumroad.com/v2/user", p.ProfileURL)

	server := answering(t, object(success), object(success), object(success), object(`{}`))
	p.AuthURL, p.TokenURL, p.ProfileURL = "http://127.0.0.1/begin", server.TokenURL, server.ProfileURL
	begin(t, p, "s", "http://127.0.0.1/begin")
	for _, call := range calls {
		assert.NoError(t, call.make(p), call.doing)
	}
}

// withoutEmail is an application's own provider. It overrides one method.
type withoutEmail struct{ *gumroad.Provider }

func (p withoutEmail) FetchUser(session goth.Session) (goth.User, error) {
	user, err := p.Provider.FetchUser(session)
	user.Email = ""
	return user, err
}

// named is another one. It embeds the Provider itself instead of a pointer.
type named struct {
	gumroad.Provider
	name string
}

func (p *named) Name() string { return p.name }

// kept is an application's own session.
type kept struct {
	*gumroad.Session
	begun time.Time
}

func TestProviderAndSessionThatAreEmbedded(t *testing.T) {
	t.Parallel()
	for _, embed := range []func(*gumroad.Provider) goth.Provider{
		func(p *gumroad.Provider) goth.Provider { return withoutEmail{p} },
		func(p *gumroad.Provider) goth.Provider { return &withoutEmail{p} },
		func(p *gumroad.Provider) goth.Provider { return &named{*p, "shop"} },
	} {
		p := embed(answering(t, object(success), object(`{"success":true,"user":{"id":"1","email":"a@example.com"}}`)))
		begun, err := p.BeginAuth("state")
		require.NoError(t, err)
		session := kept{begun.(*gumroad.Session), time.Now()}
		token, err := session.Authorize(p, url.Values{"code": {code}})
		require.NoError(t, err)
		assert.Equal(t, "a", token)
		user, err := p.FetchUser(session)
		require.NoError(t, err)
		assert.Equal(t, "1", user.UserID)
		if _, ok := p.(*named); !ok {
			assert.Empty(t, user.Email)
		}
	}
	for _, p := range []goth.Provider{withoutEmail{}, (*withoutEmail)(nil), (*named)(nil), struct {
		goth.Provider
		_ <-chan int
	}{}} {
		_, err := (&gumroad.Session{}).Authorize(p, url.Values{"code": {code}})
		assertReadable(t, "completing the login", err)
	}
	for _, session := range []goth.Session{kept{}, (*kept)(nil)} {
		_, err := answering(t).FetchUser(session)
		assertReadable(t, "fetching the user", err)
	}
}

// An endpoint that is not a usable address is an error when a request needs it.
func TestUnusableEndpoints(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", ":", "http://[::1/", "gopher://127.0.0.1", "http://127.0.0.1:port/"} {
		for _, call := range calls {
			p := gumroad.NewCustomisedURL(clientKey, secret, callbackURL, address, address, address)
			assertReadable(t, call.doing, call.make(p))
		}
	}
}

func TestRefreshToken(t *testing.T) {
	t.Parallel()
	for _, x := range recordings(t, func(x exchange) bool {
		return x.form.Get("grant_type") == "refresh_token" && !x.form.Has("scope")
	}) {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			token, err := replaying(t, x).RefreshToken(x.form.Get("refresh_token"))
			if x.status != http.StatusOK {
				assert.Nil(t, token)
				assertAnswered(t, x, err)
				return
			}
			require.NoError(t, err)
			answer := decode(t, x.body)
			assert.Equal(t, answer["access_token"], token.AccessToken)
			assert.Equal(t, answer["refresh_token"], token.RefreshToken)
			assert.NotEqual(t, x.form.Get("refresh_token"), token.RefreshToken)
			assert.Zero(t, token.Expiry, "Gumroad's tokens do not expire")
			assert.True(t, token.Valid())
		})
	}
}

func decode(t *testing.T, body string) (object map[string]string) {
	t.Helper()
	var values map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &values), body)
	object = map[string]string{}
	for name, value := range values {
		object[name] = fmt.Sprint(value)
	}
	return object
}

// assertAnswered fails the test unless err has the status, the code and the
// description of Gumroad's answer.
func assertAnswered(t *testing.T, x exchange, err error) {
	t.Helper()
	answered, answer := asError(t, err), decode(t, x.body)
	assert.Equal(t, x.status, answered.StatusCode)
	assert.Equal(t, answer["error"], answered.Code)
	assert.Equal(t, answer["error_description"], answered.Description)
	assert.ErrorContains(t, err, answer["error_description"])
}

// These two exchanges have fixed values. They would fail if the recordings were
// read incorrectly.
func TestRefreshTokenOfARevokedPair(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"refresh_ok/old refresh token again", "revoke_access_token_confidential/refresh after revoke"} {
		x := recording(t, name)
		_, err := replaying(t, x).RefreshToken(x.form.Get("refresh_token"))
		assertReadable(t, "refreshing the token", err)
		assert.Equal(t, "invalid_grant", asError(t, err).Code)
		assert.Equal(t, http.StatusBadRequest, asError(t, err).StatusCode)
		assert.ErrorContains(t, err, "log in again")
	}
}

// RefreshToken returns the same token that x/oauth2 would return, since programs
// know the fields of x/oauth2's tokens.
func TestRefreshedTokenIsWhatOAuth2WouldReturn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fields    string
		expiresIn int64 // seconds
		refresh   string
	}{
		{`"token_type":"Bearer","refresh_token":"new"`, 0, "new"},
		{`"token_type":"Bearer"`, 0, refreshToken},
		{`"refresh_token":""`, 0, refreshToken},
		{`"refresh_token":null,"expires_in":null`, 0, refreshToken},
		{`"refresh_token":"new","expires_in":0`, 0, "new"},
		{`"refresh_token":"new","expires_in":"0"`, 0, "new"},
		{`"refresh_token":"new","expires_in":1`, 1, "new"},
		{`"refresh_token":"new","expires_in":10`, 10, "new"},
		{`"refresh_token":"new","expires_in":7200`, 7200, "new"},
		{`"refresh_token":"new","expires_in":"7200"`, 7200, "new"},
		{`"expires_in":99999999999`, 1<<31 - 1, refreshToken},
		{`"token_type":"mac","scope":"view_profile edit_products","created_at":1609038258`, 0, refreshToken},
	} {
		body := `{"access_token":"a",` + test.fields + `}`
		token, err := answering(t, object(body)).RefreshToken(refreshToken)
		require.NoError(t, err, body)
		assert.Equal(t, test.expiresIn, token.ExpiresIn, body)
		if test.expiresIn == 0 {
			assert.Zero(t, token.Expiry)
		} else {
			assert.WithinDuration(t, time.Now().Add(time.Duration(test.expiresIn)*time.Second), token.Expiry, time.Minute)
		}

		server := httptest.NewServer(object(body))
		config := &oauth2.Config{Endpoint: oauth2.Endpoint{TokenURL: server.URL, AuthStyle: oauth2.AuthStyleInParams}}
		wanted, err := config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: refreshToken}).Token()
		server.Close()
		require.NoError(t, err, body)
		assert.WithinDuration(t, wanted.Expiry, token.Expiry, time.Minute)
		for _, field := range []string{"access_token", "scope", "created_at", "expires_in", "none"} {
			assert.Equal(t, wanted.Extra(field), token.Extra(field), field)
		}
		assert.Equal(t, []any{wanted.AccessToken, wanted.TokenType, wanted.Type(), wanted.RefreshToken, wanted.ExpiresIn},
			[]any{token.AccessToken, token.TokenType, token.Type(), token.RefreshToken, token.ExpiresIn}, body)
		assert.Equal(t, test.refresh, token.RefreshToken, body)
	}
}

// An unusable token or an invalid lifetime is an error.
func TestTokenThatIsNone(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, ``, `{"access_token":null}`, `{"access_token":""}`, `{"access_token":1}`, `{"access_token":true}`, `{"access_token":["a"]}`, `{"access_token":{}}`,
		"{\"access_token\":\"a\xff\"}", `{"access_token":"a\ud800"}`, `{"ACCESS_TOKEN":"a"}`,
		`{"expires_in":1}`, `{"refresh_token":"r"}`, `{"access_token":1,"refresh_token":"r","expires_in":1}`, `{"access_token":"a","refresh_token":1,"expires_in":1}`,
		`{"access_token":"a","refresh_token":1}`, `{"access_token":"a","refresh_token":["r"]}`, "{\"access_token\":\"a\",\"refresh_token\":\"\xff\"}",
		`{"access_token":"a","expires_in":-1}`, `{"access_token":"a","expires_in":"-1"}`, `{"access_token":"a","expires_in":1.5}`,
		`{"access_token":"a","expires_in":""}`, `{"access_token":"a","expires_in":"soon"}`, `{"access_token":"a","expires_in":" 1"}`,
		`{"access_token":"a","expires_in":true}`, `{"access_token":"a","expires_in":[]}`, `{"access_token":"a","expires_in":{}}`,
		`{"access_token":"a","expires_in":99999999999999999999}`, `{"access_token":"a","expires_in":1e999}`,
	} {
		for _, call := range []int{0, 2} {
			err := calls[call].make(answering(t, object(body)))
			assertReadable(t, calls[call].doing, err)
			assert.ErrorContains(t, err, "no usable answer from Gumroad: the ", body)
		}
	}
}

func TestRefreshTokenWithoutOne(t *testing.T) {
	t.Parallel()
	token, err := answering(t).RefreshToken("")
	assert.Nil(t, token)
	assertReadable(t, "refreshing the token", err)
}

func TestRevokeToken(t *testing.T) {
	t.Parallel()
	for _, x := range recordings(t, func(x exchange) bool {
		return x.target == "/oauth/revoke" && x.form.Has("client_secret")
	}) {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			err := replaying(t, x).RevokeToken(context.Background(), x.form.Get("token"))
			if x.status == http.StatusOK {
				assert.NoError(t, err)
				return
			}
			assertReadable(t, "revoking the token", err)
			assertAnswered(t, x, err)
			assert.ErrorContains(t, err, "check the client key and the secret")
		})
	}
}

// TestRevokeToken relies on these recordings. Revoking an unknown token is a
// success. Wrong credentials are an error.
func TestRevokeTokenRecordings(t *testing.T) {
	t.Parallel()
	assert.Equal(t, http.StatusOK, recording(t, "revoke_unknown_token/revoke").status)
	assert.Equal(t, http.StatusOK, recording(t, "revoke_refresh_token/revoke").status)
	assert.Equal(t, http.StatusOK, recording(t, "revoke_access_token_confidential/revoke again").status)
	assert.Equal(t, http.StatusForbidden, recording(t, "revoke_confidential_wrong_secret/revoke").status)
}

// RFC 7009 does not define a body for a 200.
func TestRevokeTokenWithEmptyAnswer(t *testing.T) {
	t.Parallel()
	assert.NoError(t, answering(t, text(http.StatusOK, "", "")).RevokeToken(context.Background(), accessToken))
}

func TestRevokeTokenContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	p := answering(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // the server notices that the client has gone only after this
		cancel()
		<-r.Context().Done()
	}))
	err := p.RevokeToken(ctx, accessToken)
	assertReadable(t, "revoking the token", err)
	assert.ErrorIs(t, err, context.Canceled)

	//lint:ignore SA1012 a nil context must not panic
	assertReadable(t, "revoking the token", answering(t).RevokeToken(nil, accessToken))
	assertReadable(t, "revoking the token", answering(t).RevokeToken(context.Background(), ""))
}

func TestClientIsTheApplicationsOwn(t *testing.T) {
	t.Parallel()
	for _, own := range []*http.Client{{}, {Timeout: time.Hour}} {
		p := gumroad.New(clientKey, secret, callbackURL)
		p.HTTPClient = own
		assert.Same(t, own, p.Client())
	}
}

// defaultClient replaces http.DefaultClient until the test ends. Its requests call
// see and then fail. Tests that use it must not be parallel.
func defaultClient(t *testing.T, timeout time.Duration, see func(*http.Request)) {
	t.Helper()
	before := *http.DefaultClient
	t.Cleanup(func() { *http.DefaultClient = before })
	*http.DefaultClient = http.Client{Timeout: timeout, Transport: transport(func(r *http.Request) (*http.Response, error) {
		see(r)
		return nil, errors.New("no network")
	})}
}

// A request of the default client always has a time limit.
func TestTimeLimit(t *testing.T) {
	require.LessOrEqual(t, gumroad.RequestTimeout, 30*time.Second)
	for _, test := range []struct {
		name           string
		timeout, limit time.Duration
	}{
		{"no timeout", 0, gumroad.RequestTimeout},
		{"shorter timeout", 10 * time.Second, 10 * time.Second},
		{"longer timeout", time.Hour, gumroad.RequestTimeout},
	} {
		for _, call := range calls {
			t.Run(test.name+" "+call.doing, func(t *testing.T) {
				asked := 0
				defaultClient(t, test.timeout, func(r *http.Request) {
					asked++
					deadline, ok := r.Context().Deadline()
					require.True(t, ok)
					assert.LessOrEqual(t, time.Until(deadline), test.limit)
					assert.Greater(t, time.Until(deadline), test.limit/2)
					//lint:ignore SA1019 a Cancel channel would make net/http start a goroutine
					assert.Nil(t, r.Cancel)
				})
				assert.Error(t, call.make(gumroad.New(clientKey, secret, callbackURL)))
				assert.Equal(t, 1, asked)
			})
		}
	}
}

// The provider does not change the default client.
func TestDefaultClientIsLeftAsItIs(t *testing.T) {
	p := gumroad.New(clientKey, secret, callbackURL)

	defaultClient(t, 0, func(*http.Request) {})
	client := p.Client()
	assert.Equal(t, gumroad.RequestTimeout, client.Timeout)
	assert.NotNil(t, client.Transport, "Client must use the default client's transport")
	for _, call := range calls {
		assert.Error(t, call.make(p))
	}
	assert.Zero(t, http.DefaultClient.Timeout)
	assert.Nil(t, http.DefaultClient.CheckRedirect)

	http.DefaultClient.Timeout = time.Minute
	assert.Same(t, http.DefaultClient, p.Client())
}

// Many users log in at once through one provider. Each gets their own account. With
// -race, this test also finds data races.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/oauth/token":
			user := r.FormValue("code") + strings.TrimPrefix(r.FormValue("refresh_token"), "refresh-")
			object(fmt.Sprintf(`{"access_token":"access-%s","token_type":"Bearer","refresh_token":"refresh-%s"}`, user, user))(w, r)
		case "/v2/user":
			object(fmt.Sprintf(`{"success":true,"user":{"id":%q}}`, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer access-")))(w, r)
		case "/oauth/revoke":
			object(`{}`)(w, r)
		}
	}))
	defer server.Close()
	p := gumroad.NewCustomisedURL(clientKey, secret, callbackURL,
		server.URL+"/oauth/authorize", server.URL+"/oauth/token", server.URL+"/v2/user", gumroad.ScopeViewProfile, gumroad.ScopeViewSales)

	var logins sync.WaitGroup
	for i := range 16 {
		logins.Add(1)
		go func() {
			defer logins.Done()
			user := fmt.Sprint("user-", i)
			session, err := p.BeginAuth(user)
			assert.NoError(t, err)
			session, err = p.UnmarshalSession(session.Marshal())
			assert.NoError(t, err)
			_, err = session.Authorize(p, url.Values{"code": {user}})
			assert.NoError(t, err)
			fetched, err := p.FetchUser(session)
			assert.NoError(t, err)
			assert.Equal(t, user, fetched.UserID)
			token, err := p.RefreshToken(fetched.RefreshToken)
			if assert.NoError(t, err) {
				assert.Equal(t, "access-"+user, token.AccessToken)
			}
			assert.NoError(t, p.RevokeToken(context.Background(), fetched.AccessToken))
			assert.NotNil(t, p.Client())
			assert.Equal(t, "gumroad", p.Name())
		}()
	}
	logins.Wait()
}

// What follows is shared by the tests of the package.

// An error may contain clientKey, but none of the other values. Three of them
// change when they are encoded in a form or a URL.
const (
	clientKey    = "the-client-key"
	secret       = "the+client/secret"
	code         = "the code=1"
	verifier     = "the-code-verifier"
	accessToken  = "the/access+token"
	refreshToken = "the-refresh-token"

	callbackURL = "http://127.0.0.1:3000/auth/gumroad/callback"
)

// calls lists the four requests that a provider makes. doing is what their errors
// say was being done.
var calls = []struct {
	doing string
	url   string // the default endpoint
	make  func(*gumroad.Provider) error
}{
	{"exchanging the authorization code", "https://api.gumroad.com/oauth/token", func(p *gumroad.Provider) error {
		_, err := (&gumroad.Session{CodeVerifier: verifier}).Authorize(p, url.Values{"code": {code}})
		return err
	}},
	{"fetching the user", "https://api.gumroad.com/v2/user", func(p *gumroad.Provider) error {
		_, err := p.FetchUser(&gumroad.Session{AccessToken: accessToken, RefreshToken: refreshToken})
		return err
	}},
	{"refreshing the token", "https://api.gumroad.com/oauth/token", func(p *gumroad.Provider) error {
		_, err := p.RefreshToken(refreshToken)
		return err
	}},
	{"revoking the token", "https://api.gumroad.com/oauth/revoke", func(p *gumroad.Provider) error {
		return p.RevokeToken(context.Background(), accessToken)
	}},
}

// success is a good answer to every call.
const success = `{"success":true,"user":{"id":"1"},"access_token":"a","refresh_token":"r","token_type":"Bearer"}`

// text returns a handler that gives this answer.
func text(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// object returns a handler that answers 200 with this JSON object, as Gumroad does
// on success.
func object(body string) http.HandlerFunc {
	return text(http.StatusOK, "application/json; charset=utf-8", body)
}

// answering returns a provider for a server that gives these answers in this
// order. The test fails unless there is exactly one request per answer.
func answering(t *testing.T, answers ...http.Handler) *gumroad.Provider {
	t.Helper()
	var made atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(made.Add(1))
		if n > len(answers) {
			http.Error(w, "one request too many", http.StatusTeapot)
			return
		}
		answers[n-1].ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		assert.EqualValues(t, len(answers), made.Load(), "requests to Gumroad")
	})
	return gumroad.NewCustomisedURL(clientKey, secret, callbackURL,
		server.URL+"/oauth/authorize", server.URL+"/oauth/token", server.URL+"/v2/user")
}

// at returns a provider for the server at this address.
func at(address string, client *http.Client) *gumroad.Provider {
	p := gumroad.NewCustomisedURL(clientKey, secret, callbackURL, address+"/oauth/authorize", address+"/oauth/token", address+"/v2/user")
	p.HTTPClient = client
	return p
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An exchange is a recorded request to Gumroad's OAuth engine and its answer.
type exchange struct {
	name   string // FILE/TITLE
	method string
	target string
	bearer string // the access token in the Authorization header
	form   url.Values

	status int
	header http.Header
	body   string
}

// recordings returns the exchanges for which wanted is true. It fails the test if
// there are none.
func recordings(t *testing.T, wanted func(exchange) bool) (found []exchange) {
	t.Helper()
	files, err := filepath.Glob("testdata/recordings/*.txt")
	require.NoError(t, err)
	for _, file := range files {
		for _, x := range read(t, file) {
			if wanted(x) {
				found = append(found, x)
			}
		}
	}
	require.NotEmpty(t, found)
	return found
}

// recording returns the exchange with this name, FILE/TITLE.
func recording(t *testing.T, name string) exchange {
	t.Helper()
	file, _, _ := strings.Cut(name, "/")
	found := read(t, "testdata/recordings/"+file+".txt")
	i := slices.IndexFunc(found, func(x exchange) bool { return x.name == name })
	require.GreaterOrEqual(t, i, 0, "no recording %s", name)
	return found[i]
}

var title = regexp.MustCompile(`(?m)^##### (.+)\n`)

// read reads the exchanges of one file. Each exchange is a title, the request, a
// line of five dashes, the answer and an empty line.
func read(t *testing.T, file string) (found []exchange) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	text := string(data) + "\n"
	titles := title.FindAllStringSubmatchIndex(text, -1)
	for i, at := range titles {
		end := len(text)
		if i+1 < len(titles) {
			end = titles[i+1][0]
		}
		x := exchange{name: strings.TrimSuffix(filepath.Base(file), ".txt") + "/" + text[at[2]:at[3]]}
		asked, answered, ok := strings.Cut(text[at[1]:end], "\n-----\n")
		require.True(t, ok, x.name)

		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(asked)))
		require.NoError(t, err, x.name)
		require.NoError(t, req.ParseForm(), x.name)
		x.method, x.target, x.form = req.Method, req.RequestURI, req.PostForm
		x.bearer = strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")

		// The recorded bodies are decoded, although their headers still say chunked.
		answered = strings.Replace(answered, "\nTransfer-Encoding: chunked\n", "\n", 1)
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answered)), req)
		require.NoError(t, err, x.name)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err, x.name)
		x.status, x.header = resp.StatusCode, resp.Header
		x.body = strings.TrimSuffix(string(body), "\n\n")
		found = append(found, x)
	}
	return found
}

// answer returns a handler that gives the recorded answer byte for byte. It fails
// the test unless the request has the recorded address, access token and form.
func (x exchange) answer(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.NoError(t, r.ParseForm())
		assert.Equal(t, x.method+" "+x.target, r.Method+" "+r.RequestURI)
		assert.Equal(t, x.form, r.PostForm)
		if x.bearer == "" {
			assert.NotContains(t, r.Header, "Authorization")
		} else {
			assert.Equal(t, "Bearer "+x.bearer, r.Header.Get("Authorization"))
		}
		for name, values := range x.header {
			w.Header()[name] = values
		}
		w.Header()["Date"] = nil // the recordings have no Date
		w.WriteHeader(x.status)
		w.(http.Flusher).Flush() // makes the answer chunked, as it was recorded
		_, _ = io.WriteString(w, x.body)
	})
}

// replaying returns a provider with the settings of the recorded request, for a
// server that gives the recorded answer once.
func replaying(t *testing.T, x exchange) *gumroad.Provider {
	t.Helper()
	p := answering(t, x.answer(t))
	p.ClientKey, p.Secret = x.form.Get("client_id"), x.form.Get("client_secret")
	if x.form.Has("redirect_uri") {
		p.CallbackURL = x.form.Get("redirect_uri")
	}
	return p
}
