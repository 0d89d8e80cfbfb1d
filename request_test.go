package gumroad_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// listen calls serve for each connection, in a goroutine of its own. It returns the
// address.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var open sync.WaitGroup
	open.Add(1)
	go func() {
		defer open.Done()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Add(1)
			go func() {
				defer open.Done()
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		open.Wait()
	})
	return listener.Addr().String()
}

// quiet drops a server's messages about handshakes that fail on purpose.
var quiet = log.New(io.Discard, "", 0)

// ownClient returns a client that shares no connection with other tests.
func ownClient(t *testing.T) (*http.Client, *http.Transport) {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}, transport
}

// The error wraps net/http's error, so that a program can find out why an answer
// is missing or incomplete.
func TestCausesSurvive(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n"
	answers := map[string]string{"before the header": "", "in the header": head, "in the body": head + "\r\n" + `{"access_token":"a","success":true,"us`}
	for place, answer := range answers {
		for _, call := range calls {
			t.Run(place+" "+call.doing, func(t *testing.T) {
				t.Parallel()
				// serve starts a server that writes answer to each connection and then
				// calls end.
				serve := func(end func(net.Conn)) string {
					return "http://" + listen(t, func(conn net.Conn) {
						req, err := http.ReadRequest(bufio.NewReader(conn))
						if !assert.NoError(t, err) {
							return
						}
						_, _ = io.Copy(io.Discard, req.Body)
						_, _ = io.WriteString(conn, answer)
						end(conn)
					})
				}
				client, _ := ownClient(t)

				err := call.make(at(serve(func(net.Conn) {}), client))
				assertReadable(t, call.doing, err)
				if answer == "" {
					assert.ErrorIs(t, err, io.EOF)
				} else {
					assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
				}

				err = call.make(at(serve(func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }), client))
				assertReadable(t, call.doing, err)
				if answer != head { // net/http reports an unexpected EOF in the header
					var network *net.OpError
					assert.ErrorAs(t, err, &network)
				}

				client.Timeout = 20 * time.Millisecond
				err = call.make(at(serve(func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }), client))
				assertReadable(t, call.doing, err)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				var timeout net.Error
				require.ErrorAs(t, err, &timeout)
				assert.True(t, timeout.Timeout())
			})
		}
	}
}

// certified returns a self-signed certificate for these hosts.
func certified(t *testing.T, hosts []string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: hosts, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// A certificate for other hosts is an error that wraps all its causes and gives
// advice. This holds even if the certificate has many names.
func TestCertificateOfOthers(t *testing.T) {
	t.Parallel()
	var hosts []string
	for i := range 90 {
		hosts = append(hosts, fmt.Sprintf("a-shop-with-a-very-long-name-number-%d.internal.example", i))
	}
	for _, number := range []int{1, 30, 90} {
		certificate := certified(t, hosts[:number])
		server := httptest.NewUnstartedServer(object(success))
		server.Config.ErrorLog = quiet
		server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
		server.StartTLS()
		t.Cleanup(server.Close)
		for _, trusted := range []bool{true, false} {
			client, transport := ownClient(t)
			transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
			if trusted {
				transport.TLSClientConfig.RootCAs.AddCert(certificate.Leaf)
			}
			for _, call := range calls {
				err := call.make(at(strings.Replace(server.URL, "127.0.0.1", "localhost", 1), client))
				assertReadable(t, call.doing, err)
				assert.ErrorContains(t, err, "(check that CA certificates are installed, that the clock is right, and that no proxy is in between)")
				var verification *tls.CertificateVerificationError
				assert.ErrorAs(t, err, &verification)
				if trusted {
					var hostname x509.HostnameError
					require.ErrorAs(t, err, &hostname)
					assert.Equal(t, "localhost", hostname.Host)
					if number == 1 {
						assert.ErrorContains(t, err, hosts[0])
					}
				}
			}
		}
	}
}

// The provider reads the body of an answer and ignores its Content-Type.
func TestContentTypeIsIgnored(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"text/plain", "text/html; charset=utf-8", "application/x-www-form-urlencoded", "", "no type"} {
		for _, call := range calls {
			assert.NoError(t, call.make(answering(t, text(http.StatusOK, contentType, success))), call.doing)
			err := call.make(answering(t, text(http.StatusBadRequest, contentType, `{"error":"invalid_grant","error_description":"No."}`)))
			assert.Equal(t, "invalid_grant", asError(t, err).Code, call.doing)
			assert.Equal(t, "No.", asError(t, err).Description, call.doing)
		}
	}
}

