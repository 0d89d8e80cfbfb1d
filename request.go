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
	"sync/atomic"
	"time"

	"github.com/markbates/goth"
	"golang.org/x/oauth2"
)

// maxAnswer is the most that is read of one answer, in bytes. A seller's answer
// lists every product: 50,000 of them take 1.5 MB.
const maxAnswer = 2 << 20

// stall remembers when a request last timed out, in Unix seconds. Over HTTP/2
// net/http goes on using a connection whose other end has gone, so for a while
// every request has a connection of its own.
type stall struct{ atomic.Int64 }

// stallTime is longer than the 90 seconds after which http.DefaultTransport drops
// a connection that nobody uses.
const stallTime = 2 * time.Minute

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

// send makes the request and returns the JSON object that Gumroad answered, with
// numbers as [json.Number], or nil for an empty answer. It returns an *Error for
// an answer with a status other than 200, with an error, or with a success that
// is false.
func (r *request) send(ctx context.Context) (map[string]any, error) {
	client := *goth.HTTPClientWithFallBack(r.client)
	limit := RequestTimeout
	if client.Timeout > 0 {
		limit = min(limit, client.Timeout)
	}
	// The limit goes into the context, since a client's own Timeout costs a
	// goroutine a request for some transports.
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client.Timeout = 0
	// A redirect could take the secret or a token to another address.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	// A cookie could be another user's.
	client.Jar = nil
	req, err := r.build(ctx)
	if err != nil {
		return nil, r.fail(err)
	}

	resp, err := client.Do(req)
	var body []byte
	if err == nil {
		defer resp.Body.Close()
		// To the end of an error page too, so that the connection can be used again.
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		r.stall.Store(time.Now().Unix())
	}
	switch {
	case resp == nil:
		return nil, r.fail(err)
	case resp.Request != nil && resp.Request.Response != nil:
		return nil, fail(r.doing, errors.New("HTTPClient followed a redirect"), "check that its transport follows none", r.url, r.secrets)
	case err == nil && len(body) > maxAnswer:
		err = fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	var object map[string]any
	if err == nil {
		object, err = decode(body)
	}
	if resp.StatusCode != http.StatusOK || object["error"] != nil || object["success"] == false {
		return nil, r.refused(resp, object, body, err)
	}
	if err != nil {
		return nil, r.fail(err)
	}
	return object, nil
}

func (r *request) build(ctx context.Context) (*http.Request, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if r.form != nil {
		// A reader that net/http can read again.
		method, body = http.MethodPost, strings.NewReader(r.form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, r.url, body)
	if err != nil {
		return nil, err
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
	req.Close = time.Since(time.Unix(r.stall.Load(), 0)) < stallTime
	return req, nil
}

// decode reads one JSON object and nothing after it, or nothing at all.
func decode(body []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	// An id that comes as a number must keep all its digits.
	decoder.UseNumber()
	var object map[string]any
	err := decoder.Decode(&object)
	if err == io.EOF {
		return nil, nil
	}
	if err == nil && object != nil {
		if _, err = decoder.Token(); err == io.EOF {
			return object, nil
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("a JSON object without its end: %w", err)
	}
	// The error of encoding/json quotes from the answer.
	return nil, errors.New("an answer that is not one JSON object")
}

// challenge matches a header WWW-Authenticate of Gumroad's, with the error and
// its description (RFC 6750).
var challenge = regexp.MustCompile(`(?i)(?:^|,\s*)Bearer\b(?:.*\berror="([^"]*)")?(?:.*\berror_description="([^"]*)")?`)

// refused returns the error for an answer that is no success. err says why object
// is not what the whole body holds.
func (r *request) refused(resp *http.Response, object map[string]any, body []byte, err error) error {
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
