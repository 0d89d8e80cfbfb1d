package gumroad_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gumroad/goth-gumroad"
	"github.com/markbates/goth"
	"github.com/markbates/goth/providers/faux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var _ goth.Session = (*gumroad.Session)(nil)

func TestGetAuthURL(t *testing.T) {
	t.Parallel()
	for _, s := range []*gumroad.Session{{}, nil} {
		authURL, err := s.GetAuthURL()
		assert.Empty(t, authURL)
		assert.EqualError(t, err, "gumroad: beginning the login: "+goth.NoAuthUrlErrorMessage)
	}
	authURL, err := (&gumroad.Session{AuthURL: "/foo"}).GetAuthURL()
	assert.NoError(t, err)
	assert.Equal(t, "/foo", authURL)
}

// gothic keeps the session in a cookie, which holds only about 4 KB. Escaping "&"
// would make the session longer.
func TestMarshal(t *testing.T) {
	t.Parallel()
	s := &gumroad.Session{}
	assert.Equal(t, `{"AuthURL":"","AccessToken":"","RefreshToken":"","ExpiresAt":"0001-01-01T00:00:00Z"}`, s.Marshal())
	s = &gumroad.Session{AuthURL: "/foo?a=1&b=2", CodeVerifier: verifier}
	assert.Equal(t, `{"AuthURL":"/foo?a=1&b=2","AccessToken":"","RefreshToken":"","ExpiresAt":"0001-01-01T00:00:00Z","CodeVerifier":"`+verifier+`"}`, s.Marshal())
	assert.Equal(t, s.Marshal(), s.String())
	assert.Equal(t, "null", (*gumroad.Session)(nil).Marshal())
}

func TestUnmarshalSession(t *testing.T) {
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
	// White space around the object is allowed. Unknown fields are too, because a later
	// version may store more. The session says nothing about its provider.
	session, err := (*gumroad.Provider)(nil).UnmarshalSession(" {\"AuthURL\":\"/foo\",\"Later\":{}}\n")
	assert.NoError(t, err)
	assert.Equal(t, &gumroad.Session{AuthURL: "/foo"}, session)
}

// The error does not quote the session.
func TestUnmarshalSessionThatIsNone(t *testing.T) {
	t.Parallel()
	for _, stored := range []string{
		"", " ", "null", "true", "1", `"` + verifier + `"`, "[]", `[{"AuthURL":"/foo"}]`,
		"{", `{"CodeVerifier":"` + verifier, `{"AuthURL":"/foo"}{}`, `{"AuthURL":"/foo"} null`, `{"AuthURL":"/foo"}` + verifier, verifier + `{}`,
		`{"AuthURL":1}`, `{"CodeVerifier":["` + verifier + `"]}`, `{"ExpiresAt":"` + verifier + `"}`,
	} {
		session, err := gumroad.New(clientKey, secret, callbackURL).UnmarshalSession(stored)
		assert.Nil(t, session, stored)
		assert.EqualError(t, err, "gumroad: reading the stored session: it is not the JSON object that Session.Marshal writes; let the user start again")
		assert.NoError(t, cause(err))
	}
}

// Authorize makes exactly the recorded request: the credentials are in the body, and
// the verifier is sent only if there is one. If it fails, the session does not change.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	for _, x := range recordings(t, func(x exchange) bool {
		return x.form.Get("grant_type") == "authorization_code" && x.form.Has("code")
	}) {
		s := gumroad.Session{AuthURL: "/foo", CodeVerifier: x.form.Get("code_verifier")}
		before := s
		token, err := s.Authorize(replaying(t, x), url.Values{"code": x.form["code"], "state": {"st/a+te=&é 1"}})
		if x.status != http.StatusOK {
			assert.Empty(t, token)
			assertReadable(t, "exchanging the authorization code", err)
			assertAnswered(t, x, err)
			assert.Equal(t, before, s)
			continue
		}
		assert.NoError(t, err)
		answer := decode(t, x.body)
		assert.Equal(t, answer["access_token"], token)
		assert.Equal(t, gumroad.Session{AuthURL: "/foo", AccessToken: token, RefreshToken: answer["refresh_token"].(string)}, s,
			"the session must have the tokens, no verifier and no expiry")
	}
}

// The recordings that TestAuthorize relies on.
func TestAuthorizeRecordings(t *testing.T) {
	t.Parallel()
	for name, verified := range map[string]bool{"pkce_confidential_s256_ok/exchange": true, "token_ok_body/exchange": false} {
		x := recording(t, name)
		assert.Equal(t, http.StatusOK, x.status)
		assert.Equal(t, verified, x.form.Has("code_verifier"), name)
	}
	assert.Contains(t, recording(t, "pkce_confidential_s256_wrong_verifier/exchange").body, "invalid_grant")
}

// A session that a version without PKCE stored, or that was stored before the
// exchange, completes the login.
func TestAuthorizeWithAStoredSession(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]string{
		"pkce_confidential_s256_ok/exchange": `{"AuthURL":"/foo","CodeVerifier":"CF4rySEMJ3rlHWEjl8BbrK5JcuZs4XXl4uwXSg1OUOfpG89wdbVmPsZXChPkQKgI"}`,
		"token_ok_body/exchange":             `{"AuthURL":"/foo","AccessToken":"","RefreshToken":"","ExpiresAt":"0001-01-01T00:00:00Z"}`,
	} {
		x := recording(t, name)
		p := replaying(t, x)
		session, err := p.UnmarshalSession(stored)
		require.NoError(t, err)
		token, err := session.Authorize(p, x.form)
		assert.NoError(t, err)
		assert.Len(t, token, 43)
		assert.NotContains(t, session.Marshal(), "CodeVerifier")
	}
}

