package gumroad

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// ErrAccessDenied means that the user denied access. [Session.Authorize] returns it
// inside an [*Error]. Test for it with [errors.Is].
var ErrAccessDenied = errors.New("gumroad: the user denied access")

// ErrUnauthorized means that Gumroad no longer accepts the access token, because it
// was revoked or replaced by a refresh. The user must log in again.
// [Provider.FetchUser] returns it inside an [*Error]. Test for it with [errors.Is].
//
// A 401 from something in front of Gumroad, such as a proxy, is not
// ErrUnauthorized.
var ErrUnauthorized = errors.New("gumroad: the access token is no longer valid")

// An Error reports that Gumroad refused a request, or that the callback has an error
// instead of an authorization code. Find it with [errors.As], not with a type
// assertion.
//
// An Error from the token endpoint unwraps to an [*oauth2.RetrieveError], for
// programs that refresh the tokens of several providers. The RetrieveError has the
// status, the header Retry-After, the code and the description, but no body.
type Error struct {
	// StatusCode is the HTTP status of the response. It is zero for a callback.
	StatusCode int

	// Code is the error code, such as "invalid_grant" (RFC 6749) or
	// "invalid_token" (RFC 6750). It consists of at most 40 lower-case letters and
	// underscores, and is empty if the response has no such code. In a callback it
	// comes from the browser, so anyone can choose it.
	Code string

	// Description explains the error to a developer. It is cut after 240 characters.
	// Words of 20 characters and more are hidden, because they may be tokens. In a
	// callback it comes from the browser, so anyone can choose it: do not show it to
	// a user. The text of the error does not contain the description of a callback.
	Description string

	doing  string
	advice string
	cause  error
}

// Error returns one line with what was being done, what Gumroad answered and what to
// do about it.
func (e *Error) Error() string {
	text := "gumroad: "
	if e.doing != "" {
		text += e.doing + ": "
	}
	if e.StatusCode == 0 {
		text += "the callback says " + cmp.Or(e.Code, "that the login failed")
	} else {
		text += "Gumroad answered " + statusText(e.StatusCode)
		if e.Code != "" {
			text += ", " + e.Code
		}
		if e.Description != "" {
			text += ": " + e.Description
		}
	}
	if e.advice != "" {
		text += " (" + e.advice + ")"
	}
	return text
}

// statusText returns a status as HTTP/1 writes it, such as "404 Not Found".
func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprint(status, " ", http.StatusText(status)))
}

// Unwrap returns [ErrAccessDenied], [ErrUnauthorized], an [*oauth2.RetrieveError] or
// nil.
func (e *Error) Unwrap() error { return e.cause }

// isCode reports whether text has the shape of an error code. Gumroad's tokens have
// 43 characters, so none of them has it.
var isCode = regexp.MustCompile(`^[a-z_]{1,40}$`).MatchString

// newError returns an Error without secrets and with the advice that fits.
// fromGumroad is false if something in front of Gumroad seems to have answered.
func newError(doing string, status int, code, description string, fromGumroad bool, secrets []string) *Error {
	e := &Error{StatusCode: status, Description: brief(hide(description, longWord, "", secrets)), doing: doing}
	if isCode(code) {
		e.Code = strings.Clone(code) // fasthttp changes a callback's strings afterwards
	}
	e.advice, e.cause = advise(e, fromGumroad)
	return e
}

// What was being done, in the errors.
const (
	beginning  = "beginning the login"
	completing = "completing the login"
	exchanging = "exchanging the authorization code"
	refreshing = "refreshing the token"
	revoking   = "revoking the token"
	fetching   = "fetching the user"
)

