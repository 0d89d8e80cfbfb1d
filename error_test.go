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
	"time"
	"unicode"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

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

const page = "<!DOCTYPE html>\n<html><body><h1>Something broke</h1></body></html>\n"

// Gumroad, or a proxy in front of it, can give any of these answers to any
// request. Each must be an error.
func TestAnswerThatIsNoSuccess(t *testing.T) {
	t.Parallel()
	const notJSON = "no usable answer from Gumroad: the answer is not one JSON object ("
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		status int // StatusCode of the *Error; 0 if the error is not an *Error
		says   string
	}{
		{"rate limit", text(http.StatusTooManyRequests, "text/plain", "Retry later\n"), 429, "Gumroad answered 429 Too Many Requests (try again later)"},
		{"broken", text(http.StatusInternalServerError, "text/html", page), 500, "Gumroad answered 500 Internal Server Error (try again later)"},
		{"gateway", text(http.StatusBadGateway, "text/html", page), 502, "Gumroad answered 502 Bad Gateway (try again later)"},
		{"down for maintenance", text(http.StatusServiceUnavailable, "", ""), 503, "Gumroad answered 503 Service Unavailable (try again later)"},
		{"own words", text(http.StatusBadRequest, "application/json", `{"success":false,"message":"Slow down."}`), 400, "Gumroad answered 400 Bad Request: Slow down."},
		{"a proxy's own status", text(522, "text/html", page), 522, "Gumroad answered 522 (try again later)"},
		{"not there", text(http.StatusNotFound, "text/html", page), 404, "Gumroad answered 404 Not Found"},
		{"error in a 200", object(`{"error":"server_error","error_description":"Sorry."}`), 200, "Gumroad answered 200 OK, server_error: Sorry."},
		{"HTML in place of JSON", text(http.StatusOK, "text/html", page), 0, notJSON},
		{"text in place of JSON", text(http.StatusOK, "text/plain", "hello"), 0, notJSON},
		{"truncated", object(`{"success":true,"access_token":"a","user":{"id":"1"`), 0, notJSON},
		{"two in one", object(`{"success":true,"access_token":"a","user":{"id":"1"}}{}`), 0, notJSON},
		{"garbage at the end", object(`{"success":true,"access_token":"a","user":{"id":"1"}}]`), 0, notJSON},
		{"array", object(`[{"success":true,"access_token":"a","user":{"id":"1"}}]`), 0, notJSON},
		{"null", object(`null`), 0, notJSON},
		{"without end", withoutEnd, 0, "no usable answer from Gumroad: the answer has more than 2097152 bytes ("},
		{"cut off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			object(`{"success":true,"access_token":"a","user":{"id":"1"}}`)(w, r)
		}, 0, "no usable answer from Gumroad"},
		{"hung up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, "no usable answer from Gumroad"},
	} {
		for _, call := range calls {
			t.Run(test.name+" "+call.doing, func(t *testing.T) {
				t.Parallel()
				err := call.make(answering(t, test.answer))
				assertReadable(t, call.doing, err)
				assert.ErrorContains(t, err, test.says)
				if test.status != 0 {
					assert.Equal(t, test.status, asError(t, err).StatusCode)
				}
			})
		}
	}
}

// withoutEnd sends data until the client closes the connection.
func withoutEnd(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, err := io.WriteString(w, `{"success":true,"access_token":"a","user":{"id":"1"},"more":"`)
	for more := strings.Repeat("more", 1<<14); err == nil; {
		_, err = io.WriteString(w, more)
	}
}

// A redirect would send the secret or a token to another address.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
			t.Run(call.doing+" "+http.StatusText(status), func(t *testing.T) {
				t.Parallel()
				p := answering(t, http.RedirectHandler("/elsewhere", status))
				p.HTTPClient = &http.Client{}
				err := call.make(p)
				assertReadable(t, call.doing, err)
				assert.Equal(t, status, asError(t, err).StatusCode)
				assert.Nil(t, p.HTTPClient.CheckRedirect, "the application's client was changed")
			})
		}
	}
}

// hanging is a body whose Read blocks until the client gives up.
type hanging struct{ context.Context }

func (h hanging) Read([]byte) (int, error) {
	<-h.Done()
	return 0, h.Err()
}

