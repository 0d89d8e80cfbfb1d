package gumroad_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is long enough for a good answer, even on a busy machine.
const patience = 10 * time.Second

// over returns a provider whose requests are answered by answer.
func over(answer transport) *gumroad.Provider {
	p := gumroad.New(clientKey, secret, callbackURL)
	p.HTTPClient = &http.Client{Transport: answer}
	return p
}

// response returns a response with this body.
func response(status int, header http.Header, body io.Reader) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(body)}
}

// refresh makes a request for which only the error matters.
func refresh(p *gumroad.Provider) error {
	_, err := p.RefreshToken(refreshToken)
	return err
}

// A counted server counts its connections, and can let those that are open fall
// silent, as after a cable was pulled.
type counted struct {
	*httptest.Server
	opened, open atomic.Int64
	silence      atomic.Pointer[atomic.Bool] // of the connections that are accepted now
}

func newCounted(t *testing.T, http2 bool, handler http.HandlerFunc) *counted {
	s := &counted{Server: httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http2, r.ProtoMajor == 2, r.Proto)
		handler(w, r)
	}))}
	s.silence.Store(new(atomic.Bool))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.opened.Add(1)
			s.open.Add(1)
		case http.StateClosed:
			s.open.Add(-1)
		}
	}
	s.Listener = silencing{s.Listener, s}
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// fallSilent makes the server answer nothing more on the connections that are open.
func (s *counted) fallSilent() { s.silence.Swap(new(atomic.Bool)).Store(true) }

// kinds are the kinds of HTTPClient that an application can have.
var kinds = []string{"own transport", "wrapped transport", "default client"}

// client returns an HTTPClient of this kind for the server. It makes the test
// parallel, unless the test changes http.DefaultClient.
func (s *counted) client(t *testing.T, kind string, timeout time.Duration) *http.Client {
	inner := s.Client().Transport.(*http.Transport)
	client := &http.Client{Transport: inner, Timeout: timeout}
	switch kind {
	case "default client":
		before, beforeTimeout := http.DefaultTransport, http.DefaultClient.Timeout
		t.Cleanup(func() { http.DefaultTransport, http.DefaultClient.Timeout = before, beforeTimeout })
		http.DefaultTransport, http.DefaultClient.Timeout = inner, timeout
		return nil
	case "wrapped transport":
		client.Transport = transport(func(r *http.Request) (*http.Response, error) {
			resp, err := inner.RoundTrip(r)
			if err != nil {
				err = fmt.Errorf("giving up: %w", err)
			}
			return resp, err
		})
	}
	t.Parallel()
	return client
}

type silencing struct {
	net.Listener
	server *counted
}

func (l silencing) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return silenced{conn, l.server.silence.Load()}, err
}

type silenced struct {
	net.Conn
	silent *atomic.Bool
}

func (c silenced) Write(data []byte) (int, error) {
	if c.silent.Load() {
		return len(data), nil
	}
	return c.Conn.Write(data)
}

// An outage leaves no more connections open than with a plain http.Client.
func TestOutage(t *testing.T) {
	const workers, each, timeout = 10, 12, 50 * time.Millisecond
	outage := func(t *testing.T, s *counted, request func(i int) error) (open func() int64) {
		var work sync.WaitGroup
		for range workers {
			work.Add(1)
			go func() {
				defer work.Done()
				for i := range each {
					assert.ErrorIs(t, request(i), context.DeadlineExceeded)
				}
			}()
		}
		work.Wait()
		return s.open.Load
	}
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}

	plain := newCounted(t, true, hang)
	client := plain.Client()
	client.Timeout = timeout
	wanted := outage(t, plain, func(int) error {
		_, err := client.Get(plain.URL)
		return err
	})()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			s := newCounted(t, true, hang)
			p := at(s.URL, s.client(t, kind, timeout))
			open := outage(t, s, func(i int) error { return calls[i%len(calls)].make(p) })
			assert.Eventually(t, func() bool { return open() <= wanted+10 }, patience, time.Millisecond, "%d connections, %d with a plain client", open(), wanted)
		})
	}
}

