package gumroad_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/gumroad/goth-gumroad"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// unknownToken is a token that the provider does not know. A server may put it
// into any answer.
const unknownToken = "AG7MFls-_b1WlqT5cm4AOld5QVvCeh-kgpr38ix-520"

// echo returns every secret of the request, both encoded and decoded, and
// unknownToken.
func echo(r *http.Request) string {
	_ = r.ParseForm()
	all := []string{unknownToken, r.PostForm.Encode(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	for _, values := range r.PostForm {
		all = append(all, values...)
	}
	return strings.Join(all, " ")
}

const page = "<!DOCTYPE html>\n<html><body><h1>Something broke</h1></body></html>\n"

// assertReadable fails the test unless err says what was being done, is short and
// is on one line. Neither err nor any cause of it may contain a secret.
func assertReadable(t *testing.T, doing string, err error) {
	t.Helper()
	require.Error(t, err)
	assert.Regexp(t, `^gumroad: `+doing+`: \S`, err.Error())
	assert.Less(t, len([]rune(err.Error())), 600)
	assert.Equal(t, -1, strings.IndexFunc(err.Error(), unicode.IsControl), "%q", err)
	assert.NotContains(t, err.Error(), "<")
	assert.NotContains(t, err.Error(), ">")
	for ; err != nil; err = cause(err) {
		for _, hidden := range []string{secret, code, verifier, accessToken, refreshToken, unknownToken} {
			assert.NotContains(t, err.Error(), hidden)
			assert.NotContains(t, err.Error(), url.QueryEscape(hidden))
		}
	}
}

// cause returns the error that err wraps, or the one that errors.As finds behind an
// error that has no Unwrap.
func cause(err error) (found error) {
	if opaque, ok := err.(interface{ As(any) bool }); ok {
		opaque.As(&found)
		return found
	}
	return errors.Unwrap(err)
}

// asError returns the *gumroad.Error that err is or wraps.
func asError(t *testing.T, err error) *gumroad.Error {
	t.Helper()
	var answered *gumroad.Error
	require.ErrorAs(t, err, &answered)
	return answered
}

// refuse returns a provider that is refused with this status, these values of the
// header WWW-Authenticate and this body.
func refuse(status int, body string, challenges ...string) *gumroad.Provider {
	return over(func(*http.Request) (*http.Response, error) {
		return response(status, http.Header{"Www-Authenticate": challenges}, strings.NewReader(body)), nil
	})
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	x := recording(t, "token_code_reused/second use")
	_, err := (&gumroad.Session{}).Authorize(replaying(t, x), x.form)
	assert.EqualError(t, err, "gumroad: exchanging the authorization code: Gumroad answered 400 Bad Request, invalid_grant: "+
		"The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the "+
		"authorization request, or was issued to another client. (the user must log in again; if it happens again, "+
		"check that Authorize is called on the session that BeginAuth returned)")
	for text, err := range map[string]*gumroad.Error{ // as an application's own test may make them
		"gumroad: the callback says that the login failed": {},
		"gumroad: the callback says access_denied":         {Code: "access_denied", Description: "No."},
		"gumroad: Gumroad answered 410 Gone, gone":         {StatusCode: 410, Code: "gone"},
		"gumroad: Gumroad answered 410 Gone: No.":          {StatusCode: 410, Description: "No."},
		"gumroad: Gumroad answered 599":                    {StatusCode: 599},
	} {
		assert.EqualError(t, err, text)
	}
}

// The advice names who can help: the user, the operator, the developer or nobody.
func TestAdvice(t *testing.T) {
	t.Parallel()
	const (
		wait      = "(try again later)"
		logIn     = "(the user must log in again)"
		session   = "check that Authorize is called on the session that BeginAuth returned)"
		setUp     = "(check how the provider is set up)"
		endpoints = "(check the provider's endpoints)"
		inFront   = "(check what is in front of Gumroad, such as a proxy or a firewall: it refused the request)"
		keys      = "(check the client key and the secret)"
		scope     = "(ask for the scope view_profile as well)"
		challenge = `Bearer realm="Doorkeeper", error="invalid_token", error_description="The access token was revoked"`
		revoked   = "401 Unauthorized, invalid_token: The access token was revoked "
	)
	exchange, user, refresh, revoke := 0, 1, 2, 3 // indexes in calls
	all, post := []int{exchange, user, refresh, revoke}, []int{exchange, refresh, revoke}
	for _, test := range []struct {
		status int
		header string // WWW-Authenticate
		body   string
		calls  []int
		says   string // the error's text from the status on
		dead   bool   // the error is ErrUnauthorized
	}{
		// Nobody can help.
		{status: 408, calls: all, says: "408 Request Timeout " + wait},
		{status: 429, body: "Retry later\n", calls: all, says: "429 Too Many Requests " + wait},
		{status: 429, body: `{"error":"invalid_grant"}`, calls: all, says: "429 Too Many Requests, invalid_grant " + wait},
		{status: 500, body: page, calls: all, says: "500 Internal Server Error " + wait},
		{status: 503, body: `{"error":"invalid_client"}`, calls: all, says: "503 Service Unavailable, invalid_client " + wait},
		{status: 600, calls: all, says: "600 " + wait},
		{status: 401, body: `{"error":"server_error"}`, calls: all, says: "401 Unauthorized, server_error " + wait},
		{status: 400, body: `{"error":"temporarily_unavailable"}`, calls: all, says: "400 Bad Request, temporarily_unavailable " + wait},
		{status: 200, body: `{"success":false,"message":"We are moving."}`, calls: all, says: "200 OK: We are moving. " + wait},
		{status: 200, body: `{"success":false,"message":"The user was not found."}`, calls: post, says: "200 OK: The user was not found. " + wait},

		// The operator of what is in front of Gumroad can help.
		{status: 401, body: page, calls: all, says: "401 Unauthorized " + inFront},
		{status: 401, header: `Basic realm="proxy"`, calls: all, says: "401 Unauthorized " + inFront},
		{status: 401, header: `Basic realm="proxy"`, body: "{}", calls: all, says: "401 Unauthorized " + inFront},
		{status: 401, body: `{"error":"no_route"}`, calls: []int{user}, says: "401 Unauthorized, no_route " + inFront},
		{status: 401, body: `{"success":"false"}`, calls: []int{user}, says: "401 Unauthorized " + inFront},
		{status: 401, calls: post, says: "401 Unauthorized " + inFront},
		{status: 402, body: page, calls: all, says: "402 Payment Required " + inFront},
		{status: 403, body: page, calls: all, says: "403 Forbidden " + inFront},
		{status: 403, body: "error code: 1010", calls: all, says: "403 Forbidden " + inFront},
		{status: 403, body: strings.Repeat(" ", 3<<20) + "x", calls: all, says: "403 Forbidden " + inFront},
		{status: 403, body: `{"error":"no_access"}`, calls: []int{user}, says: "403 Forbidden, no_access " + inFront},
		{status: 407, body: `{"error":"invalid_client"}`, calls: all, says: "407 Proxy Authentication Required, invalid_client " + inFront},
		{status: 451, body: `{"error":"invalid_client"}`, calls: all, says: "451 Unavailable For Legal Reasons, invalid_client " + inFront},

		// The user can help.
		{status: 400, body: `{"error":"invalid_grant"}`, calls: []int{refresh, revoke, user}, says: "400 Bad Request, invalid_grant " + logIn},
		{status: 400, body: `{"error":"invalid_grant"}`, calls: []int{exchange}, says: "400 Bad Request, invalid_grant (the user must log in again; if it happens again, " + session},
		{status: 401, header: challenge, calls: []int{user}, dead: true, says: revoked + logIn},
		{status: 401, header: challenge, body: page, calls: []int{user}, dead: true, says: revoked + logIn},
		{status: 401, calls: []int{user}, dead: true, says: "401 Unauthorized " + logIn},
		{status: 401, body: " \n", calls: []int{user}, dead: true, says: "401 Unauthorized " + logIn},
		{status: 401, body: `{"success":false}`, calls: []int{user}, dead: true, says: "401 Unauthorized " + logIn},
		{status: 200, body: `{"success":false,"message":"The user was not found."}`, calls: []int{user},
			says: "200 OK: The user was not found. (the user must log in again; the account may be closed)"},
		{status: 404, body: `{"success":false,"message":"The user was not found."}`, calls: []int{user},
			says: "404 Not Found: The user was not found. (the user must log in again; the account may be closed)"},

		// The developer can help.
		{status: 403, calls: []int{user}, says: "403 Forbidden " + scope},
		{status: 403, header: challenge, calls: []int{user}, says: "403 Forbidden, invalid_token: The access token was revoked " + scope},
		{status: 403, body: `{"success":false,"message":"This endpoint requires the view_profile scope."}`, calls: []int{user},
			says: "403 Forbidden: This endpoint requires the view_profile scope. " + scope},
		{status: 401, body: `{"error":"invalid_client"}`, calls: post, says: "401 Unauthorized, invalid_client " + keys},
		{status: 403, body: `{"error":"unauthorized_client"}`, calls: post, says: "403 Forbidden, unauthorized_client " + keys},
		{status: 400, body: `{"error":"invalid_scope"}`, calls: all, says: "400 Bad Request, invalid_scope (check the scopes that the application asks for)"},
		{status: 400, body: `{"error":"invalid_request","error_description":"Missing required parameter: code_verifier."}`, calls: []int{exchange},
			says: "400 Bad Request, invalid_request: Missing required parameter: code_verifier. (" + session},
		{status: 400, body: `{"error":"invalid_request","error_description":"Missing required parameter: code_verifier."}`, calls: []int{user, refresh, revoke},
			says: "400 Bad Request, invalid_request: Missing required parameter: code_verifier. " + setUp},
		{status: 400, body: `{"error":"invalid_request"}`, calls: all, says: "400 Bad Request, invalid_request " + setUp},
		{status: 404, body: `{"error":"unsupported_grant_type"}`, calls: all, says: "404 Not Found, unsupported_grant_type " + setUp},
		{status: 200, body: `{"error":"invalid_redirect_uri"}`, calls: all, says: "200 OK, invalid_redirect_uri " + setUp},
		{status: 400, body: `{"error":"access_denied"}`, calls: all, says: "400 Bad Request, access_denied " + setUp},
		{status: 401, body: `{"error":"something_new"}`, calls: post, says: "401 Unauthorized, something_new " + setUp},
		{status: 402, calls: []int{user}, says: "402 Payment Required " + setUp},
		{status: 400, calls: all, says: "400 Bad Request " + setUp},
		{status: 418, calls: all, says: "418 I'm a teapot " + setUp},
		{status: 404, body: page, calls: all, says: "404 Not Found " + endpoints},
		{status: 405, calls: all, says: "405 Method Not Allowed " + endpoints},
		{status: 399, calls: all, says: "399 " + endpoints},
		{status: 302, calls: all, says: "302 Found " + endpoints},
		{status: 201, body: success, calls: all, says: "201 Created " + endpoints},
		{status: 101, calls: all, says: "101 Switching Protocols " + setUp},
	} {
		for _, i := range test.calls {
			err := calls[i].make(refuse(test.status, test.body, test.header))
			assert.EqualError(t, err, "gumroad: "+calls[i].doing+": Gumroad answered "+test.says)
			assert.Equal(t, test.dead, errors.Is(err, gumroad.ErrUnauthorized), test.says)
			assert.NotErrorIs(t, err, gumroad.ErrAccessDenied)
		}
	}
}

// The kind of a request decides what a 401 means, not its URL, because a stub may
// have one URL for all.
func TestUnauthorizedWithOneURLForAll(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		p := refuse(http.StatusUnauthorized, "", `Bearer realm="Doorkeeper", error="invalid_token"`)
		p.TokenURL, p.ProfileURL = "https://stub.example/revoke", "https://stub.example/revoke"
		assert.Equal(t, call.doing == "fetching the user", errors.Is(call.make(p), gumroad.ErrUnauthorized), call.doing)
	}
}

// The code of the body wins over the one of the header, since a program that refreshes
// tokens waits for invalid_grant.
func TestErrorOfAChallenge(t *testing.T) {
	t.Parallel()
	const long = `, realm="` + "12345678901234567890123456789012345678901234567890" + `"`
	for _, test := range []struct{ header, body, code, description string }{
		{`Bearer realm="Doorkeeper", error="invalid_token", error_description="The access token is invalid"`, ``, "invalid_token", "The access token is invalid"},
		{`Bearer error="invalid_token"`, ``, "invalid_token", ""},
		{`Bearer error="invalid_token", error_description=""`, ``, "invalid_token", ""},
		{`Bearer realm="Doorkeeper", error="invalid_token", error_description="Revoked"`, `{"error":"invalid_grant"}`, "invalid_grant", "Revoked"},
		{`Bearer error="invalid_token", error_description="Revoked"`, `{"error":"invalid_grant","error_description":"No."}`, "invalid_grant", "No."},
		{`Bearer error="invalid_token", error_description="Revoked"`, `{"error":" ","error_description":"\u0000","message":"No."}`, "invalid_token", "No."},
		{`Bearer realm="x"` + strings.Repeat(long, 10) + `, error="invalid_token"`, ``, "invalid_token", ""},

		{`Bearer x-error="invalid_token"`, ``, "", ""},
		{`Bearer realm="a", x-error="invalid_token"`, ``, "", ""},
		{`Bearer error="Invalid Token", error_description="No."`, ``, "", "No."},
		{`bearer error="invalid_token"`, ``, "", ""},
		{`NotBearer error="invalid_token"`, ``, "", ""},
		{`Basic realm="Bearer error="invalid_token""`, ``, "", ""},
		{`Bearer error="invalid_token`, ``, "", ""},
		{`Bearer realm="x"` + strings.Repeat(long, 20) + `, error="invalid_token"`, ``, "", ""},
		{``, `{"ERROR":"invalid_grant","error_Description":"No."}`, "", ""},
		{``, `{"error":{"error":"invalid_grant"},"error_description":1,"message":["No."]}`, "", ""},
	} {
		for _, call := range calls {
			err := asError(t, call.make(refuse(http.StatusBadRequest, test.body, test.header)))
			assert.Equal(t, []string{test.code, test.description}, []string{err.Code, err.Description}, "%s %s", test.header, test.body)
		}
	}
}

// What does not look like a code is none, and may be a token.
func TestErrorCode(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a_", 20)
	for said, wanted := range map[string]string{
		"invalid_grant": "invalid_grant", longest: longest, "a": "a",
		longest + "a": "", "NO": "", "no1": "", " no": "", "no\n": "", "n\u00f6": "", "no-no": "", unknownToken: "", secret: "", "": "",
	} {
		body, err := json.Marshal(map[string]string{"error": said})
		require.NoError(t, err)
		assert.Equal(t, wanted, asError(t, refresh(refuse(http.StatusBadRequest, string(body)))).Code, "%q", said)
		_, err = (&gumroad.Session{}).Authorize(gumroad.New(clientKey, secret, callbackURL), url.Values{"error": {said}, "code": {""}})
		if said != "" {
			assert.Equal(t, wanted, asError(t, err).Code, "%q", said)
		}
	}
}

// Programs that know x/oauth2's error can use it. It has no body and no request, which
// would contain the secret.
func TestErrorUnwrapsToRetrieveError(t *testing.T) {
	t.Parallel()
	for after, wanted := range map[string]http.Header{
		"": {}, "120": {"Retry-After": {"120"}}, "Sat, 28 Nov 2026 15:52:06 GMT": {"Retry-After": {"Sat, 28 Nov 2026 15:52:06 GMT"}},
		unknownToken + " seconds": {"Retry-After": {"[hidden] seconds"}}, secret: {"Retry-After": {"[hidden]"}}, "<1>\x7f": {"Retry-After": {"1"}},
	} {
		for _, call := range calls {
			err := call.make(over(func(*http.Request) (*http.Response, error) {
				header := http.Header{"Retry-After": {after}, "X-Request": {unknownToken}}
				return response(http.StatusTooManyRequests, header, strings.NewReader(`{"error":"slow_down","error_description":"No `+unknownToken+`."}`)), nil
			}))
			if !strings.HasSuffix(call.url, "/oauth/token") {
				assert.NoError(t, cause(err), "only errors of the token endpoint wrap one")
				continue
			}
			assert.Equal(t, &oauth2.RetrieveError{
				Response:  &http.Response{Status: "429 Too Many Requests", StatusCode: 429, Header: wanted, Body: http.NoBody},
				ErrorCode: "slow_down", ErrorDescription: "No [hidden]",
			}, cause(asError(t, err)))
		}
	}
	var retrieve *oauth2.RetrieveError
	require.ErrorAs(t, refresh(refuse(599, "")), &retrieve)
	assert.Equal(t, "599", retrieve.Response.Status)
}

// A description keeps its words, on one line and without markup. What may be a token
// is hidden, and so is a secret of the request, as it is and as a form encodes it.
func TestDescription(t *testing.T) {
	t.Parallel()
	const short, clear, encoded = "one-two", "a+b/c= d", "a%2Bb%2Fc%3D+d" // the refresh token begins with the secret
	for said, wanted := range map[string]string{
		"The provided authorization grant is invalid, expired, revoked, does not match the redirection URI.": "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI.",
		`a "quoted" \text\ with 100% + more & more; &c. and äöü`:                                             `a "quoted" \text\ with 100% + more & more; &c. and äöü`,
		"日本語の説明です。日本語の説明です。日本語の説明です。":                                                                        "日本語の説明です。日本語の説明です。日本語の説明です。",
		"né\x1b[31m\r\n\tthe \u202eend\u200b":                                                                "né [31m the end",
		"<b>now</b> <<>>":                                                                                    "b now /b",
		"N\x00o.":                                                                                            "No.",
		strings.Repeat("é", 240):                                                                             strings.Repeat("é", 240),
		strings.Repeat("é", 241):                                                                             strings.Repeat("é", 240) + "…",
		strings.Repeat("é", 239) + " é":                                                                      strings.Repeat("é", 239) + "…",

		"1234567890123456789":                "1234567890123456789",
		"12345678901234567890":               "[hidden]",
		"no " + unknownToken + " was found.": "no [hidden] was found.",
		"no:" + unknownToken + ".":           "[hidden]",
		"é" + unknownToken + "é":             "é[hidden]é",
		"https://gumroad.com/oauth/token":    "[hidden]",
		"see a-host.internal.example":        "see [hidden]", // only the text of a cause has hosts
		"not " + clear + "!":                 "not [hidden]!",
		"not " + encoded + "!":               "not [hidden]!",
		"not " + clear + short + "!":         "not [hidden]!",
		"not " + clear + "-" + short + "!":   "not [hidden]-" + short + "!",

		strings.Repeat("a ", 110) + unknownToken + " end": strings.TrimSpace(strings.Repeat("a ", 110)) + " [hidden] end",
		strings.Repeat("a ", 119) + unknownToken:          strings.Repeat("a ", 119) + "[h…",
		strings.Repeat(" ", 16<<10-20) + unknownToken:     "",
		strings.Repeat("x", 17<<10):                       "",
		"No." + strings.Repeat(" ", 16<<10-6) + "end":     "No. end",
		"No. " + strings.Repeat("x", 17<<10):              "No.",
		"No. " + strings.Repeat(" x", 1<<18):              "No. " + strings.Repeat("x ", 117) + "x…",
	} {
		body, err := json.Marshal(map[string]string{"error_description": said})
		require.NoError(t, err)
		p := refuse(http.StatusBadRequest, string(body))
		p.Secret = clear
		_, err = p.RefreshToken(clear + short)
		assert.Equal(t, wanted, asError(t, err).Description, "%.60q", said)
	}
	// A secret of fewer than 8 characters is a part of too many words.
	p := refuse(http.StatusBadRequest, `{"error_description":"not `+short+`!"}`)
	p.Secret = short
	assert.Equal(t, "not "+short+"!", asError(t, refresh(p)).Description)
}

// Each request hides the secrets that it has or that belong to it.
func TestSecretsOfEachRequest(t *testing.T) {
	t.Parallel()
	for i, secrets := range [][]string{{secret, code, verifier}, {secret, accessToken, refreshToken}, {secret, refreshToken}, {secret, accessToken}} {
		for _, hidden := range secrets {
			err := calls[i].make(refuse(http.StatusBadRequest, `{"error_description":"not `+hidden+`!"}`))
			assert.Equal(t, "not [hidden]!", asError(t, err).Description, calls[i].doing)
		}
	}
	for _, hidden := range []string{secret, code, verifier} {
		s := &gumroad.Session{CodeVerifier: verifier}
		_, err := s.Authorize(gumroad.New(clientKey, secret, callbackURL), url.Values{"error": {"no"}, "error_description": {"not " + hidden + "!"}, "code": {code}})
		assert.Equal(t, "not [hidden]!", asError(t, err).Description)
	}
}

// The text of a failure quotes the transport's. What may be a token is hidden there
// too, since net/http quotes a broken answer, but a host is shown.
func TestTextOfACause(t *testing.T) {
	t.Parallel()
	const host = "an-internal-host-without-a-dot"
	for said, wanted := range map[string]string{
		"the cable is cut": "the cable is cut",
		`malformed HTTP status code "` + unknownToken + `"`:                    `malformed HTTP status code "[hidden]"`,
		"malformed MIME header line: X: " + url.QueryEscape(unknownToken+"=="): "malformed MIME header line: X: [hidden]",
		"sent " + secret + ", " + url.QueryEscape(secret) + "&b":               "sent [hidden], [hidden]&b",
		"sent code_verifier=" + refreshToken + "-of-john&code=" + refreshToken: "sent code_verifier=[hidden]-of-john&code=[hidden]",
		"sent code_verifier=a-short-one&code=a-short-one":                      "sent [hidden]",
		"lookup a-very-long-host-name.internal.example: no such host":          "lookup a-very-long-host-name.internal.example: no such host",
		"lookup a-very-long-host-name.internal.example.: no such host":         "lookup a-very-long-host-name.internal.example.: no such host",
		"lookup " + host + ":443: no such host":                                "lookup " + host + ":443: no such host",
		"lookup another-host-without-a-dot: no such host":                      "lookup [hidden]: no such host",
		"a.Token.with.Dots.and.Capitals":                                       "[hidden]",
		"not <b>in\x00\r\n one":                                                "not b in one",
		strings.Repeat("é", 1000):                                              strings.Repeat("é", 240-len(`Post "https://`+host+`:8443/oauth/token": `)) + "…",
	} {
		for _, call := range calls {
			sent := false
			p := over(func(*http.Request) (*http.Response, error) { sent = true; return nil, errors.New(said) })
			p.TokenURL, p.ProfileURL = "https://"+host+":8443/oauth/token", "https://"+host+":8443/v2/user"
			err := call.make(p)
			assertReadable(t, call.doing, err)
			assert.True(t, sent)
			if call.doing == "refreshing the token" {
				assert.EqualError(t, err, "gumroad: refreshing the token: no usable answer from Gumroad: "+`Post "https://`+host+`:8443/oauth/token": `+
					wanted+" (check the connection and the provider's endpoints, or try again later)")
			}
		}
	}
	p := over(func(*http.Request) (*http.Response, error) { return nil, io.EOF })
	_, err := p.FetchUser(&gumroad.Session{AccessToken: accessToken})
	assert.ErrorContains(t, err, `: Get "https://api.gumroad.com/v2/user": EOF (`)
}

// A program can find the cause of a failure, but no text of it that has something to
// hide.
func TestCauseOfAFailure(t *testing.T) {
	t.Parallel()
	broken := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "a-very-long-host-name.internal.example", IsNotFound: true}}
	for _, inner := range []error{io.ErrUnexpectedEOF, context.DeadlineExceeded, broken} {
		for _, test := range []struct {
			err   error
			whole bool // errors.As finds net/http's *url.Error
		}{
			{inner, true},
			{fmt.Errorf("giving up: %w", inner), true},
			{errors.Join(errors.New("first"), inner), true},
			{fmt.Errorf("sent %s: %w", secret, inner), false},
			{fmt.Errorf("twice: %w", fmt.Errorf("sent %s: %w", unknownToken, inner)), false},
		} {
			for _, call := range calls {
				err := call.make(over(func(*http.Request) (*http.Response, error) { return nil, test.err }))
				assertReadable(t, call.doing, err)
				assert.ErrorIs(t, err, inner)
				assert.NoError(t, errors.Unwrap(err), "a program that prints each wrapped error must not meet the cause")
				var whole *url.Error
				assert.Equal(t, test.whole, errors.As(err, &whole), "%v", test.err)
				if inner == error(broken) {
					assert.ErrorAs(t, err, new(*net.DNSError))
				}
			}
		}
	}
	for _, hidden := range []error{errors.New("sent " + secret), errors.Join(io.EOF, errors.New(unknownToken))} {
		err := refresh(over(func(*http.Request) (*http.Response, error) { return nil, hidden }))
		assert.NoError(t, cause(err))
		assert.NotErrorIs(t, err, hidden)
	}
}