// If Gumroad hangs, before or within its answer, the login does not hang.
func TestHangingAnswer(t *testing.T) {
	t.Parallel()
	before := transport(func(r *http.Request) (*http.Response, error) {
		_, err := hanging{r.Context()}.Read(nil)
		return nil, err
	})
	within := transport(func(r *http.Request) (*http.Response, error) {
		body := io.MultiReader(strings.NewReader(`{"success":true,"access_token":"a"`), hanging{r.Context()})
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body), Request: r}, nil
	})
	for _, call := range calls {
		for _, hangs := range []transport{before, within} {
			p := gumroad.New(clientKey, secret, callbackURL)
			p.HTTPClient = &http.Client{Timeout: 10 * time.Millisecond, Transport: hangs}
			assertReadable(t, call.doing, call.make(p))
		}
	}
}

// An application can find out why there was no answer.
func TestTransportFailureIsWrapped(t *testing.T) {
	t.Parallel()
	broken := errors.New("the cable is cut")
	for _, call := range calls {
		p := gumroad.New(clientKey, secret, callbackURL)
		p.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, broken })}
		err := call.make(p)
		assertReadable(t, call.doing, err)
		assert.ErrorIs(t, err, broken)
		method := "Post"
		if strings.HasSuffix(call.url, "/user") {
			method = "Get"
		}
		assert.EqualError(t, err, "gumroad: "+call.doing+": no usable answer from Gumroad: "+method+` "`+call.url+
			`": the cable is cut (check the connection and the provider's endpoints, or try again later)`)
	}
}

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

// Errors end up in logs. They contain no secret, even if the answer does.
func TestErrorsHoldNothingConfidential(t *testing.T) {
	t.Parallel()
	const object = "application/json"
	for _, test := range []struct {
		name        string
		status      int
		contentType string
		body        string // ECHO stands for what echo returns
	}{
		{"description", http.StatusBadRequest, object, `{"error":"invalid_grant","error_description":"ECHO"}`},
		{"code", http.StatusBadRequest, object, `{"error":"ECHO"}`},
		{"address", http.StatusBadRequest, object, `{"error":"invalid_grant","error_uri":"ECHO"}`},
		{"message", http.StatusNotFound, object, `{"success":false,"message":"ECHO"}`},
		{"message in a 200", http.StatusOK, object, `{"success":false,"message":"ECHO","error":"ECHO"}`},
		{"debug page", http.StatusInternalServerError, "text/html", `<p>ECHO</p>`},
		{"truncated", http.StatusOK, object, `{"access_token":"ECHO","refresh_token":"ECHO`},
		{"no number", http.StatusOK, object, `{"access_token":"ECHO","expires_in":"ECHO"}]`},
		{"no form", http.StatusOK, "text/plain", `ECHO%zzECHO`},
	} {
		for _, call := range calls {
			t.Run(test.name+" "+call.doing, func(t *testing.T) {
				t.Parallel()
				assertReadable(t, call.doing, call.make(answering(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					text(test.status, test.contentType, strings.ReplaceAll(test.body, "ECHO", echo(r)))(w, r)
				}))))
			})
		}
	}
	for _, call := range calls {
		t.Run("transport "+call.doing, func(t *testing.T) {
			t.Parallel()
			p := gumroad.New(clientKey, secret, callbackURL)
			p.HTTPClient = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				return nil, errors.New("cannot send " + echo(r))
			})}
			assertReadable(t, call.doing, call.make(p))
		})
	}
	t.Run("callback", func(t *testing.T) {
		t.Parallel()
		_, err := (&gumroad.Session{CodeVerifier: verifier}).Authorize(answering(t), url.Values{
			"code":              {code},
			"error":             {"server_error"},
			"error_description": {strings.Join([]string{secret, "and", code, "and", verifier, "and", unknownToken}, " ")},
		})
		assertReadable(t, "completing the login", err)
		for _, hidden := range []string{secret, code, verifier, unknownToken} {
			assert.NotContains(t, asError(t, err).Description, hidden)
		}
	})
}