// A slow answer, or a request that the application gave up, does not make the
// provider open a connection for each request.
func TestHealthyConnectionIsKept(t *testing.T) {
	for _, http2 := range []bool{true, false} {
		for _, kind := range kinds {
			for _, failure := range []string{"slow answer", "ended context"} {
				t.Run(fmt.Sprintf("%s, %s, HTTP/2 %t", failure, kind, http2), func(t *testing.T) {
					var slow atomic.Bool
					var asked atomic.Int64
					s := newCounted(t, http2, func(w http.ResponseWriter, r *http.Request) {
						_, _ = io.Copy(io.Discard, r.Body)
						asked.Add(1)
						if slow.Swap(false) {
							<-r.Context().Done()
							return
						}
						object(success)(w, r)
					})
					p := at(s.URL, s.client(t, kind, patience))
					require.NoError(t, refresh(p))
					timeout := time.Duration(0)
					if failure == "slow answer" {
						timeout = 100 * time.Millisecond
						slow.Store(true)
					}
					ctx, cancel := context.WithTimeout(t.Context(), timeout)
					defer cancel()
					assert.ErrorIs(t, p.RevokeToken(ctx, accessToken), ctx.Err())
					for i := range 20 {
						assert.NoError(t, calls[i%len(calls)].make(p))
					}
					if failure == "slow answer" {
						assert.LessOrEqual(t, s.opened.Load(), int64(3), "connections")
					} else {
						assert.EqualValues(t, 1, s.opened.Load(), "connections")
						assert.EqualValues(t, 21, asked.Load(), "requests")
					}
				})
			}
		}
	}
}

// A connection that falls silent costs at most two requests.
func TestConnectionThatFellSilent(t *testing.T) {
	for _, http2 := range []bool{true, false} {
		for _, kind := range kinds {
			t.Run(fmt.Sprintf("%s, HTTP/2 %t", kind, http2), func(t *testing.T) {
				s := newCounted(t, http2, object(success))
				p := at(s.URL, s.client(t, kind, patience))
				for _, call := range calls {
					require.NoError(t, call.make(p))
					s.fallSilent()
					p.Client().Timeout = 100 * time.Millisecond
					failed := 0
					for failed < 9 && call.make(p) != nil {
						failed++
					}
					assert.Contains(t, []int{1, 2}, failed, "requests that failed when %s", call.doing)
					p.Client().Timeout = patience
				}
			})
		}
	}
}

// slow is the error of a request that timed out.
type slow struct{}

func (slow) Error() string   { return "too slow" }
func (slow) Timeout() bool   { return true }
func (slow) Temporary() bool { return true }

// Only a request without a complete response makes the next one the last on its
// connection, and only the next one.
func TestConnectionAfterAFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		status int
		body   string
		then   error // in place of the end of the body
		err    error // in place of a response
		last   bool
	}{
		{name: "success", status: 200, body: success, then: io.EOF},
		{name: "refused", status: 503, body: page, then: io.EOF},
		{name: "too long", status: 200, body: strings.Repeat("x", 3<<20), then: io.EOF},
		{name: "not JSON", status: 200, body: page, then: io.EOF},
		{name: "cut off", status: 200, body: success, then: io.ErrUnexpectedEOF, last: true},
		{name: "refused and cut off", status: 503, body: page, then: io.ErrUnexpectedEOF, last: true},
		{name: "timed out in the body", status: 200, body: success, then: slow{}, last: true},
		{name: "no connection", err: errors.New("connection refused"), last: true},
		{name: "timed out", err: slow{}, last: true},
		{name: "a transport's own cancel", err: context.Canceled, last: true},
	} {
		for _, call := range calls {
			var last []bool
			p := over(func(r *http.Request) (*http.Response, error) {
				last = append(last, r.Close)
				if len(last) > 1 {
					return response(http.StatusOK, nil, strings.NewReader(success)), nil
				}
				if test.err != nil {
					return nil, test.err
				}
				return response(test.status, nil, io.MultiReader(strings.NewReader(test.body), iotest.ErrReader(test.then))), nil
			})
			for range 3 {
				_ = call.make(p)
			}
			assert.Equal(t, []bool{false, test.last, false}, last, "%s when %s", test.name, call.doing)
		}
	}
}