// sentBack returns the query of the callback URL in a recorded redirect.
func sentBack(t *testing.T, name string) url.Values {
	t.Helper()
	callback, err := url.Parse(recording(t, name).header.Get("Location"))
	require.NoError(t, err)
	return callback.Query()
}

// A callback with an error is refused, even if it also has a code. Nothing is sent.
func TestCallbackWithAnError(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		callback                  url.Values
		code, description, advice string
	}{
		{sentBack(t, "authorize_denied/click Deny"),
			"access_denied", "The resource owner or authorization server denied the request.", "the user said no, and may start again"},
		{sentBack(t, "authorize_invalid_scope/POST"),
			"invalid_scope", "The requested scope is invalid, unknown, or malformed.", "check the scopes that the application asks for"},
		{url.Values{"error": {"invalid_request"}}, "invalid_request", "", "check how the provider is set up"},
		{url.Values{"error": {"invalid_redirect_uri"}}, "invalid_redirect_uri", "", "check how the provider is set up"},
		{url.Values{"error": {"unsupported_response_type"}}, "unsupported_response_type", "", "check how the provider is set up"},
		{url.Values{"error": {"unauthorized_client"}}, "unauthorized_client", "", "check the client key and the secret"},
		{url.Values{"error": {"server_error"}}, "server_error", "", "try again later"},
		{url.Values{"error": {"temporarily_unavailable"}}, "temporarily_unavailable", "", "try again later"},
		{url.Values{"error": {"anything_else"}}, "anything_else", "", "the user may start again"},
	} {
		for _, code := range []string{"", code, "access_denied", test.code} {
			test.callback.Set("code", code)
			s := &gumroad.Session{AuthURL: "/foo", CodeVerifier: verifier}
			token, err := s.Authorize(answering(t), test.callback)
			assert.Empty(t, token)
			refused := asError(t, err)
			assert.Equal(t, []any{0, test.code, test.description}, []any{refused.StatusCode, refused.Code, refused.Description})
			assert.EqualError(t, err, "gumroad: completing the login: the callback says "+test.code+" ("+test.advice+")")
			if test.code == "access_denied" {
				assert.ErrorIs(t, err, gumroad.ErrAccessDenied)
			} else {
				assert.NoError(t, cause(refused))
			}
			assert.Equal(t, &gumroad.Session{AuthURL: "/foo", CodeVerifier: verifier}, s)
		}
	}
}

// A visitor can choose everything in a callback. The error does not present it as
// Gumroad's words.
func TestCallbackOfAVisitor(t *testing.T) {
	t.Parallel()
	callback := func(code, description string) *gumroad.Error {
		_, err := (&gumroad.Session{}).Authorize(answering(t), url.Values{"error": {code}, "error_description": {description}})
		return asError(t, err)
	}
	for _, said := range []string{"Your shop is locked, call +1 555 0100", `</script><script>alert("pwned")</script>`, "no\r\n", " "} {
		err := callback("no", said)
		assert.EqualError(t, err, "gumroad: completing the login: the callback says no (the user may start again)")
		assert.NotContains(t, err.Description, "<")
		assert.EqualError(t, callback(said, said), "gumroad: completing the login: the callback says that the login failed (the user may start again)")
	}
	for _, almost := range []string{"access_denied_", "access_denied ", " access_denied", "access_denied\x00", "Access_denied", "access-denied"} {
		assert.NotErrorIs(t, callback(almost, ""), gumroad.ErrAccessDenied)
	}
	assert.Equal(t, strings.Repeat("d ", 119)+"d…", callback("no", strings.Repeat("d ", 1<<20)).Description)
}

func TestAuthorizeWithoutACode(t *testing.T) {
	t.Parallel()
	for _, callback := range []url.Values{nil, {}, {"state": {"s"}}, {"code": {""}}, {"CODE": {code}}} {
		s := &gumroad.Session{CodeVerifier: verifier}
		_, err := s.Authorize(answering(t), callback)
		assert.EqualError(t, err, "gumroad: completing the login: the callback has no authorization code; let the user start again")
		assert.Equal(t, &gumroad.Session{CodeVerifier: verifier}, s)
	}
}

// notGumroads is another provider's embedding type.
type notGumroads struct{ *faux.Provider }

func TestAuthorizeWithWhatIsNotGumroads(t *testing.T) {
	t.Parallel()
	callback := url.Values{"code": {code}}
	for is, provider := range map[string]goth.Provider{
		"<nil>": nil, "*gumroad.Provider": (*gumroad.Provider)(nil), "*faux.Provider": &faux.Provider{}, "gumroad_test.notGumroads": notGumroads{},
		"gumroad_test.withoutEmail": withoutEmail{}, "*gumroad_test.withoutEmail": (*withoutEmail)(nil), "*gumroad_test.byValue": (*byValue)(nil),
	} {
		_, err := (&gumroad.Session{}).Authorize(provider, callback)
		is = strings.Trim(is, "<>") // no error has markup
		assert.EqualError(t, err, "gumroad: completing the login: the provider is "+is+", want a *gumroad.Provider that is not nil, or a type that embeds one")
	}
	_, err := (*gumroad.Session)(nil).Authorize(answering(t), callback)
	assert.EqualError(t, err, "gumroad: completing the login: the session or the callback is nil")
	_, err = (&gumroad.Session{}).Authorize(answering(t), nil)
	assert.EqualError(t, err, "gumroad: completing the login: the session or the callback is nil")
}