// The text of an error does not change with the caller's strings, or with what a
// framework does to them after the handler has returned.
func TestErrorOwnsItsText(t *testing.T) {
	t.Parallel()
	for _, answer := range []transport{
		func(*http.Request) (*http.Response, error) {
			return response(http.StatusBadRequest, nil, strings.NewReader(`{"error":"invalid_grant","error_description":"No."}`)), nil
		},
		func(r *http.Request) (*http.Response, error) { return nil, errors.New("sent " + echo(r)) },
		func(*http.Request) (*http.Response, error) {
			return response(http.StatusOK, nil, strings.NewReader("{}")), nil
		},
	} {
		for _, use := range []func(p *gumroad.Provider, text func(string) string) error{
			func(p *gumroad.Provider, text func(string) string) error {
				_, err := (&gumroad.Session{}).Authorize(p, url.Values{"error": {text("access_denied")}, "error_description": {text("No.")}, "code": {text(code)}})
				return err
			},
			func(p *gumroad.Provider, text func(string) string) error {
				_, err := (&gumroad.Session{CodeVerifier: text(verifier)}).Authorize(p, url.Values{"code": {text(code)}})
				return err
			},
			func(p *gumroad.Provider, text func(string) string) error {
				_, err := p.FetchUser(&gumroad.Session{AccessToken: text(accessToken), RefreshToken: text(refreshToken)})
				return err
			},
			func(p *gumroad.Provider, text func(string) string) error {
				_, err := p.RefreshToken(text(refreshToken))
				return err
			},
			func(p *gumroad.Provider, text func(string) string) error {
				_ = p.RevokeToken(context.Background(), text(accessToken))
				_, err := p.UnmarshalSession(text("no session"))
				return err
			},
		} {
			var ends []func()
			err := use(over(answer), func(text string) string {
				fleets, end := fleeting(text)
				ends = append(ends, end)
				return fleets
			})
			require.Error(t, err)
			before := said(err)
			for _, end := range ends {
				end()
			}
			assert.Equal(t, before, said(err))
		}
	}
}

// said returns everything that a program can read in err.
func said(err error) (all string) {
	for ; err != nil; err = cause(err) {
		all += fmt.Sprintf("%[1]T %[1]v %+[1]v\n", err)
		if refused, ok := err.(*gumroad.Error); ok {
			all += refused.Code + refused.Description
		}
	}
	return all
}