// The application's own cancel says nothing about the connection. Its deadline does.
func TestConnectionAfterACancel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		end  func(context.Context) (context.Context, context.CancelFunc)
		last bool
	}{
		{"cancel", context.WithCancel, false},
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 20*time.Millisecond)
		}, true},
	} {
		ctx, cancel := test.end(t.Context())
		defer cancel()
		var last []bool
		p := over(func(r *http.Request) (*http.Response, error) {
			last = append(last, r.Close)
			if len(last) > 1 {
				return response(http.StatusOK, nil, strings.NewReader(success)), nil
			}
			if !test.last {
				cancel()
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		assert.ErrorIs(t, p.RevokeToken(ctx, accessToken), ctx.Err())
		assert.NoError(t, p.RevokeToken(t.Context(), accessToken))
		assert.Equal(t, []bool{false, test.last}, last, test.name)
	}
}

// The failures of one host are not forgotten when another host answers.
func TestConnectionsOfTwoHosts(t *testing.T) {
	t.Parallel()
	last := map[string][]bool{}
	p := over(func(r *http.Request) (*http.Response, error) {
		last[r.URL.Host] = append(last[r.URL.Host], r.Close)
		if r.URL.Host == "users.example" {
			return nil, slow{}
		}
		return response(http.StatusOK, nil, strings.NewReader(success)), nil
	})
	p.ProfileURL = "https://users.example/v2/user"
	for range 4 {
		s := &gumroad.Session{}
		_, err := s.Authorize(p, url.Values{"code": {code}})
		require.NoError(t, err)
		_, err = p.FetchUser(s)
		require.ErrorIs(t, err, slow{})
	}
	assert.Equal(t, map[string][]bool{
		"api.gumroad.com": {false, false, false, false},
		"users.example":   {false, true, false, true},
	}, last)
}

// Several requests that fail at once on one connection cost one connection.
func TestFailuresAtOnce(t *testing.T) {
	t.Parallel()
	const requests = 5
	asked, fail := make(chan bool, requests), make(chan struct{})
	p := over(func(r *http.Request) (*http.Response, error) {
		asked <- r.Close
		select {
		case <-fail:
		case <-r.Context().Done():
		}
		return nil, slow{}
	})
	failed := make(chan error, requests)
	for range requests {
		go func() { failed <- refresh(p) }()
	}
	for range requests {
		assert.False(t, <-asked)
	}
	fail <- struct{}{}
	assert.Error(t, <-failed)
	go func() { failed <- refresh(p) }()
	assert.True(t, <-asked)
	close(fail)
	for range requests {
		assert.Error(t, <-failed)
	}
	_ = refresh(p)
	assert.False(t, <-asked, "the failures were of the connection that was left")
}

// A server may close an idle connection at the moment when the next request is
// sent on it.
func TestIdleConnectionThatIsClosed(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		t.Run(call.doing, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			var serving sync.WaitGroup
			serving.Add(1)
			go func() {
				defer serving.Done()
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					reader := bufio.NewReader(conn)
					if req, err := http.ReadRequest(reader); assert.NoError(t, err) {
						assert.NotContains(t, req.Header, "Idempotency-Key")
						_, _ = io.Copy(io.Discard, req.Body)
						_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(success), success)
						_, _ = reader.Peek(1) // the next request
					}
					conn.Close()
				}
			}()
			inner := &http.Transport{MaxIdleConns: 1}
			p := at("http://"+listener.Addr().String(), &http.Client{Transport: inner, Timeout: patience})
			for range 20 {
				assert.NoError(t, call.make(p))
			}
			inner.CloseIdleConnections()
			listener.Close()
			serving.Wait()
		})
	}
}

