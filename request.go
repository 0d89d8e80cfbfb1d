package gumroad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/markbates/goth"
	"golang.org/x/oauth2"
)

const (
	// maxAnswer is the most bytes that are read of one answer. A seller's answer
	// lists every product: 50,000 of them take 1.5 MB.
	maxAnswer = 8 << 20

	// maxTokenAnswer is less, since x/oauth2 takes the first 1 MiB of a longer
	// answer for the whole.
	maxTokenAnswer = 1<<20 - 1
)

// guard is a client and its transport, which makes an error of an answer that is
// too long.
type guard struct {
	client    http.Client
	transport http.RoundTripper
	max       int // bytes
}

// guardedClient returns a copy of the client that follows no redirect, so that
// nothing confidential reaches another address than the provider's own, and that
// reads no more than max bytes of an answer.
func (p *Provider) guardedClient(max int) *http.Client {
	client := goth.HTTPClientWithFallBack(p.HTTPClient)
	g := &guard{*client, client.Transport, max}
	if g.transport == nil {
		g.transport = http.DefaultTransport
	}
	g.client.Transport = g
	g.client.Timeout = 0 // see timeLimit
	g.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &g.client
}

// timeLimit is how long one request may take. It goes into the request's context,
// since a client's Timeout costs a goroutine a request where net/http does not
// know the transport, such as guard.
func (p *Provider) timeLimit() time.Duration {
	if timeout := goth.HTTPClientWithFallBack(p.HTTPClient).Timeout; timeout > 0 {
		return min(timeout, RequestTimeout)
	}
	return RequestTimeout
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.transport.RoundTrip(req)
	if resp != nil && resp.Body != nil {
		resp.Body = &guardedBody{resp.Body, g.max, g.max}
	}
	return resp, err
}

type guardedBody struct {
	io.ReadCloser
	max, left int // bytes
}

func (b *guardedBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	b.left -= n
	if b.left < 0 {
		return 0, fmt.Errorf("an answer of more than %d bytes", b.max)
	}
	return n, err
}

// retrieve has get ask the token endpoint, and checks what comes back. The error
// holds none of secrets.
func (p *Provider) retrieve(doing string, get func(context.Context) (*oauth2.Token, error), secrets ...string) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(goth.ContextForClient(p.guardedClient(maxTokenAnswer)), p.timeLimit())
	defer cancel()
	token, err := get(ctx)
	if err == nil && !token.Valid() {
		err = errors.New("the access token has expired already")
	}
	if err != nil {
		return nil, wrap(doing, err, secrets...)
	}
	return token, nil
}

// do makes the request, whose context has the time limit, and returns the JSON
// object that Gumroad answered, nil where the answer is empty. Any other status
// than 200, and a success that is false, is an *Error. No error holds one of
// secrets.
func (p *Provider) do(doing string, req *http.Request, secrets ...string) (map[string]any, error) {
	resp, err := p.guardedClient(maxAnswer).Do(req)
	if err != nil {
		return nil, wrap(doing, err, secrets...)
	}
	defer resp.Body.Close()
	answer, err := readObject(resp.Body)
	if resp.StatusCode != http.StatusOK || answer["error"] != nil || answer["success"] == false {
		description := firstText(answer, "error_description", "message")
		return nil, newError(doing, resp.StatusCode, firstText(answer, "error"), description, secrets...)
	}
	if err != nil {
		return nil, wrap(doing, err, secrets...)
	}
	return answer, nil
}

// readObject reads one JSON object and nothing after it, or nothing at all.
func readObject(body io.Reader) (map[string]any, error) {
	decoder := json.NewDecoder(body)
	// An id that comes as a number must keep all its digits.
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	if _, err := decoder.Token(); err == nil {
		return nil, errors.New("more than one JSON value")
	} else if err != io.EOF {
		return nil, err
	}
	return object, nil
}

// firstText returns the first of the fields that is a string and not empty.
func firstText(object map[string]any, fields ...string) string {
	for _, field := range fields {
		if text, _ := object[field].(string); text != "" {
			return text
		}
	}
	return ""
}
