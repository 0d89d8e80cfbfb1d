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

// maxAnswer is the most that is read of one answer, in bytes. A seller's answer
// lists every product: 50,000 of them take 1.5 MB.
const maxAnswer = 2 << 20

// request is one request to Gumroad.
type request struct {
	doing   string
	url     string
	form    url.Values // what to post; nil for a GET
	bearer  string     // the access token of a GET
	secrets []string   // what no error may hold
	client  *http.Client
	stall   *stall
}

// send makes the request and returns the JSON object that Gumroad answered, or nil
// for an empty answer, and the answer itself. It returns an *Error for an answer
// with a status other than 200, with an error, or with a success that is false.
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
	if timeout := net.Error(nil); err != nil && errors.As(err, &timeout) && timeout.Timeout() {
		r.stall.timedOut(transport)
	}
	if resp == nil {
		return nil, nil, r.fail(err)
	}
	if resp.Request != nil && resp.Request.Response != nil {
		return nil, nil, fail(r.doing, errors.New("HTTPClient followed a redirect"), "check that its Transport follows none", r.url, r.secrets)
	}
	var object map[string]any
	unread := err
	if err == nil {
		object, err = decode(body)
	}
	if resp.StatusCode != http.StatusOK || object["error"] != nil || object["success"] == false {
		refused := r.refused(resp, object, body, err)
		if unread != nil {
			refused.advice, refused.cause = wait, r.fail(unread)
		}
		return nil, nil, refused
	}
	if err != nil {
		return nil, nil, r.fail(err)
	}
	return object, body, nil
}

// exchange sends the request once and reads the answer. It leaves out the
// http.Client: a redirect could take the secret or a token to another address, and
// a cookie could be another user's.
func (r *request) exchange(ctx context.Context, transport http.RoundTripper) (*http.Response, []byte, error) {
	method, content := http.MethodGet, io.Reader(nil)
	if r.form != nil {
		// A reader that net/http can read again.
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
		// This tells net/http to send the request again on a new connection if the
		// one that it took was closed meanwhile. It is not sent. A code or token
		// that was used after all is an invalid_grant, which is no worse.
		req.Header["Idempotency-Key"] = nil
	} else {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	transport, req.Close = r.stall.transport(transport)

	resp, err := transport.RoundTrip(req)
	if err == nil && (resp == nil || resp.Body == nil) {
		err = errors.New("the Transport of HTTPClient returned no answer")
	}
	if err != nil {
		return nil, nil, &url.Error{Op: method, URL: req.URL.Redacted(), Err: err}
	}
	defer resp.Body.Close()
	// An error page too is read to its end, so that the connection can be used again.
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	return resp, body, err
}

// decode reads one JSON object and nothing after it, or nothing at all.
func decode(body []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	var value any
	err := json.Unmarshal(body, &value)
	if _, ok := err.(*json.UnmarshalTypeError); ok {
		// A number that is too large for a float64, which is nil now.
		err = nil
	}
	if object, ok := value.(map[string]any); ok && err == nil {
		return object, nil
	}
	// The error of encoding/json quotes from the answer.
	return nil, errors.New("an answer that is not one JSON object")
}

// exact returns a field of a JSON object as it stands there, since a float64 does
// not keep all digits of a number. path leads to the field.
func exact(body []byte, path ...string) []byte {
	for _, field := range path {
		var object map[string]json.RawMessage
		_ = json.Unmarshal(body, &object)
		body = object[field]
	}
	return body
}

// challenge matches a header WWW-Authenticate of Gumroad's, with the error and
// its description (RFC 6750).
var challenge = regexp.MustCompile(`(?i)(?:^|,\s*)Bearer\b(?:.*\berror="([^"]*)")?(?:.*\berror_description="([^"]*)")?`)

// refused returns the error for an answer that is no success. err says why object
// is not what the whole body holds.
func (r *request) refused(resp *http.Response, object map[string]any, body []byte, err error) *Error {
	code, description := firstText(object, "error"), firstText(object, "error_description", "message")
	kind := otherBody
	challenged := resp.Header.Get("WWW-Authenticate")
	if found := challenge.FindStringSubmatch(challenged); found != nil {
		// Gumroad itself: nothing in front of it knows of its tokens.
		kind, code, description = emptyBody, cmp.Or(code, found[1]), cmp.Or(description, found[2])
	} else if object != nil {
		kind = objectBody
	} else if err == nil && challenged == "" {
		kind = emptyBody
	}
	e := newError(r.doing, resp.StatusCode, code, description, kind, r.secrets)
	if err != nil {
		if unread := (*failure)(nil); errors.As(err, &unread) {
		}
	}
	switch {
	case e.advice != wait && r.form != nil && strings.TrimSpace(r.form.Get("client_id")) == "":
		// Doorkeeper calls a refresh token invalid if no client comes with it.
		return &Error{StatusCode: e.StatusCode, doing: e.doing, advice: noKey}
	case r.form.Has("grant_type"):
		e.cause = &oauth2.RetrieveError{
			// No more of it: the request has the secret, another header may have it.
			Response: &http.Response{
				Status:     redact(resp.Status, "", r.secrets),
				StatusCode: e.StatusCode,
				Header:     http.Header{},
				Body:       http.NoBody,
			},
			Body:             []byte(redact(string(body), "", r.secrets)),
			ErrorCode:        e.Code,
			ErrorDescription: e.Description,
		}
		if after := resp.Header.Get("Retry-After"); after != "" {
			e.cause.(*oauth2.RetrieveError).Response.Header.Set("Retry-After", redact(after, "", r.secrets))
		}
	}
	return e
}

// fail returns the error for a request that was not answered, or not well.
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