// A connection is used again after an error page.
func TestErrorPageKeepsTheConnection(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{true, false} {
		s := newCounted(t, http2, text(http.StatusServiceUnavailable, "text/html", "<!DOCTYPE html>"+strings.Repeat("x", 60_000)))
		p := at(s.URL, s.Client())
		for i := range 20 {
			assert.Equal(t, http.StatusServiceUnavailable, asError(t, calls[i%len(calls)].make(p)).StatusCode)
		}
		assert.EqualValues(t, 1, s.opened.Load(), "connections, HTTP/2 %t", http2)
	}
}

// A closed body records that it was closed.
type closed struct {
	io.Reader
	yes bool
}

func (c *closed) Close() error {
	c.yes = true
	return nil
}

// Every body is closed, as net/http requires.
func TestBodyIsClosed(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		for _, body := range []io.Reader{strings.NewReader(success), strings.NewReader(page), strings.NewReader(strings.Repeat(" ", 3<<20)), iotest.ErrReader(slow{})} {
			body := &closed{Reader: body}
			_ = call.make(over(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
			}))
			assert.True(t, body.yes)
		}
	}
}

// A request has the method and the header that Gumroad's endpoint needs. It has no
// cookie, which could be another user's, and a user is not read from a cache.
func TestRequestHeader(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		endpoint, err := url.Parse(call.url)
		require.NoError(t, err)
		jar.SetCookies(endpoint, []*http.Cookie{{Name: "user", Value: "bob", Path: "/"}})
		var asked []*http.Request
		p := over(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r)
			return response(http.StatusOK, http.Header{"Set-Cookie": {"user=alice; Path=/"}}, strings.NewReader(success)), nil
		})
		p.HTTPClient.Jar = jar
		require.NoError(t, call.make(p))

		require.Len(t, asked, 1)
		assert.Equal(t, call.url, asked[0].URL.String())
		if call.doing == "fetching the user" {
			assert.Equal(t, "GET", asked[0].Method)
			assert.Equal(t, http.Header{"Authorization": {"Bearer " + accessToken}, "Cache-Control": {"no-store"}}, asked[0].Header)
		} else {
			assert.Equal(t, "POST", asked[0].Method)
			assert.Equal(t, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Idempotency-Key": nil}, asked[0].Header)
		}
		require.Len(t, jar.Cookies(endpoint), 1)
		assert.Equal(t, "bob", jar.Cookies(endpoint)[0].Value)
	}
}

// A user and a password in an endpoint, such as a staging server's, are sent as a
// plain http.Client sends them. No error shows the password.
func TestPasswordInAnEndpoint(t *testing.T) {
	t.Parallel()
	for _, userinfo := range []string{"", "stage@", "stage:@", ":pAss@", "stage:pAss%20w%C3%B6rd%3A@", "stage:a-pAss%20w%C3%B6rd%3A-that-is-long@"} {
		var sent []string
		p := over(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r.Header.Get("Authorization"))
			if r.Header.Get("Plain") != "" {
				return response(http.StatusOK, nil, strings.NewReader(success)), nil
			}
			return nil, slow{}
		})
		for _, call := range calls {
			sent = nil
			p.TokenURL = "https://" + userinfo + "staging.example/oauth/token"
			p.ProfileURL = "https://" + userinfo + "staging.example/v2/user"
			plain, err := http.NewRequest(http.MethodPost, p.TokenURL, nil)
			require.NoError(t, err)
			plain.Header.Set("Plain", "yes")
			if call.doing == "fetching the user" {
				plain.Header.Set("Authorization", "Bearer "+accessToken)
			}
			_, err = p.HTTPClient.Do(plain)
			require.NoError(t, err)
			err = call.make(p)
			require.Len(t, sent, 2)
			assert.Equal(t, sent[0], sent[1], call.doing)
			assertReadable(t, call.doing, err)
			assert.NotContains(t, err.Error(), "pAss")

			p.TokenURL, p.ProfileURL = p.TokenURL+"\x7f", p.ProfileURL+"\x7f"
			err = call.make(p)
			assertReadable(t, call.doing, err)
			assert.ErrorContains(t, err, "the endpoint is not a URL (check ")
			assert.NotContains(t, err.Error(), "pAss")
		}
	}
}

