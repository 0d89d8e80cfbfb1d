package gumroad

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/markbates/goth"
	"golang.org/x/oauth2"
)

// maxAnswer is the longest response body that is read, in bytes. A seller's user
// lists every product: 50,000 products take 1.5 MB.
const maxAnswer = 2 << 20

// request is one request to Gumroad.
type request struct {
	*Provider
	doing   string
	url     string
	form    string    // what to post; "" for a GET
	bearer  string    // the access token of a GET
	secrets [3]string // what no error may contain
}

// post posts form, which is a list of names and values, and the client's credentials
// to the token endpoint, or to the revocation endpoint beside it.
func (p *Provider) post(ctx context.Context, doing string, form []string, secrets ...string) (*request, map[string]any, error) {
	if err := p.check(doing); err != nil {
		return nil, nil, err
	}
	if strings.TrimSpace(p.ClientKey) == "" {
		// Doorkeeper would say that a valid refresh token is invalid.
		return nil, nil, errors.New("gumroad: " + doing + ": the provider has no client key; check how it is set up")
	}
	form = append(form, "client_id", p.ClientKey, "client_secret", p.Secret)
	r := &request{Provider: p, doing: doing, url: p.TokenURL, form: encode(form), secrets: [3]string{p.Secret}}
	copy(r.secrets[1:], secrets)
	if doing == revoking {
		if endpoint, err := url.Parse(r.url); err == nil { // send refuses what is not a URL
			r.url = endpoint.ResolveReference(&url.URL{Path: "revoke"}).String()
		}
	}
	answer, err := r.send(ctx)
	return r, answer, err
}

// encode returns a form with these names and values. It leaves out empty values.
func encode(pairs []string) string {
	var form strings.Builder
	form.Grow(512)
	for i := range len(pairs) / 2 {
		if name, value := pairs[2*i], pairs[2*i+1]; value != "" {
			form.WriteString("&")
			form.WriteString(name)
			form.WriteString("=")
			form.WriteString(url.QueryEscape(value))
		}
	}
	return form.String()[1:]
}

// newRequest returns the request to send.
func (r *request) newRequest(ctx context.Context) (*http.Request, error) {
	if r.form == "" {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+r.bearer)
			req.Header.Set("Cache-Control", "no-store") // a cache could answer with another user
		}
		return req, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(r.form))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// This lets net/http send the request again if the connection was closed while it
	// was idle. The header itself is not sent. If Gumroad did use the code or token the
	// first time, it answers invalid_grant, which is no worse.
	req.Header["Idempotency-Key"] = nil
	if user := req.URL.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	return req, nil
}