// A visitor or a server can send long text with control characters. The error is
// still short and on one line.
func TestErrorIsShortAndOnOneLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("né\x1b[31m\r\n\xff", 1000)
	_, err := (&gumroad.Session{}).Authorize(answering(t), url.Values{"error": {long}, "error_description": {long}})
	assertReadable(t, "completing the login", err)
	assert.Contains(t, asError(t, err).Description, "né [31m")
	for _, call := range calls {
		answer, _ := json.Marshal(map[string]string{"error": long, "error_description": long})
		err := call.make(answering(t, text(http.StatusBadRequest, "application/json", string(answer))))
		assertReadable(t, call.doing, err)
		assert.ErrorContains(t, err, "né [31m")
	}
}

func TestErrorSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"token_code_reused/second use": "gumroad: exchanging the authorization code: Gumroad answered 400 Bad Request, invalid_grant: " +
			"The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the " +
			"authorization request, or was issued to another client. (the user must log in again; if it happens again, " +
			"check that Authorize is called on the session that BeginAuth returned)",
		"token_wrong_secret/exchange": "gumroad: exchanging the authorization code: Gumroad answered 401 Unauthorized, invalid_client: " +
			"Client authentication failed due to unknown client, no client authentication included, or unsupported " +
			"authentication method. (check the client key and the secret)",
	} {
		x := recording(t, name)
		_, err := (&gumroad.Session{}).Authorize(replaying(t, x), x.form)
		assert.EqualError(t, err, says)
	}
	assert.EqualError(t, &gumroad.Error{StatusCode: http.StatusGone, Code: "gone"}, "gumroad: Gumroad answered 410 Gone, gone")
	assert.EqualError(t, &gumroad.Error{StatusCode: http.StatusGone, Description: "<b>"}, "gumroad: Gumroad answered 410 Gone:  b ")
	assert.EqualError(t, &gumroad.Error{Code: "access_denied"}, "gumroad: the callback says access_denied")
}

// Programs that know x/oauth2's error can use it. It holds the answer.
func TestErrorUnwrapsToRetrieveError(t *testing.T) {
	t.Parallel()
	x := recording(t, "refresh_bogus/refresh")
	_, err := replaying(t, x).RefreshToken(x.form.Get("refresh_token"))
	var cause *oauth2.RetrieveError
	require.ErrorAs(t, asError(t, err), &cause)
	assert.Equal(t, http.StatusBadRequest, cause.Response.StatusCode)
	assert.Equal(t, "400 Bad Request", cause.Response.Status)
	assert.Nil(t, cause.Response.Request, "the request contains the secret")
	assert.JSONEq(t, x.body, string(cause.Body))
	assert.Equal(t, "invalid_grant", cause.ErrorCode)
	assert.Contains(t, cause.ErrorDescription, "The provided authorization grant is invalid")
	assert.NoError(t, cause.Response.Body.Close())
	assert.NotNil(t, cause.Response.Header)
	assert.Empty(t, cause.Response.Header)

	for after, wanted := range map[string]string{"120": "120", unknownToken + " seconds": "[hidden] seconds"} {
		_, err = answering(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", after)
			w.Header().Set("X-Request", unknownToken)
			text(http.StatusTooManyRequests, "text/plain", "Retry later")(w, r)
		})).RefreshToken(refreshToken)
		require.ErrorAs(t, err, &cause)
		assert.Equal(t, http.Header{"Retry-After": {wanted}}, cause.Response.Header)
		assert.Equal(t, "Retry later", string(cause.Body))
	}

	// Only errors of the token endpoint wrap it.
	for _, call := range calls {
		err := call.make(answering(t, text(http.StatusBadRequest, "application/json", `{"error":"invalid_request"}`)))
		assert.Equal(t, strings.HasSuffix(call.url, "/oauth/token"), errors.As(err, &cause), call.doing)
	}
}