// A server may close an idle connection at the moment when the next request is
// sent on it.
func TestIdleConnectionThatIsClosed(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		t.Run(call.doing, func(t *testing.T) {
			t.Parallel()
			address := listen(t, func(conn net.Conn) {
				reader := bufio.NewReader(conn)
				req, err := http.ReadRequest(reader)
				if err != nil {
					return
				}
				assert.Nil(t, req.Header.Values("Idempotency-Key"), "this header must not be sent")
				_, _ = io.Copy(io.Discard, req.Body)
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(success), success)
				_, _ = reader.Peek(1)
			})
			client, _ := ownClient(t)
			p := at("http://"+address, client)
			for range 20 {
				assert.NoError(t, call.make(p))
			}
		})
	}
}

// gate forwards connections to a server. After it is shut, it drops all data of the
// connections that are already open. It still forwards new connections.
type gate struct {
	address string
	opened  atomic.Int64
	shut    chan struct{}
}

func newGate(t *testing.T, server string) *gate {
	g := &gate{shut: make(chan struct{})}
	g.address = listen(t, func(conn net.Conn) {
		g.opened.Add(1)
		behind, err := net.Dial("tcp", server)
		if !assert.NoError(t, err) {
			return
		}
		defer behind.Close()
		shut := g.shut
		select {
		case <-shut:
			shut = nil // the connection was opened after the gate was shut
		default:
		}
		forward := func(to, from net.Conn) {
			buffer := make([]byte, 32<<10)
			for {
				n, err := from.Read(buffer)
				select {
				case <-shut:
				default:
					_, _ = to.Write(buffer[:n])
				}
				if err != nil {
					return
				}
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			forward(conn, behind)
			conn.Close()
		}()
		forward(behind, conn)
		behind.Close()
		<-done
	})
	return g
}

// If a connection is lost without notice, only one request fails.
func TestConnectionThatDiedInSilence(t *testing.T) {
	// This test is not parallel, because it changes http.DefaultClient.
	for _, test := range []struct {
		name            string
		http2, byItself bool // the server speaks HTTP/2; net/http enables it by itself
		isDefault       bool // HTTPClient is nil
		failures        int
	}{
		{name: "HTTP/2", http2: true, failures: 1},
		{name: "HTTP/2 found by net/http", http2: true, byItself: true, failures: 1},
		{name: "HTTP/2 of the default client", http2: true, isDefault: true, failures: 1},
		{name: "HTTP/1", failures: 1},
		{name: "HTTP/1 of the default client", isDefault: true, failures: 1},
	} {
		for _, call := range calls {
			t.Run(test.name+" "+call.doing, func(t *testing.T) {
				g, p := behindGate(t, test.http2, func(client *http.Client) {
					if test.byItself {
						trusted := client.Transport.(*http.Transport).TLSClientConfig.RootCAs
						transport := &http.Transport{}
						transport.CloseIdleConnections() // makes net/http set TLSClientConfig
						transport.TLSClientConfig.RootCAs = trusted
						client.Transport = transport
					}
				}, call.make)
				if test.isDefault {
					before := *http.DefaultClient
					defer func() { *http.DefaultClient = before }()
					*http.DefaultClient = *p.HTTPClient
					p.HTTPClient = nil
				}

				p.Client().Timeout = 50 * time.Millisecond
				assert.ErrorIs(t, call.make(p), context.DeadlineExceeded)
				p.Client().Timeout = patience
				opened := g.opened.Load()
				for range 5 {
					assert.NoError(t, call.make(p))
				}
				assert.Equal(t, opened+1, g.opened.Load(), "connections")
			})
		}
	}
}

// If the provider cannot see a transport's connections, one more request fails.
func TestConnectionThatDiedInSilenceOfAnotherTransport(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		_, p := behindGate(t, true, func(client *http.Client) {
			inner := client.Transport
			client.Transport = transport(func(r *http.Request) (*http.Response, error) {
				resp, err := inner.RoundTrip(r)
				if err != nil {
					err = fmt.Errorf("giving up: %w", err)
				}
				return resp, err
			})
		}, call.make)
		p.HTTPClient.Timeout = 50 * time.Millisecond
		for range 2 {
			assert.ErrorIs(t, call.make(p), context.DeadlineExceeded)
		}
		p.HTTPClient.Timeout = patience
		for range 5 {
			assert.NoError(t, call.make(p))
		}
	}
}

