package gumroad

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// ErrAccessDenied says that the user did not let the application in.
// [Session.Authorize] returns it, inside an [*Error], for the callback of a
// login that the user denied. Test for it with [errors.Is].
var ErrAccessDenied = errors.New("gumroad: the user denied access")

// ErrUnauthorized says that Gumroad no longer accepts this access token: it was
// revoked, or replaced by a refresh. [Provider.FetchUser] returns it, inside an
// [*Error], when Gumroad answers 401. The user must log in again. Test for it
// with [errors.Is].
//
// A 401 of something in front of Gumroad, such as a proxy, is not
// ErrUnauthorized.
var ErrUnauthorized = errors.New("gumroad: the access token is no longer valid")

// Error is what Gumroad answered instead of success, or what a callback said
// instead of an authorization code. Take it from a returned error with
// [errors.As], not with a type assertion.
//
// An Error of the token endpoint unwraps to an [*oauth2.RetrieveError], for
// programs that refresh tokens of several providers. Its Response has the status,
// the header Retry-After and an empty body. Its Body is the beginning of what
// Gumroad answered. Nothing confidential is in it.
type Error struct {
	// StatusCode is the HTTP status of the answer. It is zero for a callback,
	// which is a request of the user's browser.
	StatusCode int

	// Code is the error code, such as "invalid_grant" (RFC 6749), "invalid_token"
	// (RFC 6750) or "unauthorized_client". It is empty if there was none. The code
	// of a callback is the visitor's word: anyone can make up a link to it.
	Code string

	// Description is what Gumroad said about the error, for a developer to read.
	// It is cut to 240 characters, and what could be confidential is left out.
	// The description of a callback is the visitor's word too, so Error does not
	// repeat it. Do not show it to a user.
	Description string

	doing  string
	advice string
	cause  error
}