// A visitor can choose everything in the callback. It must not cost much, and the
// error must not present it as Gumroad's words.
func TestCallbackOfAVisitorsMaking(t *testing.T) {
	t.Parallel()
	callback := func(values url.Values) error {
		_, err := (&gumroad.Session{}).Authorize(answering(t), values)
		require.Error(t, err)
		return err
	}
	for _, said := range []string{"Your shop is locked, call +1 555 0100", `</script><script>alert("pwned")</script>`, "no\r\n", "no"} {
		err := callback(url.Values{"error": {"no"}, "error_description": {said}})
		assert.EqualError(t, err, "gumroad: completing the login: the callback says no (the user may start again)")
		err = callback(url.Values{"error": {said + "!"}})
		assert.EqualError(t, err, "gumroad: completing the login: the callback says that the login failed (the user may start again)")
		assert.NotContains(t, asError(t, err).Code+asError(t, err).Description, "<")
	}
	longest := strings.Repeat("a_", 20)
	assert.ErrorContains(t, callback(url.Values{"error": {longest}}), "the callback says "+longest+" (")
	for _, code := range []string{longest + "a", "NO", "no1", " no", "no\n", "n\u00f6"} {
		assert.NotContains(t, callback(url.Values{"error": {code}}).Error(), "says "+code)
	}

	// A very short code is not a real one. It is not hidden, since hiding it would
	// remove parts of the provider's own words.
	for _, code := range []string{"a", "d", "denied", "access_denied", "access_d"} {
		err := callback(url.Values{"code": {code}, "error": {"access_denied"}, "error_description": {"bad " + strings.Repeat("d ", 1<<20)}})
		assert.ErrorIs(t, err, gumroad.ErrAccessDenied)
		assert.Equal(t, "access_denied", asError(t, err).Code)
		assert.EqualError(t, err, "gumroad: completing the login: the callback says access_denied (the user said no, and may start again)")
		assert.Equal(t, "bad "+strings.Repeat("d ", 117)+"d…", asError(t, err).Description)
	}

	// A very long code is not a real one either. It is not hidden, since the search
	// takes time that grows with both lengths. The description is still short.
	code := strings.Repeat("a b ", 300)
	err := callback(url.Values{"code": {code}, "error": {"server_error"}, "error_description": {code}})
	assert.Equal(t, code[:239]+"…", asError(t, err).Description)
}

// Hiding removes only secrets. Errors keep each of these texts unchanged.
func TestHidingHarmsNothing(t *testing.T) {
	t.Parallel()
	for _, said := range []string{
		"The provided authorization grant is invalid, expired, revoked, does not match the redirection URI.",
		"r is not a refresh token", "supercalifragilisticexpialidoc", "https://gumroad.com/api/v2/a-path?a=1&b=2",
		`a "quoted" \text\ with 100% + more & more; &c. and äöü`, "日本語の説明です",
	} {
		answer, err := json.Marshal(map[string]string{"error": "invalid_grant", "error_description": said})
		require.NoError(t, err)
		_, err = answering(t, text(http.StatusBadRequest, "application/json", string(answer))).RefreshToken("r")
		refused := asError(t, err)
		assert.Equal(t, "invalid_grant", refused.Code)
		assert.Equal(t, said, refused.Description)
		var cause *oauth2.RetrieveError
		require.ErrorAs(t, err, &cause)
		assert.Equal(t, "invalid_grant", cause.ErrorCode)
		assert.Equal(t, said, cause.ErrorDescription)
	}
}

