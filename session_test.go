package gumroad_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gumroad/goth-gumroad"
	"github.com/markbates/goth"
	"github.com/markbates/goth/providers/faux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func Test_ImplementsSession(t *testing.T) {
	t.Parallel()
	assert.Implements(t, (*goth.Session)(nil), &gumroad.Session{})
}

func Test_GetAuthURL(t *testing.T) {
	t.Parallel()
	for _, s := range []*gumroad.Session{{}, nil} {
		authURL, err := s.GetAuthURL()
		assert.Empty(t, authURL)
		assertReadable(t, "beginning the login", err)
		assert.ErrorContains(t, err, goth.NoAuthUrlErrorMessage)
	}
	authURL, err := (&gumroad.Session{AuthURL: "/foo"}).GetAuthURL()
	assert.NoError(t, err)
	assert.Equal(t, "/foo", authURL)
}

func Test_ToJSON(t *testing.T) {
	t.Parallel()
	assert.Equal(t, `{"AuthURL":"","AccessToken":"","RefreshToken":"","ExpiresAt":"0001-01-01T00:00:00Z"}`, (&gumroad.Session{}).Marshal())
}

func Test_String(t *testing.T) {
	t.Parallel()
	s := &gumroad.Session{AuthURL: "/foo", CodeVerifier: verifier}
	assert.Equal(t, s.Marshal(), s.String())
}

// gothic keeps the session in a cookie, which holds only about 4 KB. Escaping "&"
// would make the session longer.
func TestMarshalIsShort(t *testing.T) {
	t.Parallel()
	s := &gumroad.Session{AuthURL: "/foo?a=1&b=2", CodeVerifier: verifier}
	assert.Contains(t, s.Marshal(), s.AuthURL)
}

func Test_SessionFromJSON(t *testing.T) {
	t.Parallel()
	p := gumroad.New(clientKey, secret, callbackURL)
	for _, wanted := range []*gumroad.Session{
		{},
		{AuthURL: "https://gumroad.com/oauth/authorize?a=1&b=2", CodeVerifier: verifier},
		{AuthURL: "/foo", AccessToken: accessToken, RefreshToken: refreshToken, ExpiresAt: time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)},
	} {
		session, err := p.UnmarshalSession(wanted.Marshal())
		assert.NoError(t, err)
		assert.Equal(t, wanted, session)
	}
}

func TestUnmarshalSession(t *testing.T) {
	t.Parallel()
	p := gumroad.New(clientKey, secret, callbackURL)
	for _, stored := range []string{
		"", " ", "null", "true", "1", `"` + verifier + `"`, "[]", `[{"AuthURL":"/foo"}]`,
		"{", `{"CodeVerifier":"` + verifier, `{"AuthURL":"/foo"}{}`, `{"AuthURL":"/foo"} null`, `{"AuthURL":"/foo"}` + verifier, verifier + `{}`,
		`{"AuthURL":1}`, `{"CodeVerifier":["` + verifier + `"]}`, `{"ExpiresAt":"` + verifier + `"}`,
	} {
		session, err := p.UnmarshalSession(stored)
		assert.Nil(t, session, stored)
		assertReadable(t, "reading the stored session", err)
	}

	// White space around the object is allowed. Unknown fields are too, since a later
	// version may store more.
	session, err := p.UnmarshalSession(" {\"AuthURL\":\"/foo\",\"Later\":{}}\n")
	assert.NoError(t, err)
	assert.Equal(t, &gumroad.Session{AuthURL: "/foo"}, session)
}

// Authorize makes exactly the recorded request. The credentials are only in the
// body, and the verifier is sent only if there is one.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	for _, x := range recordings(t, func(x exchange) bool {
		return x.form.Get("grant_type") == "authorization_code" && x.form.Has("code")
	}) {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := gumroad.Session{AuthURL: "/foo", CodeVerifier: x.form.Get("code_verifier")}
			before := s
			token, err := s.Authorize(replaying(t, x), url.Values{"code": x.form["code"], "state": {"st/a+te=&é 1"}})
			if x.status != http.StatusOK {
				assert.Empty(t, token)
				assertReadable(t, "exchanging the authorization code", err)
				assertAnswered(t, x, err)
				assert.Equal(t, before, s)
				return
			}
			assert.NoError(t, err)
			answer := decode(t, x.body)
			assert.Equal(t, answer["access_token"], token)
			assert.Equal(t, gumroad.Session{AuthURL: "/foo", AccessToken: token, RefreshToken: answer["refresh_token"]}, s,
				"the session must have the tokens, no verifier and no expiry")
		})
	}
}