// patience is long enough for a good answer, even on a busy machine.
const patience = 10 * time.Second

// behindGate returns a provider that has made two requests at once through a gate,
// which is now shut. Its client has two connections, or one that is enough for both
// requests. change can change the client before its first request.
func behindGate(t *testing.T, http2 bool, change func(*http.Client), call func(*gumroad.Provider) error) (*gate, *gumroad.Provider) {
	t.Helper()
	both := make(chan struct{}) // closed when two requests have arrived
	var arrived atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http2, r.ProtoMajor == 2)
		if arrived.Add(1) == 2 {
			close(both)
		}
		<-both
		object(success)(w, r)
	}))
	server.Config.ErrorLog = quiet
	server.EnableHTTP2 = http2
	server.StartTLS()
	t.Cleanup(server.Close)
	g := newGate(t, server.Listener.Addr().String())
	t.Cleanup(server.CloseClientConnections)

	client := server.Client()
	change(client)
	client.Timeout = patience
	t.Cleanup(client.CloseIdleConnections)
	p := at("https://"+g.address, client)
	var first sync.WaitGroup
	for range 2 {
		first.Add(1)
		go func() {
			defer first.Done()
			assert.NoError(t, call(p))
		}()
	}
	first.Wait()
	close(g.shut)
	return g, p
}

// Some transports use a client of their own, which follows redirects.
func TestTransportThatFollowsRedirects(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(object(success))
	defer elsewhere.Close()
	for _, call := range calls {
		for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
			p := answering(t, http.RedirectHandler(elsewhere.URL, status))
			inner := &http.Client{}
			p.HTTPClient = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) { return inner.Do(r) })}
			err := call.make(p)
			assertReadable(t, call.doing, err)
			assert.ErrorContains(t, err, "the Transport of HTTPClient followed a redirect (check that its redirects are switched off)")

			// The documentation of HTTPClient says to do this.
			p = answering(t, http.RedirectHandler(elsewhere.URL, status))
			inner.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			p.HTTPClient = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) { return inner.Do(r) })}
			assert.Equal(t, status, asError(t, call.make(p)).StatusCode)
		}
	}
}

// A transport that breaks the rules of http.RoundTripper does not cause a panic.
func TestTransportWithoutAnswer(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		for _, answer := range []*http.Response{nil, {StatusCode: http.StatusOK}, {Body: http.NoBody}} {
			p := gumroad.New(clientKey, secret, callbackURL)
			p.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return answer, nil })}
			err := call.make(p)
			assertReadable(t, call.doing, err)
			assert.ErrorContains(t, err, "the Transport of HTTPClient returned no answer")
		}
	}
}

// No request is answered from a cache, and none carries another user's cookie.
func TestRequestsAreNotMixedUp(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		var asked []*http.Request
		p := answering(t)
		p.HTTPClient = &http.Client{Jar: jar, Transport: transport(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r)
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Set-Cookie": {"user=alice"}, "Cache-Control": {"private, max-age=1"}},
				Body: io.NopCloser(strings.NewReader(success)), Request: r,
			}, nil
		})}
		address, err := url.Parse(p.TokenURL)
		require.NoError(t, err)
		jar.SetCookies(address, []*http.Cookie{{Name: "user", Value: "bob", Path: "/"}})
		require.NoError(t, call.make(p), call.doing)
		require.Len(t, asked, 1)
		assert.Equal(t, "no-store", asked[0].Header.Get("Cache-Control"))
		assert.Empty(t, asked[0].Header.Get("Cookie"))
		require.Len(t, jar.Cookies(address), 1)
		assert.Equal(t, "bob", jar.Cookies(address)[0].Value)
	}
}

