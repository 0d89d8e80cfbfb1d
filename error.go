package gumroad

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// ErrAccessDenied means that the user denied access. [Session.Authorize] returns it,
// inside an [*Error]. Test for it with [errors.Is].
var ErrAccessDenied = errors.New("gumroad: the user denied access")

// ErrUnauthorized means that Gumroad no longer accepts the access token: it was
// revoked, or replaced by a refresh. The user must log in again.
// [Provider.FetchUser] returns it, inside an [*Error]. Test for it with [errors.Is].
//
// A 401 from something in front of Gumroad, such as a proxy, is not
// ErrUnauthorized.
var ErrUnauthorized = errors.New("gumroad: the access token is no longer valid")

// An Error says that Gumroad refused a request, or that the callback has an error
// instead of an authorization code. Find it with [errors.As], not with a type
// assertion.
//
// An Error from the token endpoint unwraps to an [*oauth2.RetrieveError], for
// programs that refresh the tokens of several providers. The Response in it has the
// status, the header Retry-After and an empty body. The Body in it is the first 240
// characters of the answer, without anything confidential. There is no RetrieveError
// if the provider has no client key, or if the answer was cut off.
type Error struct {
	// StatusCode is the HTTP status of the answer. It is zero for a callback.
	StatusCode int

	// Code is the error code, such as "invalid_grant" (RFC 6749) or
	// "invalid_token" (RFC 6750). It is empty if there is none. In a callback it
	// comes from the browser, so anyone can choose it.
	Code string

	// Description explains the error to a developer. It has at most 240 characters
	// and contains nothing confidential. In a callback it comes from the browser, so
	// anyone can choose it: do not show it to a user. The text of the error does
	// not contain the description of a callback.
	Description string

	doing  string
	advice string
	cause  error
}

// Error returns a text that says what was being done, what Gumroad answered and what
// to do about it. The text is one line of less than 1,000 characters, and has no "<"
// or ">" in it.
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
	return noMarkup.Replace(text)
}

// Unwrap returns [ErrAccessDenied], [ErrUnauthorized], an [*oauth2.RetrieveError],
// the error that cut the answer off, or nil.
func (e *Error) Unwrap() error { return e.cause }

// isCode reports whether text has the shape of an error code.
var isCode = regexp.MustCompile(`^[a-z_]{1,40}$`).MatchString

// newError returns an Error without secrets and with the advice that fits.
func newError(doing string, status int, code, description, body string, secrets []string) *Error {
	e := &Error{StatusCode: status, Code: code, Description: redact(description, "", secrets), doing: doing}
	row := advices[slices.IndexFunc(advices, func(row advice) bool { return row.fits(e, body) })]
	e.advice, e.cause = row.advice, row.cause
	// A well-known code is never a secret.
	if !slices.ContainsFunc(advices, func(row advice) bool { return row.code == code }) {
		shown := ""
		if isCode(code) {
			shown = code
		}
		e.Code = redact(code, shown, secrets)
	}
	return e
}

// What was being done, in the errors.
const (
	completing = "completing the login"
	exchanging = "exchanging the authorization code"
	refreshing = "refreshing the token"
	revoking   = "revoking the token"
	fetching   = "fetching the user"
)

// The bodies of answers, as far as the advice depends on them.
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

// advice is a row of the table that says what to do about an answer, and who can do
// it: the user, the operator or nobody. An empty field fits every answer.
type advice struct {
	doing       string
	low, high   int // status
	body        string
	code        string
	description string // a part of it
	advice      string
	cause       error
}

// advices is the table. The first row that fits is used.
var advices = []advice{
	// Gumroad has a problem, whatever else the answer says.
	{code: "server_error", advice: wait},
	{code: "temporarily_unavailable", advice: wait},
	{low: 408, high: 408, advice: wait},
	{low: 429, high: 429, advice: wait},
	{low: 500, high: 999, advice: wait},

	// Gumroad itself answers with an empty body or JSON.
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

// failure is the error for a request that got no usable answer. [errors.Is] and
// [errors.As] find its cause. It has no Unwrap method, because the text of a cause
// can be a page long.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string        { return f.text }
func (f *failure) Is(target error) bool { return errors.Is(f.cause, target) }
func (f *failure) As(target any) bool   { return errors.As(f.cause, target) }

// fail returns a failure because of err. An empty advice stands for the usual one.
// The cause is the first error in the chain of err that contains no secrets, in its
// own text or further down. Words in shown are not hidden.
func fail(doing string, err error, advice, shown string, secrets []string) error {
	if isNetwork(err) {
		// It names hosts and addresses, and quotes nothing from a server.
		shown = err.Error()
	}
	if isCertificate(err) {
		shown = err.Error()
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

func isNetwork(err error) bool {
	var operation *net.OpError
	var name *net.DNSError
	var address *net.AddrError
	return errors.As(err, &operation) || errors.As(err, &name) || errors.As(err, &address)
}

func isCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	var roots x509.SystemRootsError
	return errors.As(err, &verification) || errors.As(err, &invalid) || errors.As(err, &host) ||
		errors.As(err, &authority) || errors.As(err, &roots)
}

// isClean reports whether neither err nor anything that it wraps has a text that
// must be hidden.
func isClean(err error, shown string, secrets []string) bool {
	if err == nil {
		return true
	}
	// A server could make a very long text costly to check.
	if text := err.Error(); len(text) > maxCause && shown != text || hide(text, shown, secrets) != text {
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
