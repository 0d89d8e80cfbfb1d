package gumroadtest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
)

// gumroadHosts are the hosts of Gumroad's one web application.
var gumroadHosts = []string{"gumroad.com", "api.gumroad.com", "app.gumroad.com"}

// Client returns a new HTTP client that sends requests for gumroad.com,
// api.gumroad.com and app.gumroad.com to this server, whatever their scheme and
// port. Requests to the loopback interface go where they are sent; over https, any
// certificate will do. A request to any other host fails with an error that names
// the host. The client follows redirects and has a cookie jar of its own, so it
// can also stand for the user's browser.
//
// With this client as the provider's HTTPClient, a test can use the program's own
// gumroad.New. It registers the program's callback URL with [Server.SetApplication],
// and gives the program the server's ClientID and ClientSecret or sets these fields to
// the program's. A test without access to the provider can set [http.DefaultTransport]
// to the client's Transport, and restore it at the end.
func (s *Server) Client() *http.Client {
	s.lock()()
	jar, _ := cookiejar.New(nil) // never fails
	return &http.Client{Transport: s.transport, Jar: jar}
}

// dial returns a function that connects to this server in place of Gumroad, even for
// https without TLS, and otherwise only to the loopback interface.
func (s *Server) dial(secure bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(address)
		name := strings.ToLower(strings.TrimSuffix(host, "."))
		if slices.Contains(gumroadHosts, name) {
			return new(net.Dialer).DialContext(ctx, network, s.listener.Listener.Addr().String())
		}
		if name != "localhost" && !net.ParseIP(name).IsLoopback() {
			return nil, fmt.Errorf("gumroadtest: the test tried to reach %s, but this client reaches only %s and the loopback interface", host, strings.Join(gumroadHosts, ", "))
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if secure && err == nil {
			// The certificate of a program on the loopback interface proves nothing.
			conn = tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true})
		}
		return conn, err
	}
}