// A connection is reused after an error page.
func TestErrorPageKeepsTheConnection(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10_000, 60_000} {
		for _, call := range calls {
			var opened atomic.Int64
			server := httptest.NewUnstartedServer(text(http.StatusServiceUnavailable, "text/html", "<!DOCTYPE html>"+strings.Repeat("x", size)))
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					opened.Add(1)
				}
			}
			server.StartTLS()
			p := at(server.URL, server.Client())
			for range 50 {
				assert.Equal(t, http.StatusServiceUnavailable, asError(t, call.make(p)).StatusCode)
			}
			assert.LessOrEqual(t, opened.Load(), int64(2), call.doing)
			server.Close()
		}
	}
}

// If the first request on a lost connection is canceled, the next request uses a
// new connection.
func TestConnectionThatDiedInSilenceUnderACanceledRequest(t *testing.T) {
	t.Parallel()
	revoke := func(p *gumroad.Provider) error { return p.RevokeToken(context.Background(), accessToken) }
	_, p := behindGate(t, true, func(*http.Client) {}, revoke)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	assert.ErrorIs(t, p.RevokeToken(ctx, accessToken), context.Canceled)
	assert.NoError(t, revoke(p))
}

// A timeout within an answer also makes the provider open a new connection.
func TestConnectionThatDiedInTheAnswer(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		var opened atomic.Int64
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if opened.Load() > 1 {
				object(success)(w, r)
				return
			}
			_, _ = io.WriteString(w, `{"success":`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				opened.Add(1)
			}
		}
		server.EnableHTTP2 = true
		server.StartTLS()
		p := at(server.URL, server.Client())
		p.HTTPClient.Timeout = 50 * time.Millisecond
		assert.ErrorIs(t, call.make(p), context.DeadlineExceeded)
		p.HTTPClient.Timeout = patience
		assert.NoError(t, call.make(p))
		server.CloseClientConnections()
		server.Close()
	}
}

// slow is the error of a request that timed out.
type slow struct{}

func (slow) Error() string   { return "too slow" }
func (slow) Timeout() bool   { return true }
func (slow) Temporary() bool { return true }

// After a request that timed out, and after no other one, the next request uses a
// connection of its own.
func TestConnectionAfterAFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		body  string
		then  error // in place of the end of the body
		err   error // in place of an answer
		alone bool
	}{
		{name: "success", body: success, then: io.EOF},
		{name: "too long", body: strings.Repeat("x", 3<<20), then: io.EOF},
		{name: "not JSON", body: page, then: io.EOF},
		{name: "cut off", body: success, then: io.ErrUnexpectedEOF},
		{name: "refused", err: errors.New("connection refused")},
		{name: "timed out", err: slow{}, alone: true},
		{name: "timed out, and wrapped", err: fmt.Errorf("giving up: %w", slow{}), alone: true},
		{name: "timed out, and wrapped twice", err: &url.Error{Op: "Get", Err: fmt.Errorf("giving up: %w", slow{})}, alone: true},
		{name: "timed out in the body", body: success, then: slow{}, alone: true},
	} {
		for _, call := range calls {
			var alone []bool
			p := gumroad.New(clientKey, secret, callbackURL)
			p.HTTPClient = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				alone = append(alone, r.Close)
				if test.err != nil {
					return nil, test.err
				}
				body := io.MultiReader(strings.NewReader(test.body), iotest.ErrReader(test.then))
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body)}, nil
			})}
			_ = call.make(p)
			_ = call.make(p)
			assert.Equal(t, []bool{false, test.alone}, alone, test.name)
		}
	}
}

// A transport with a registered protocol is not replaced after a timeout.
func TestProtocolOfTheApplicationsOwn(t *testing.T) {
	t.Parallel()
	answer := transport(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
	own := &http.Transport{}
	own.RegisterProtocol("unixlike", transport(func(r *http.Request) (*http.Response, error) { return answer(r) }))
	p := at("unixlike://gumroad", &http.Client{Transport: own, Timeout: time.Millisecond})
	_, err := p.RefreshToken(refreshToken)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	answer = func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(success))}, nil
	}
	p.HTTPClient.Timeout = patience
	_, err = p.RefreshToken(refreshToken)
	assert.NoError(t, err)
}