// A secret of the request is hidden, however the server encodes it.
func TestSecretInOtherDress(t *testing.T) {
	t.Parallel()
	const token = "xXMid-cFwgbV_C7jQJkiaI-esKLlXM_30OQmExNqWbU"
	for name, said := range map[string]string{
		"as it is":              token,
		"in HTML":               strings.ReplaceAll(token, "-", "&#x2d;"),
		"in decimal HTML":       strings.ReplaceAll(token, "-", "&#45;"),
		"in named HTML":         strings.ReplaceAll(token, "_", "&lowbar;"),
		"in JSON":               strings.ReplaceAll(token, "-", `\u002d`),
		"in JSON within JSON":   strings.ReplaceAll(token, "-", `\\u002D`),
		"in a form":             strings.ReplaceAll(token, "-", "%2D"),
		"in a form in a form":   strings.ReplaceAll(token, "-", "%252d"),
		"in HTML within HTML":   strings.ReplaceAll(token, "-", "&amp;#x2d;"),
		"over two lines":        token[:20] + "\n" + token[20:],
		"over two lines, JSON":  token[:20] + `\n` + token[20:],
		"over many lines":       token[:11] + "\r\n  " + token[11:22] + "\r\n  " + token[22:33] + "\r\n  " + token[33:],
		"with an invisible":     token[:20] + "\u00ad" + token[20:30] + "\u200b" + token[30:],
		"its first 31":          token[:31],
		"without its first 12":  token[12:],
		"12 characters":         token[15:27],
		"the end of a sentence": "no:" + token + ".",
		"twice":                 token + token,
	} {
		for field, wanted := range map[string]string{"error_description": "(it )", "error": "(it )", "message": "(it )"} {
			answer, err := json.Marshal(map[string]string{"success": "x", field: "it " + said + " is"})
			require.NoError(t, err)
			_, err = answering(t, text(http.StatusBadRequest, "application/json", string(answer))).RefreshToken(token)
			refused := asError(t, err)
			told := refused.Error() + refused.Code + refused.Description
			var cause *oauth2.RetrieveError
			require.ErrorAs(t, err, &cause)
			told += cause.Error() + string(cause.Body)
			for i := range len(token) - 11 {
				assert.NotContains(t, told, token[i:i+12], name)
			}
			// Without escapes and white space, the text does not contain the token either.
			for i := range len(token) - 15 {
				assert.NotContains(t, undressed.Replace(told), undressed.Replace(token[i:i+16]), name)
			}
			assert.Contains(t, told, "it ", wanted)
			assert.Contains(t, told, "[hidden]", name)
			assert.Contains(t, told, " is", name)
		}
	}

	// A short secret is hidden too, and so is a token that the provider does not know.
	for _, said := range []string{"pass-word", "pass&#x2d;word", `pass\u002dword`, `pass\x2dword`, "pass%2dword", "pass-\nword", `pass-\nword`, "pass-\u200bword",
		"unknown-token-of-33-characters-xy"} {
		answer, err := json.Marshal(map[string]string{"error_description": "not " + said + "!"})
		require.NoError(t, err)
		p := answering(t, text(http.StatusBadRequest, "application/json", string(answer)))
		p.Secret = "pass-word"
		_, err = p.RefreshToken(token)
		assert.Equal(t, "not [hidden]!", asError(t, err).Description, said)
	}
	// The provider looks only at the first 4 KiB of a text. A token that this limit
	// cuts is not shown either.
	for cut := range 40 {
		said := strings.Repeat(" ", 4<<10-cut) + unknownToken
		_, err := answering(t, object(`{"success":false,"message":"`+said+`"}`)).FetchUser(&gumroad.Session{AccessToken: token})
		assert.EqualError(t, err, "gumroad: fetching the user: Gumroad answered 200 OK: … (try again later)")
	}

	// If one secret begins with another, the longer one is hidden completely.
	p := answering(t, text(http.StatusBadRequest, "application/json", `{"error_description":"not `+token+`!"}`))
	p.Secret = token[:20]
	_, err := p.RefreshToken(token)
	assert.Equal(t, "not [hidden]!", asError(t, err).Description)
	p = answering(t, text(http.StatusBadRequest, "application/json", `{"error_description":"not secret99extra!"}`))
	p.Secret = "secret99"
	_, err = p.RefreshToken("secret99extra")
	assert.Equal(t, "not [hidden]!", asError(t, err).Description)
}

var undressed = strings.NewReplacer("&amp;", "", "&#x2d;", "", "&#45;", "", "&lowbar;", "", `\u002d`, "", `\u002D`, "", "%2D", "", "%252d", "", "-", "", "_", "",
	" ", "", "\n", "", "\r", "", `\`, "", "\u00ad", "", "\u200b", "")

// A long host name can look like a token. Errors still show it, in the address of
// an endpoint and in the text of net/http's errors.
func TestHostsAreShown(t *testing.T) {
	t.Parallel()
	const host = "a-very-long-hostname-for-a-test-server.internal.example"
	unresolved := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: "another-very-long-hostname-for-a-test.example", IsNotFound: true}}
	}}}
	broken := &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, errors.New("broken") })}
	for _, call := range calls {
		p := gumroad.NewCustomisedURL(clientKey, secret, callbackURL, "", "https://"+host+"/token", "https://"+host+"/user")
		p.HTTPClient = unresolved
		err := call.make(p)
		assertReadable(t, call.doing, err)
		assert.ErrorContains(t, err, `"https://`+host+`/`)
		assert.ErrorContains(t, err, "lookup another-very-long-hostname-for-a-test.example: no such host")
		var dns *net.DNSError
		assert.ErrorAs(t, err, &dns)

		p.HTTPClient = broken
		assert.ErrorContains(t, call.make(p), `"https://`+host+`/`)
	}
}