// These three exchanges have fixed values. They would fail if the recordings were
// read incorrectly.
func TestAuthorizeSendsTheVerifierExactlyWhenThereIsOne(t *testing.T) {
	t.Parallel()
	const stored = `{"AuthURL":"https://gumroad.com/oauth/authorize","AccessToken":"","RefreshToken":"","ExpiresAt":"0001-01-01T00:00:00Z"}`
	for name, verifier := range map[string]string{
		"pkce_confidential_s256_ok/exchange": `,"CodeVerifier":"CF4rySEMJ3rlHWEjl8BbrK5JcuZs4XXl4uwXSg1OUOfpG89wdbVmPsZXChPkQKgI"`,
		"token_ok_body/exchange":             ``, // stored by a version without PKCE
	} {
		x := recording(t, name)
		p := replaying(t, x)
		session, err := p.UnmarshalSession(stored[:len(stored)-1] + verifier + "}")
		require.NoError(t, err)
		token, err := session.Authorize(p, x.form)
		assert.NoError(t, err)
		assert.Len(t, token, 43)
		assert.NotContains(t, session.Marshal(), "CodeVerifier")
	}

	x := recording(t, "pkce_confidential_s256_wrong_verifier/exchange")
	_, err := (&gumroad.Session{CodeVerifier: x.form.Get("code_verifier")}).Authorize(replaying(t, x), x.form)
	assert.Equal(t, "invalid_grant", asError(t, err).Code)
}

// If Gumroad ever returns a lifetime, the session has the time at which the token
// expires.
func TestAuthorizeWithExpiry(t *testing.T) {
	t.Parallel()
	s := &gumroad.Session{}
	_, err := s.Authorize(answering(t, object(`{"access_token":"a","token_type":"Bearer","expires_in":3600}`)), url.Values{"code": {code}})
	assert.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(time.Hour), s.ExpiresAt, time.Minute)

	s = &gumroad.Session{}
	_, err = s.Authorize(answering(t, object(`{"access_token":"a","token_type":"Bearer","expires_in":-1}`)), url.Values{"code": {code}})
	assertReadable(t, "exchanging the authorization code", err)
	assert.Equal(t, &gumroad.Session{}, s)
}

// sentBack returns the query of the callback URL in a recorded redirect.
func sentBack(t *testing.T, name string) url.Values {
	t.Helper()
	callback, err := url.Parse(recording(t, name).header.Get("Location"))
	require.NoError(t, err)
	return callback.Query()
}

// A callback with an error is refused, even if it also has a code.
func TestAuthorizeWithACallbackThatSaysNo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                      string
		callback                  url.Values
		code, description, advice string
		denied                    bool
	}{
		{"denied", sentBack(t, "authorize_denied/click Deny"),
			"access_denied", "The resource owner or authorization server denied the request.", "the user said no, and may start again", true},
		{"invalid scope", sentBack(t, "authorize_invalid_scope/POST"),
			"invalid_scope", "The requested scope is invalid, unknown, or malformed.", "check the scopes that the application asks for", false},
		{"invalid request", url.Values{"error": {"invalid_request"}}, "invalid_request", "", "check how the provider is set up", false},
		{"server error", url.Values{"error": {"server_error"}}, "server_error", "", "try again later", false},
	} {
		for _, withCode := range []bool{false, true} {
			if withCode {
				test.callback.Set("code", code)
			}
			s := &gumroad.Session{AuthURL: "/foo", CodeVerifier: verifier}
			token, err := s.Authorize(answering(t), test.callback)
			assert.Empty(t, token, test.name)
			assertReadable(t, "completing the login", err)
			assert.Equal(t, test.denied, errors.Is(err, gumroad.ErrAccessDenied), test.name)
			assert.False(t, errors.Is(err, gumroad.ErrUnauthorized), test.name)
			answered := asError(t, err)
			assert.Zero(t, answered.StatusCode)
			assert.Equal(t, test.code, answered.Code)
			assert.Equal(t, test.description, answered.Description)
			// A visitor can choose the description, so only the field Description has it.
			assert.EqualError(t, err, "gumroad: completing the login: the callback says "+test.code+" ("+test.advice+")")
			assert.Equal(t, &gumroad.Session{AuthURL: "/foo", CodeVerifier: verifier}, s)
		}
	}
}

func TestAuthorizeWithoutACode(t *testing.T) {
	t.Parallel()
	for _, callback := range []url.Values{nil, {}, {"state": {"s"}}, {"code": {""}}} {
		s := &gumroad.Session{CodeVerifier: verifier}
		_, err := s.Authorize(answering(t), callback)
		assertReadable(t, "completing the login", err)
		assert.Equal(t, &gumroad.Session{CodeVerifier: verifier}, s)
	}
}

func TestAuthorizeWithWhatIsNotGumroads(t *testing.T) {
	t.Parallel()
	callback := url.Values{"code": {code}}
	for is, provider := range map[string]goth.Provider{"nil": nil, "*gumroad.Provider": (*gumroad.Provider)(nil), "*faux.Provider": &faux.Provider{}} {
		_, err := (&gumroad.Session{}).Authorize(provider, callback)
		assert.EqualError(t, err, "gumroad: completing the login: the provider is "+is+", want a *gumroad.Provider that is not nil")
	}
	_, err := (*gumroad.Session)(nil).Authorize(answering(t), callback)
	assertReadable(t, "completing the login", err)
	_, err = (&gumroad.Session{}).Authorize(answering(t), nil)
	assertReadable(t, "completing the login", err)
}