// closed is a body that records whether it was closed.
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
		for _, answer := range []string{success, "", "<html>", strings.Repeat(" ", 3<<20)} {
			body := &closed{Reader: strings.NewReader(answer)}
			p := gumroad.New(clientKey, secret, callbackURL)
			p.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
			})}
			_ = call.make(p)
			assert.True(t, body.yes)
		}
	}
}

// An error does not show the password in an endpoint.
func TestPasswordOfAnEndpoint(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		p := at("http://user:pass-word-pass-word@127.0.0.1:1", nil)
		err := call.make(p)
		assertReadable(t, call.doing, err)
		assert.NotContains(t, err.Error(), "pass-word")
	}
}

// The errors of net, io and crypto/x509 can be found, however a transport wraps
// them.
func TestCausesOfATransport(t *testing.T) {
	t.Parallel()
	const host = "a-very-long-hostname-for-a-test-server.internal.example"
	certificate := certified(t, []string{host}).Leaf
	for _, cause := range []error{
		&net.DNSError{Err: "no such host", Name: host}, &net.AddrError{Err: "missing port", Addr: host},
		x509.UnknownAuthorityError{Cert: certificate}, x509.CertificateInvalidError{Cert: certificate, Reason: x509.Expired},
		x509.HostnameError{Certificate: certificate, Host: host}, x509.SystemRootsError{}, io.ErrUnexpectedEOF, context.DeadlineExceeded,
	} {
		for _, wrapped := range []error{
			cause, fmt.Errorf("giving up: %w", cause), errors.Join(errors.New("first"), cause),
			fmt.Errorf("sent %s: %w", secret, cause), fmt.Errorf("twice: %w, %w", io.EOF, cause),
		} {
			for _, call := range calls {
				p := gumroad.New(clientKey, secret, callbackURL)
				p.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, wrapped })}
				err := call.make(p)
				assertReadable(t, call.doing, err)
				assert.True(t, find(err, cause), "%T in %v", cause, err)
				if strings.Contains(cause.Error(), host) {
					assert.ErrorContains(t, err, host)
				}
				if strings.HasPrefix(fmt.Sprintf("%T", cause), "x509.") {
					assert.ErrorContains(t, err, "(check that CA certificates are installed")
				}
			}
		}
	}
}

// find reports whether err wraps cause. If errors of its type cannot be compared,
// it looks for any error of that type.
func find(err, cause error) bool {
	switch cause.(type) {
	case x509.HostnameError:
		return errors.As(err, new(x509.HostnameError))
	case x509.UnknownAuthorityError:
		return errors.As(err, new(x509.UnknownAuthorityError))
	case x509.CertificateInvalidError:
		return errors.As(err, new(x509.CertificateInvalidError))
	}
	return errors.Is(err, cause)
}

// An error answer whose body is cut off keeps its status. It is not ErrUnauthorized,
// since the rest of the body is unknown.
func TestAnswerThatBreaksOffAfterAnError(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		for _, status := range []int{http.StatusUnauthorized, http.StatusServiceUnavailable} {
			err := call.make(answering(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "100")
				w.WriteHeader(status)
			})))
			assertReadable(t, call.doing, err)
			assert.Equal(t, status, asError(t, err).StatusCode)
			assert.NotErrorIs(t, err, gumroad.ErrUnauthorized, "the body was not received completely")
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
			assert.ErrorContains(t, err, "(try again later)")
		}
	}
}

// A complete error object is used, even if Content-Length announced more.
func TestErrorWithAWrongLength(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		err := call.make(answering(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			text(http.StatusBadRequest, "application/json", `{"error":"invalid_grant"}`)(w, r)
		})))
		assert.Equal(t, "invalid_grant", asError(t, err).Code)
		assert.Equal(t, strings.HasSuffix(call.url, "/oauth/token"), errors.As(err, new(*oauth2.RetrieveError)))
	}
}