// The advice names who can help: the user, the operator or nobody.
func TestAdvice(t *testing.T) {
	t.Parallel()
	const (
		wait      = "(try again later)"
		logIn     = "(the user must log in again)"
		again     = "(the user must log in again; if it happens again, check that Authorize is called on the session that BeginAuth returned)"
		setUp     = "(check how the provider is set up)"
		endpoints = "(check the provider's endpoints)"
		inFront   = "(check what is in front of Gumroad, such as a proxy or a firewall: it refused the request)"
		keys      = "(check the client key and the secret)"
		scope     = "(ask for the scope view_profile as well)"
		challenge = `Bearer realm="Doorkeeper", error="invalid_token", error_description="The access token was revoked"`
		moment    = "<!DOCTYPE html><title>Just a moment...</title>"
	)
	exchange, user, refresh, revoke := 0, 1, 2, 3 // indexes in calls
	all := []int{exchange, user, refresh, revoke}
	post := []int{exchange, refresh, revoke}
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
		{status: 500, body: moment, calls: all, says: "500 Internal Server Error " + wait},
		{status: 503, body: `{"error":"invalid_client"}`, calls: all, says: "503 Service Unavailable, invalid_client " + wait},
		{status: 599, calls: all, says: "599 " + wait},
		{status: 600, calls: all, says: "600 " + wait},
		{status: 400, body: `{"error":"server_error"}`, calls: all, says: "400 Bad Request, server_error " + wait},
		{status: 400, body: `{"error":"temporarily_unavailable"}`, calls: all, says: "400 Bad Request, temporarily_unavailable " + wait},
		{status: 200, body: `{"error":"server_error"}`, calls: all, says: "200 OK, server_error " + wait},
		{status: 200, body: `{"success":false,"message":"We are moving."}`, calls: all, says: "200 OK: We are moving. " + wait},

		// The user can help.
		{status: 400, body: `{"error":"invalid_grant"}`, calls: []int{refresh}, says: "400 Bad Request, invalid_grant " + logIn},
		{status: 400, body: `{"error":"invalid_grant"}`, calls: []int{exchange}, says: "400 Bad Request, invalid_grant " + again},
		{status: 401, header: challenge, calls: []int{user}, dead: true, says: "401 Unauthorized, invalid_token: The access token was revoked " + logIn},
		{status: 401, header: "bearer error=invalid_token", calls: []int{user}, dead: true, says: "401 Unauthorized, invalid_token " + logIn},
		{status: 401, header: "Bearer", body: moment, calls: []int{user}, dead: true, says: "401 Unauthorized " + logIn},
		{status: 401, header: `Bearer error_description = "It says \"no\".", Error = "invalid_token", Basic error="other"`, calls: []int{user}, dead: true,
			says: `401 Unauthorized, invalid_token: It says "no". ` + logIn},
		{status: 401, header: `Bearer error="invalid_token"`, body: `{"error_description":"From the body."}`, calls: []int{user}, dead: true,
			says: "401 Unauthorized, invalid_token: From the body. " + logIn},
		{status: 401, header: "Basic realm=\"a\"\n" + challenge, calls: []int{user}, dead: true, says: "401 Unauthorized, invalid_token: The access token was revoked " + logIn},
		{status: 401, header: "Negotiate\n" + challenge, calls: []int{user}, dead: true, says: "401 Unauthorized, invalid_token: The access token was revoked " + logIn},
		{status: 401, header: `Basic realm="a", ` + challenge, calls: []int{user}, dead: true, says: "401 Unauthorized, invalid_token: The access token was revoked " + logIn},
		{status: 401, header: challenge, body: moment, calls: []int{user}, dead: true, says: "401 Unauthorized, invalid_token: The access token was revoked " + logIn},
		{status: 401, header: challenge, body: `{"error":"other"}`, calls: []int{user}, dead: true, says: "401 Unauthorized, other: The access token was revoked " + logIn},
		{status: 401, calls: []int{user}, dead: true, says: "401 Unauthorized " + logIn},
		{status: 401, body: " \n", calls: []int{user}, dead: true, says: "401 Unauthorized " + logIn},
		{status: 200, body: `{"success":false,"message":"The user was not found."}`, calls: []int{user},
			says: "200 OK: The user was not found. (the user must log in again; the account may be closed)"},

		{status: 200, body: `{"success":false,"message":"The user was not found."}`, calls: post, says: "200 OK: The user was not found. " + wait},

		// The operator can help.
		{status: 401, body: moment, calls: all, says: "401 Unauthorized " + inFront},
		{status: 401, header: `Basic realm="proxy"`, calls: all, says: "401 Unauthorized " + inFront},
		{status: 401, header: `NotBearer error="invalid_token"`, body: moment, calls: all, says: "401 Unauthorized " + inFront},
		{status: 401, header: `Bearer-Token error="invalid_token"`, body: moment, calls: all, says: "401 Unauthorized " + inFront},
		{status: 401, header: `Basic realm="x, Bearer y"`, body: moment, calls: all, says: "401 Unauthorized " + inFront},
		{status: 403, header: challenge, body: moment, calls: []int{user}, says: "403 Forbidden, invalid_token: The access token was revoked " + inFront},
		{status: 403, header: challenge, calls: []int{user}, says: "403 Forbidden, invalid_token: The access token was revoked " + scope},
		{status: 403, body: strings.Repeat("x", 3<<20), calls: all, says: "403 Forbidden " + inFront},
		{status: 403, body: `{"error":"no_access"}`, calls: []int{user}, says: "403 Forbidden, no_access " + setUp},
		{status: 401, body: `{"error":"no_route"}`, calls: []int{user}, says: "401 Unauthorized, no_route " + inFront},
		{status: 403, body: moment, calls: all, says: "403 Forbidden " + inFront},
		{status: 403, body: "error code: 1010", calls: all, says: "403 Forbidden " + inFront},
		{status: 407, body: moment, calls: all, says: "407 Proxy Authentication Required " + inFront},
		{status: 451, body: moment, calls: all, says: "451 Unavailable For Legal Reasons " + inFront},
		{status: 403, calls: []int{user}, says: "403 Forbidden " + scope},
		{status: 401, body: `{"error":"invalid_client"}`, calls: post, says: "401 Unauthorized, invalid_client " + keys},
		{status: 403, body: `{"error":"unauthorized_client"}`, calls: post, says: "403 Forbidden, unauthorized_client " + keys},
		{status: 400, body: `{"error":"invalid_scope"}`, calls: post, says: "400 Bad Request, invalid_scope (check the scopes that the application asks for)"},
		{status: 400, body: `{"error":"invalid_request"}`, calls: all, says: "400 Bad Request, invalid_request " + setUp},
		{status: 400, body: `{"error":"invalid_redirect_uri"}`, calls: all, says: "400 Bad Request, invalid_redirect_uri " + setUp},
		{status: 400, body: `{"error":"invalid_code_challenge_method"}`, calls: all, says: "400 Bad Request, invalid_code_challenge_method " + setUp},
		{status: 400, body: `{"error":"unsupported_grant_type"}`, calls: all, says: "400 Bad Request, unsupported_grant_type " + setUp},
		{status: 400, body: `{"error":"access_denied"}`, calls: all, says: "400 Bad Request, access_denied " + setUp},
		{status: 402, body: `{"error":"no_payment"}`, calls: all, says: "402 Payment Required, no_payment " + setUp},
		{status: 402, calls: all, says: "402 Payment Required " + setUp},
		{status: 402, body: moment, calls: all, says: "402 Payment Required " + inFront},
		{status: 400, body: `{"error":"something_new"}`, calls: all, says: "400 Bad Request, something_new " + setUp},
		{status: 200, body: `{"error":"invalid_redirect_uri"}`, calls: all, says: "200 OK, invalid_redirect_uri " + setUp},
		{status: 400, body: `{"error":"invalid_request","error_description":"Missing required parameter: code_verifier."}`, calls: []int{exchange},
			says: "400 Bad Request, invalid_request: Missing required parameter: code_verifier. (check that Authorize is called on the session that BeginAuth returned)"},
		{status: 404, body: moment, calls: all, says: "404 Not Found " + endpoints},
		{status: 405, calls: all, says: "405 Method Not Allowed " + endpoints},
		{status: 302, calls: all, says: "302 Found " + endpoints},
		{status: 201, body: success, calls: all, says: "201 Created " + endpoints},
		{status: 418, calls: all, says: "418 I'm a teapot " + setUp},
	} {
		for _, i := range test.calls {
			err := calls[i].make(answering(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for header := range strings.SplitSeq(test.header, "\n") {
					if header != "" {
						w.Header().Add("WWW-Authenticate", header)
					}
				}
				text(test.status, "", test.body)(w, r)
			})))
			assertReadable(t, calls[i].doing, err)
			assert.EqualError(t, err, "gumroad: "+calls[i].doing+": Gumroad answered "+test.says)
			assert.Equal(t, test.dead, errors.Is(err, gumroad.ErrUnauthorized), test.says)
			assert.NotErrorIs(t, err, gumroad.ErrAccessDenied)
		}
	}

	for code, advice := range map[string]string{
		"access_denied": "the user said no, and may start again", "server_error": "try again later", "temporarily_unavailable": "try again later",
		"invalid_scope": "check the scopes that the application asks for", "invalid_request": "check how the provider is set up",
		"unauthorized_client": "check the client key and the secret", "unsupported_response_type": "check how the provider is set up",
		"invalid_redirect_uri": "check how the provider is set up", "invalid_code_challenge_method": "check how the provider is set up",
		"unsupported_response_mode": "check how the provider is set up", "unsupported_grant_type": "check how the provider is set up",
		"anything_else": "the user may start again",
	} {
		_, err := (&gumroad.Session{}).Authorize(answering(t), url.Values{"error": {code}})
		assert.EqualError(t, err, "gumroad: completing the login: the callback says "+code+" ("+advice+")")
		assert.Equal(t, code == "access_denied", errors.Is(err, gumroad.ErrAccessDenied))
	}
}