// The revocation endpoint is beside the token endpoint, at the same host.
func TestRevocationEndpoint(t *testing.T) {
	t.Parallel()
	for tokenURL, wanted := range map[string]string{
		"https://api.gumroad.com/oauth/token":     "https://api.gumroad.com/oauth/revoke",
		"http://127.0.0.1:3000":                   "http://127.0.0.1:3000/revoke",
		"http://127.0.0.1:3000/":                  "http://127.0.0.1:3000/revoke",
		"http://127.0.0.1:3000/token":             "http://127.0.0.1:3000/revoke",
		"http://127.0.0.1:3000/a/b?grant=for#you": "http://127.0.0.1:3000/a/revoke",
		"http://[::1]:3000/a/b/token":             "http://[::1]:3000/a/b/revoke",
		"https://user:word@example/a%2Fb/c":       "https://user:word@example/a%2Fb/revoke",
	} {
		asked := ""
		p := over(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.String()
			return response(http.StatusOK, nil, strings.NewReader("{}")), nil
		})
		p.TokenURL = tokenURL
		assert.NoError(t, p.RevokeToken(t.Context(), accessToken), tokenURL)
		assert.Equal(t, wanted, asked, tokenURL)
	}
}

// A request has a deadline, which covers the body too, since net/http keeps to it
// until the body has been read. The shortest limit applies.
func TestDeadlineOfARequest(t *testing.T) {
	t.Parallel()
	for timeout, wanted := range map[time.Duration]time.Duration{
		0: gumroad.RequestTimeout, time.Second: time.Second, time.Hour: gumroad.RequestTimeout, -1: gumroad.RequestTimeout,
	} {
		for _, call := range calls {
			var deadline time.Time
			p := over(func(r *http.Request) (*http.Response, error) {
				deadline, _ = r.Context().Deadline()
				return nil, slow{}
			})
			p.HTTPClient.Timeout = timeout
			before := time.Now()
			assert.ErrorIs(t, call.make(p), slow{})
			assert.False(t, deadline.Before(before.Add(wanted)), "%s: shorter than %s", call.doing, wanted)
			assert.False(t, deadline.After(time.Now().Add(wanted)), "%s: longer than %s", call.doing, wanted)
		}
	}
	sooner, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_ = over(func(r *http.Request) (*http.Response, error) {
		wanted, _ := sooner.Deadline()
		deadline, _ := r.Context().Deadline()
		assert.Equal(t, wanted, deadline)
		return nil, slow{}
	}).RevokeToken(sooner, accessToken)
}

// A response of 2 MiB is read, and no longer one. A longer one is not read to its end.
func TestLengthLimit(t *testing.T) {
	t.Parallel()
	const most = 2 << 20
	for length, wanted := range map[int]string{most: "", most + 1: "the answer has more than 2097152 bytes", 9 * most: "the answer has more than 2097152 bytes"} {
		for _, call := range calls {
			body := strings.NewReader(success + strings.Repeat(" ", length-len(success)))
			err := call.make(over(func(*http.Request) (*http.Response, error) { return response(http.StatusOK, nil, body), nil }))
			if wanted == "" {
				assert.NoError(t, err, call.doing)
			} else {
				assertReadable(t, call.doing, err)
				assert.ErrorContains(t, err, wanted)
			}
			assert.LessOrEqual(t, length-body.Len(), most+1, "bytes that were read")
		}
	}
}