// Error says in less than 1,000 characters what was being done, what Gumroad
// answered and what can be done about it. The text is on one line and has no "<"
// and no ">" in it.
func (e *Error) Error() string {
	text := "gumroad: "
	if e.doing != "" {
		text += e.doing + ": "
	}
	switch {
	case e.StatusCode == 0 && isCode(e.Code):
		text += "the callback says " + e.Code
	case e.StatusCode == 0:
		text += "the callback says that the login failed"
	default:
		text += strings.TrimRight(fmt.Sprintf("Gumroad answered %d %s", e.StatusCode, http.StatusText(e.StatusCode)), " ")
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

// Unwrap returns [ErrAccessDenied], [ErrUnauthorized], an
// [*oauth2.RetrieveError], the reason why the answer broke off, or nil.
func (e *Error) Unwrap() error { return e.cause }

// isCode reports whether text has the shape of an error code.
var isCode = regexp.MustCompile(`^[a-z_]{1,40}$`).MatchString

// newError returns what was answered, without secrets and with the advice that
// fits.
func newError(doing string, status int, code, description, body string, secrets []string) *Error {
	e := &Error{StatusCode: status, Code: code, Description: redact(description, "", secrets), doing: doing}
	known := false
	for _, row := range advices {
		known = known || row.code == code
		if e.advice == "" && row.fits(e, body) {
			e.advice, e.cause = row.advice, row.cause
		}
	}
	// A code that everyone knows is no secret, whatever the secrets are.
	if !known {
		shown := ""
		if isCode(code) {
			shown = code
		}
		e.Code = redact(code, shown, secrets)
	}
	return e
}

// What is being done, as the errors say it.
const (
	completing = "completing the login"
	exchanging = "exchanging the authorization code"
	refreshing = "refreshing the token"
	revoking   = "revoking the token"
	fetching   = "fetching the user"
)

// What an answer has for a body, as far as the advice depends on it.
const (
	emptyBody  = "empty"
	objectBody = "a JSON object"
	otherBody  = "another" // such as a page
)

const (
	wait         = "try again later"
	logIn        = "the user must log in again"
	setUp        = "check how the provider is set up"
	endpoints    = "check the provider's endpoints"
	inFront      = "check what is in front of Gumroad, such as a proxy or a firewall: it refused the request"
	noKey        = "check the client key: the provider has none"
	rightSession = "check that Authorize is called on the session that BeginAuth returned"
)

// advice is a row of the table that says who can do something about an answer:
// the user, the operator or nobody. What is empty fits everything.
type advice struct {
	doing       string
	low, high   int // status
	body        string
	code        string
	description string // a part of it
	advice      string
	cause       error
}

// advices is the table. The first row that fits counts.
var advices = []advice{
	// Gumroad's trouble, whatever else it says.
	{code: "server_error", advice: wait},
	{code: "temporarily_unavailable", advice: wait},
	{low: 408, high: 408, advice: wait},
	{low: 429, high: 429, advice: wait},
	{low: 500, high: 999, advice: wait},

	// Something in front of Gumroad, which answers with an empty body or JSON.
	{low: 401, high: 403, body: otherBody, advice: inFront},
	{low: 407, high: 407, advice: inFront},
	{low: 451, high: 451, advice: inFront},

	{doing: fetching, low: 401, high: 401, body: emptyBody, advice: logIn, cause: ErrUnauthorized},
	{doing: fetching, low: 401, high: 401, advice: inFront},
	{doing: fetching, low: 403, high: 403, body: emptyBody, advice: "ask for the scope " + ScopeViewProfile + " as well"},
	{doing: fetching, description: "The user was not found.", advice: logIn + "; the account may be closed"},

	{doing: completing, code: "access_denied", advice: "the user said no, and may start again", cause: ErrAccessDenied},
	{doing: exchanging, code: "invalid_request", description: "code_verifier", advice: rightSession},
	{doing: exchanging, code: "invalid_grant", advice: logIn + "; if it happens again, " + rightSession},
	{code: "invalid_grant", advice: logIn},
	{code: "invalid_client", advice: "check the client key and the secret"},
	{code: "unauthorized_client", advice: "check the client key and the secret"},
	{code: "invalid_scope", advice: "check the scopes that the application asks for"},
	{code: "invalid_request", advice: setUp},
	{code: "invalid_redirect_uri", advice: setUp},
	{code: "invalid_code_challenge_method", advice: setUp},
	{code: "unsupported_response_type", advice: setUp},
	{code: "unsupported_response_mode", advice: setUp},
	{code: "unsupported_grant_type", advice: setUp},

	{low: 200, high: 200, advice: wait},
	{low: 201, high: 399, advice: endpoints},
	{low: 404, high: 405, advice: endpoints},
	{doing: completing, advice: "the user may start again"},
	{advice: setUp},
}

func (a advice) fits(e *Error, body string) bool {
	return (a.doing == "" || a.doing == e.doing) &&
		(a.low == 0 || a.low <= e.StatusCode && e.StatusCode <= a.high) &&
		(a.body == "" || a.body == body) &&
		(a.code == "" || a.code == e.Code) &&
		strings.Contains(e.Description, a.description)
}

// failure is an error about a request to which Gumroad gave no usable answer. It
// finds its cause for [errors.Is] and [errors.As], but does not unwrap to it: the
// text of what net/http wraps can be a page long.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string        { return f.text }
func (f *failure) Is(target error) bool { return errors.Is(f.cause, target) }
func (f *failure) As(target any) bool   { return errors.As(f.cause, target) }

// fail returns a failure for the reason err, with advice or with what mostly
// helps. The cause is the first error in the chain of err from which on there are
// no secrets. shown is what err may say although it looks like a token.
func fail(doing string, err error, advice, shown string, secrets []string) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &network) || errors.As(err, &certificate) {
		// These name hosts and addresses, and repeat nothing that a server said.
		shown = err.Error()
	}
	if certificate != nil {
		advice = "check that CA certificates are installed, that the clock is right, and that no proxy is in between"
	}
	advice = cmp.Or(advice, "check the connection and the provider's endpoints, or try again later")
	text := redact(err.Error(), shown, secrets)
	cause := err
	for cause != nil && !isClean(cause, shown, secrets) {
		cause = errors.Unwrap(cause)
	}
	return &failure{"gumroad: " + doing + ": no usable answer from Gumroad: " + text + " (" + advice + ")", cause}
}

// isClean reports whether neither err nor what it wraps says what would be hidden.
func isClean(err error, shown string, secrets []string) bool {
	if err == nil {
		return true
	}
	// A text of any length could take any memory to look at.
	if text := err.Error(); len(text) > maxCause || hide(text, shown, secrets) != text {
		return false
	}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return isClean(err.Unwrap(), shown, secrets)
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(err.Unwrap(), func(err error) bool { return !isClean(err, shown, secrets) })
	}
	return true
}