// If a request has no client key, Doorkeeper says that a valid refresh token is
// invalid. A program that believed it would delete the token.
func TestRefusalForWantOfAClientKey(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", " ", "\n"} {
		for i, call := range calls {
			for _, answer := range []http.Handler{
				text(http.StatusBadRequest, "application/json", `{"error":"invalid_grant","error_description":"The provided authorization grant is invalid_grant."}`),
				text(http.StatusUnauthorized, "application/json", `{"error":"invalid_client"}`),
				text(http.StatusForbidden, "application/json", `{"error":"unauthorized_client"}`),
				text(http.StatusOK, "application/json", `{"error":"invalid_grant"}`),
			} {
				p := answering(t, answer)
				p.ClientKey = key
				err := call.make(p)
				assertReadable(t, call.doing, err)
				if i == 1 { // fetching the user needs no client key
					assert.NotContains(t, err.Error(), "client key: the provider has none")
					continue
				}
				assert.ErrorContains(t, err, "(check the client key: the provider has none)")
				assert.NotEqual(t, "invalid_grant", asError(t, err).Code)
				for ; err != nil; err = errors.Unwrap(err) {
					assert.NotContains(t, fmt.Sprintf("%+v", err), "invalid_grant")
				}
			}

			// An outage is not a refusal, even if its code says so.
			p := answering(t, text(http.StatusServiceUnavailable, "application/json", `{"error":"invalid_grant"}`))
			p.ClientKey = key
			err := call.make(p)
			if i == 1 {
				assert.ErrorContains(t, err, "503 Service Unavailable, invalid_grant (try again later)")
			} else {
				assert.ErrorContains(t, err, "503 Service Unavailable (try again later)")
			}
		}
	}
}

// In each login, the application lost the session that BeginAuth returned.
func TestLoginWithALostSession(t *testing.T) {
	t.Parallel()
	server := gumroadtest.NewServer()
	defer server.Close()
	p := server.Provider(callbackURL)
	callback := func() url.Values {
		begun, err := p.BeginAuth("state")
		require.NoError(t, err)
		authURL, err := begun.GetAuthURL()
		require.NoError(t, err)
		address, err := server.Authorize(authURL)
		require.NoError(t, err)
		parsed, err := url.Parse(address)
		require.NoError(t, err)
		return parsed.Query()
	}
	second, err := p.BeginAuth("state")
	require.NoError(t, err)
	for code, session := range map[string]goth.Session{"invalid_request": &gumroad.Session{}, "invalid_grant": second} {
		_, err := session.Authorize(p, callback())
		assert.Equal(t, code, asError(t, err).Code)
		assert.ErrorContains(t, err, "check that Authorize is called on the session that BeginAuth returned")
	}
}