// A long header costs no more memory than net/http needs to read it. A description
// has to be decoded, and a cause is copied by each error that quotes it.
func TestMemoryForLongTexts(t *testing.T) {
	const mebibyte = 1 << 20
	for _, piece := range []string{"x", `Bearer error="`, `, error="x"`, `\"`, "a-token-of-forty-three-characters-0123456789 ", "é", "<", secret} {
		long := strings.Repeat(piece, 9*mebibyte/len(piece))
		description := `{"error_description":"` + strings.ReplaceAll(long[:mebibyte], `"`, `\"`) + `"}`
		for name, test := range map[string]struct {
			answer transport
			most   uint64
		}{
			"header": {func(*http.Request) (*http.Response, error) {
				return response(http.StatusUnauthorized, http.Header{"Www-Authenticate": {long, long}, "Retry-After": {long}}, http.NoBody), nil
			}, mebibyte},
			"description": {func(*http.Request) (*http.Response, error) {
				return response(http.StatusBadRequest, nil, strings.NewReader(description)), nil
			}, 16 * mebibyte},
			"cause": {func(*http.Request) (*http.Response, error) { return nil, errors.New(long) }, 64 * mebibyte},
		} {
			for _, call := range calls {
				p := over(test.answer)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := call.make(p)
				runtime.ReadMemStats(&after)
				assert.Less(t, len(err.Error()), 1000)
				assert.Less(t, after.TotalAlloc-before.TotalAlloc, test.most, "a %s of %q when %s", name, piece, call.doing)
			}
		}
	}
}

// A redirect would send the secret or a token elsewhere, so none is followed, not
// even to the same host.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{"https://elsewhere.example/", "//elsewhere.example", "/again", "", "?", "http://[" + secret} {
			for _, call := range calls {
				asked := 0
				p := over(func(*http.Request) (*http.Response, error) {
					asked++
					return response(status, http.Header{"Location": {location}}, strings.NewReader(success)), nil
				})
				p.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
				err := call.make(p)
				assertReadable(t, call.doing, err)
				assert.Equal(t, status, asError(t, err).StatusCode)
				assert.ErrorContains(t, err, "(check the provider's endpoints)")
				assert.Equal(t, 1, asked, "requests for the redirect to %q", location)
			}
		}
	}
}

// Some transports use a client of their own, which follows redirects.
func TestTransportThatFollowsRedirects(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
			follows := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				resp := response(status, http.Header{"Location": {"https://elsewhere.example/"}}, http.NoBody)
				if r.URL.Host == "elsewhere.example" {
					resp = response(http.StatusOK, nil, strings.NewReader(success))
				}
				resp.Request = r // as net/http does
				return resp, nil
			})}
			err := call.make(over(follows.Do))
			assertReadable(t, call.doing, err)
			assert.ErrorContains(t, err, "the Transport of HTTPClient followed a redirect, which it must leave to the provider")

			follows.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			assert.Equal(t, status, asError(t, call.make(over(follows.Do))).StatusCode)
		}
	}
}

// A transport that breaks the rules of http.RoundTripper does not cause a panic.
func TestTransportWithoutAnswer(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		for _, answer := range []*http.Response{nil, {StatusCode: http.StatusOK}, {Body: http.NoBody}} {
			err := call.make(over(func(*http.Request) (*http.Response, error) { return answer, nil }))
			assertReadable(t, call.doing, err)
			assert.ErrorContains(t, err, "the Transport of HTTPClient returned no answer")
		}
	}
}

// The body of a response is read whatever its Content-Type is.
func TestContentTypeIsIgnored(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"", "text/html; charset=utf-8", "application/x-www-form-urlencoded", "no type"} {
		for _, call := range calls {
			header := http.Header{"Content-Type": {contentType}}
			assert.NoError(t, call.make(over(func(*http.Request) (*http.Response, error) {
				return response(http.StatusOK, header, strings.NewReader(success)), nil
			})))
			err := asError(t, call.make(over(func(*http.Request) (*http.Response, error) {
				return response(http.StatusBadRequest, header, strings.NewReader(`{"error":"invalid_grant","error_description":"No."}`)), nil
			})))
			assert.Equal(t, "invalid_grant: No.", err.Code+": "+err.Description)
		}
	}
}