// advise returns what to do about e, and the error that e wraps. The cases are in
// the order of who must act: nobody, the operator of a proxy, the user, the
// developer.
func advise(e *Error, fromGumroad bool) (advice string, cause error) {
	const (
		wait         = "try again later"
		logIn        = "the user must log in again"
		setUp        = "check how the provider is set up"
		rightSession = "check that Authorize is called on the session that BeginAuth returned"
	)
	switch status := e.StatusCode; {
	case status == 408, status == 429, status >= 500, e.Code == "server_error", e.Code == "temporarily_unavailable":
		return wait, nil
	case status == 407, status == 451, 401 <= status && status <= 403 && !fromGumroad:
		return "check what is in front of Gumroad, such as a proxy or a firewall: it refused the request", nil
	case e.doing == fetching && status == 401:
		return logIn, ErrUnauthorized
	case e.doing == fetching && status == 403:
		return "ask for the scope " + ScopeViewProfile + " as well", nil
	case e.doing == fetching && e.Description == "The user was not found.":
		return logIn + "; the account may be closed", nil
	case e.doing == completing && e.Code == "access_denied":
		return "the user said no, and may start again", ErrAccessDenied
	case e.doing == exchanging && e.Code == "invalid_grant":
		return logIn + "; if it happens again, " + rightSession, nil
	case e.doing == exchanging && strings.Contains(e.Description, "code_verifier"):
		return rightSession, nil
	case e.Code == "invalid_grant":
		return logIn, nil
	case e.Code == "invalid_client", e.Code == "unauthorized_client":
		return "check the client key and the secret", nil
	case e.Code == "invalid_scope":
		return "check the scopes that the application asks for", nil
	case strings.HasPrefix(e.Code, "invalid_"), strings.HasPrefix(e.Code, "unsupported_"):
		return setUp, nil
	case e.doing == completing:
		return "the user may start again", nil
	case status == 200 && e.Code == "" && e.Description == "":
		return "check the provider's endpoints: the answer does not say success", nil
	case status == 200:
		return wait, nil
	case 200 < status && status < 400, status == 404, status == 405:
		return "check the provider's endpoints", nil
	}
	return setUp, nil
}

// failure is the error for a request that got no usable response. It has no Unwrap
// method, so a program that prints every wrapped error prints only the clean text.
// [errors.Is] and [errors.As] find the cause.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string        { return f.text }
func (f *failure) Is(target error) bool { return errors.Is(f.cause, target) }
func (f *failure) As(target any) bool   { return errors.As(f.cause, target) }

// fail returns the failure because of err. Its cause is err or, if the text of err
// has something to hide, what err wraps.
func (r *request) fail(err error) error {
	host := ""
	if endpoint, err := url.Parse(r.url); err == nil {
		host = endpoint.Hostname()
	}
	hide := func(text string) string { return hide(text, longToken, host, r.secrets[:]) }
	said := err.Error()
	advice := "check the connection and the provider's endpoints, or try again later"
	if strings.Contains(said, "x509: ") {
		advice = "check that CA certificates are installed, that the clock is right, and that no proxy is in between"
	}
	text := "gumroad: " + r.doing + ": no usable answer from Gumroad: " + brief(hide(said)) + " (" + advice + ")"
	for hide(said) != said {
		if err = errors.Unwrap(err); err == nil {
			break
		}
		said = err.Error()
	}
	return &failure{text, err}
}

const hidden = "[hidden]"

var (
	// longWord matches what may be a token, in whatever encoding. Gumroad's tokens
	// have 43 characters, and the words of its usual descriptions at most 14.
	longWord = regexp.MustCompile(`[!-~]{20,}`)

	// longToken matches the same in the text of a cause, which has URLs and hosts.
	longToken = regexp.MustCompile(`[\w.~+%=\\&#;-]{20,}`)
	isHost    = regexp.MustCompile(`^\.?[a-z0-9-]+(\.[a-z0-9-]+)+\.?$`).MatchString
)

// hide replaces the secrets in text, as they are and as a form encodes them, and
// each word that matches long, except that longToken spares host and other host names.
func hide(text string, long *regexp.Regexp, host string, secrets []string) string {
	const most = 16 << 10 // bytes; net/http quotes headers of up to 10 MiB
	if len(text) > most {
		text = text[:strings.LastIndexByte(text[:most], ' ')+1] // no piece of a word
	}
	// One secret can be a part of another, so the longest is replaced first.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range secrets {
		if 8 <= len(secret) && len(secret) <= len(text) { // a shorter one is a part of too many words
			text = strings.ReplaceAll(text, secret, hidden)
			text = strings.ReplaceAll(text, url.QueryEscape(secret), hidden)
		}
	}
	return long.ReplaceAllStringFunc(text, func(word string) string {
		if long == longToken && (word == host || isHost(word)) {
			return word
		}
		return hidden
	})
}

// brief returns a copy of text that is cut after 240 characters, on one line and without
// markup, because some programs write errors into pages without escaping them.
func brief(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == '<' || r == '>'
	})
	runes := []rune(strings.Join(words, " "))
	if len(runes) > 240 {
		return strings.TrimSpace(string(runes[:240])) + "…"
	}
	return string(runes)
}