// send makes the request and returns the JSON object in the response. An empty body
// is an object without fields. It returns an *Error if the status is not 200, or if
// the object has an error or no success.
func (r *request) send(ctx context.Context) (map[string]any, error) {
	if ctx.Err() != nil {
		return nil, r.fail(ctx.Err())
	}
	client := goth.HTTPClientWithFallBack(r.HTTPClient)
	limit := RequestTimeout
	if client.Timeout > 0 {
		limit = min(limit, client.Timeout)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := r.newRequest(limited)
	if err != nil {
		return nil, r.fail(errors.New("the endpoint is not a URL")) // err quotes its password
	}
	// net/http would use an HTTP/2 connection that was lost without notice for a
	// quarter of an hour. So the turn of a host becomes odd when a request fails, and
	// even when the next one, with Close, is the last on its connection. A failure of
	// an earlier turn says nothing about the new connection.
	host := req.URL.Host
	turn, _ := r.turns.LoadOrStore(host, 0)
	next := turn.(int) + 1
	req.Close = next%2 == 0 && r.turns.CompareAndSwap(host, turn, next)

	// An http.Client would follow redirects, which could send the secret or a token
	// elsewhere, and keep cookies, which could be another user's.
	resp, err := cmp.Or(client.Transport, http.DefaultTransport).RoundTrip(req)
	if err == nil && (resp == nil || resp.Body == nil || resp.StatusCode == 0) {
		err = errors.New("the Transport of HTTPClient returned no answer")
	}
	var body []byte
	if err == nil {
		defer resp.Body.Close()
		// Error pages are read too, so that the connection can be used again.
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	}
	if err != nil {
		if ctx.Err() != context.Canceled { // which says nothing about the connection
			r.turns.CompareAndSwap(host, turn, next)
		}
		return nil, r.fail(&url.Error{Op: req.Method[:1] + strings.ToLower(req.Method[1:]), URL: req.URL.Redacted(), Err: err})
	}

	var object map[string]any
	if len(body) <= maxAnswer { // otherwise the rest is unknown
		object = decode(body)
	}
	switch {
	case resp.Request != nil && resp.Request.Response != nil:
		return nil, r.fail(errors.New("the Transport of HTTPClient followed a redirect, which it must leave to the provider"))
	case resp.StatusCode != http.StatusOK:
		return nil, r.refused(resp, object)
	case len(body) > maxAnswer:
		return nil, r.fail(fmt.Errorf("the answer has more than %d bytes", maxAnswer))
	case object == nil:
		return nil, r.fail(errors.New("the answer is not one JSON object")) // encoding/json's error would quote it
	case object["error"] != nil, object["success"] == false, r.form == "" && object["success"] != true:
		return nil, r.refused(resp, object)
	}
	return object, nil
}

// decode returns the one JSON object in body, or nil. Each number is a json.Number,
// because a float64 does not hold all of them.
func decode(body []byte) map[string]any {
	if len(bytes.TrimSpace(body)) == 0 {
		return map[string]any{}
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any // decoding into a map takes longer
	if decoder.Decode(&value) != nil || len(bytes.TrimSpace(body[decoder.InputOffset():])) > 0 {
		return nil
	}
	object, _ := value.(map[string]any)
	return object
}

// plain returns value with a float64 for each json.Number, as encoding/json decodes
// it by default. A number that no float64 holds becomes nil.
func plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		if number, err := v.Float64(); err == nil {
			return number
		}
		return nil
	case map[string]any:
		for name, field := range v {
			v[name] = plain(field)
		}
	case []any:
		for i, element := range v {
			v[i] = plain(element)
		}
	}
	return value
}

// challenge matches the header WWW-Authenticate that Gumroad sends with a 401.
var challenge = regexp.MustCompile(`^Bearer (?:.*, )?error="([^"]*)"(?:, error_description="([^"]*)")?`)

// refused returns the error for a response that is not a success.
func (r *request) refused(resp *http.Response, object map[string]any) *Error {
	header := resp.Header.Get("WWW-Authenticate")
	// Gumroad refuses an access token with an empty body, a challenge or a message, and
	// everything else with an error.
	fromGumroad := object["error"] != nil
	if r.form == "" {
		fromGumroad = object != nil && len(object) == 0 && header == "" || object["success"] == false
	}
	var code, description string
	if found := challenge.FindStringSubmatch(header[:min(len(header), 1024)]); found != nil {
		code, description, fromGumroad = found[1], found[2], true
	}
	code = cmp.Or(firstText(object, "error"), code)
	description = cmp.Or(firstText(object, "error_description", "message"), description)
	e := newError(r.doing, resp.StatusCode, code, description, fromGumroad, r.secrets[:])
	if r.doing == exchanging || r.doing == refreshing {
		// Nothing else of the response: its request has the secret.
		short := &http.Response{Status: statusText(e.StatusCode), StatusCode: e.StatusCode, Header: http.Header{}, Body: http.NoBody}
		if after := resp.Header.Get("Retry-After"); after != "" {
			short.Header.Set("Retry-After", brief(hide(after, longWord, "", r.secrets[:])))
		}
		e.cause = &oauth2.RetrieveError{Response: short, ErrorCode: e.Code, ErrorDescription: e.Description}
	}
	return e
}

// firstText returns the first of the fields that is a string and not blank. It
// drops each NUL, because PostgreSQL cannot store one.
func firstText(object map[string]any, fields ...string) string {
	for _, field := range fields {
		text, _ := object[field].(string)
		if text = strings.ReplaceAll(text, "\x00", ""); strings.TrimSpace(text) != "" {
			return text
		}
	}
	return ""
}
