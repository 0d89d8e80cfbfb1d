package gumroad

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/markbates/goth"
	"golang.org/x/oauth2"
)

// maxAnswer is the longest answer that is read, in bytes. The user of a seller lists
// every product: 50,000 products take 1.5 MB.
const maxAnswer = 2 << 20

// request is one request to Gumroad.
type request struct {
	doing   string
	url     string
	form    url.Values // what to post; nil for a GET
	bearer  string     // the access token of a GET
	secrets []string   // what no error may contain
	client  *http.Client
	stall   *stall
}

// send makes the request. It returns the JSON object that Gumroad answered, which is
// nil if the answer is empty, and the answer itself. If the status is not 200, or
// the object has an error or a success that is false, send returns an *Error.
func (r *request) send(ctx context.Context) (map[string]any, []byte, error) {
	client := goth.HTTPClientWithFallBack(r.client)
	limit := RequestTimeout
	if client.Timeout > 0 {
		limit = min(limit, client.Timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	transport := client.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	resp, body, err := r.exchange(ctx, transport)
	if err != nil && (ctx.Err() != nil || isTimeout(err)) {
		r.stall.timedOut(transport)
	}
	if resp == nil {
		return nil, nil, r.fail(err)
	}
	if resp.Request != nil && resp.Request.Response != nil {
		err := errors.New("the Transport of HTTPClient followed a redirect")
		return nil, nil, fail(r.doing, err, "check that its redirects are switched off", r.url, r.secrets)
	}
	object, malformed := decode(body)
	err = cmp.Or(err, malformed)
	if resp.StatusCode != http.StatusOK || object["error"] != nil || object["success"] == false {
		return nil, nil, r.refused(resp, object, body, err)
	}
	if err != nil {
		return nil, nil, r.fail(err)
	}
	return object, body, nil
}

// isTimeout reports whether a time-out is in the chain of err. The method Timeout of
// a *url.Error sees only the error that it wraps directly.
func isTimeout(err error) bool {
	var timeout net.Error
	for errors.As(err, &timeout) {
		if timeout.Timeout() {
			return true
		}
		err = errors.Unwrap(timeout)
	}
	return false
}

// exchange sends the request once and reads the answer. It does not use an
// http.Client, which follows redirects and keeps cookies: a redirect could send the
// secret or a token to another address, and a cookie could be another user's.
func (r *request) exchange(ctx context.Context, transport http.RoundTripper) (*http.Response, []byte, error) {
	method, content := http.MethodGet, io.Reader(nil)
	if r.form != nil {
		// net/http can read a strings.Reader again.
		method, content = http.MethodPost, strings.NewReader(r.form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, r.url, content)
	if err != nil {
		return nil, nil, err
	}
	// A cache could answer with another user.
	req.Header.Set("Cache-Control", "no-store")
	if r.form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		// This lets net/http send the request again if the connection was closed
		// while it was idle. The header itself is not sent. If Gumroad did use the
		// code or token the first time, it answers invalid_grant, which is no worse.
		req.Header["Idempotency-Key"] = nil
	} else {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	if scheme := req.URL.Scheme; scheme == "http" || scheme == "https" {
		transport, req.Close = r.stall.transport(transport)
	}

	resp, err := transport.RoundTrip(req)
	if err == nil && (resp == nil || resp.Body == nil || resp.StatusCode == 0) {
		err = errors.New("the Transport of HTTPClient returned no answer")
	}
	if err != nil {
		// An http.Client would wrap the error in the same way.
		return nil, nil, &url.Error{Op: method[:1] + strings.ToLower(method[1:]), URL: req.URL.Redacted(), Err: err}
	}
	defer resp.Body.Close()
	// Error pages are read too, so that the connection can be used again.
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errTooLong
	}
	return resp, body, err
}

var errTooLong = fmt.Errorf("the answer has more than %d bytes", maxAnswer)

// errNotJSON stands for the errors of encoding/json, which quote from the answer.
var errNotJSON = errors.New("the answer is not one JSON object")

// decode reads one JSON object and nothing after it, or nothing at all.
func decode(body []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	var value any
	err := json.Unmarshal(body, &value)
	if _, ok := err.(*json.UnmarshalTypeError); ok {
		// A number is too large for a float64. It is nil in value.
		err = nil
	}
	if object, ok := value.(map[string]any); ok && err == nil {
		return object, nil
	}
	return nil, errNotJSON
}

// exact returns the field at path in a JSON object, without decoding it. A float64
// would not keep all digits of a number.
func exact(body []byte, path ...string) []byte {
	for _, field := range path {
		var object map[string]json.RawMessage
		_ = json.Unmarshal(body, &object)
		body = object[field]
	}
	return body
}

// parameter matches the name of a scheme, or a parameter of it, in the header
// WWW-Authenticate.
var parameter = regexp.MustCompile(`([\w-]+)(\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?`)

// challenge returns the parameters that the header WWW-Authenticate has for the
// scheme Bearer (RFC 6750), or nil if it does not have this scheme.
func challenge(header string) map[string]string {
	var bearer map[string]string
	isBearer := false
	for _, found := range parameter.FindAllStringSubmatch(header, -1) {
		name, isParameter, value := found[1], found[2] != "", cmp.Or(found[3], found[4])
		if !isParameter {
			isBearer = strings.EqualFold(name, "Bearer")
		}
		if isBearer && bearer == nil {
			bearer = map[string]string{}
		}
		if isBearer && isParameter {
			bearer[strings.ToLower(name)] = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(value)
		}
	}
	return bearer
}

// refused returns the error for an answer that is not a success. err is the reason
// why the body is not a whole JSON object.
func (r *request) refused(resp *http.Response, object map[string]any, body []byte, err error) *Error {
	header := strings.Join(resp.Header.Values("WWW-Authenticate"), ", ")
	bearer := challenge(header)
	code := cmp.Or(firstText(object, "error"), bearer["error"])
	description := cmp.Or(firstText(object, "error_description", "message"), bearer["error_description"])
	kind := otherBody
	switch {
	case bearer != nil && resp.StatusCode == http.StatusUnauthorized:
		// Only Gumroad knows about its tokens, so nothing in front of it answered.
		kind = emptyBody
	case object != nil:
		kind = objectBody
	case err == nil && (header == "" || bearer != nil):
		kind = emptyBody
	}
	e := newError(r.doing, resp.StatusCode, code, description, kind, r.secrets)
	if r.form != nil && strings.TrimSpace(r.form.Get("client_id")) == "" {
		// Without a client key, Doorkeeper says that a valid refresh token is invalid.
		e = &Error{StatusCode: e.StatusCode, doing: e.doing, advice: e.advice}
		if e.advice != wait {
			e.advice = noKey
		}
		return e
	}
	if object == nil && err != nil && err != errNotJSON && err != errTooLong {
		e.advice, e.cause = wait, r.fail(err)
	} else if r.form.Has("grant_type") {
		e.cause = r.retrieveError(resp, body, e)
	}
	return e
}

// retrieveError returns the error of x/oauth2 for an answer of the token endpoint.
// It has nothing else from the answer: the request has the secret, and other headers
// may.
func (r *request) retrieveError(resp *http.Response, body []byte, e *Error) error {
	header := http.Header{}
	if after := resp.Header.Get("Retry-After"); after != "" {
		header.Set("Retry-After", redact(after, "", r.secrets))
	}
	return &oauth2.RetrieveError{
		Response: &http.Response{
			Status:     redact(resp.Status, "", r.secrets),
			StatusCode: e.StatusCode,
			Header:     header,
			Body:       http.NoBody,
		},
		Body:             []byte(redact(string(body), "", r.secrets)),
		ErrorCode:        e.Code,
		ErrorDescription: e.Description,
	}
}

// fail returns the error for a request that got no usable answer.
func (r *request) fail(err error) error { return fail(r.doing, err, "", r.url, r.secrets) }

// firstText returns the first of the fields that is a string and not blank. It
// drops each NUL, since PostgreSQL cannot store one.
func firstText(object map[string]any, fields ...string) string {
	for _, field := range fields {
		text, _ := object[field].(string)
		if text = strings.ReplaceAll(text, "\x00", ""); strings.TrimSpace(text) != "" {
			return text
		}
	}
	return ""
}
