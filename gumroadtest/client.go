package gumroadtest

import (
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
// With this client, a test can use the program's own gumroad.New. Register the
// program's callback URL with [Server.SetApplication]. Give the program the
// server's ClientID and ClientSecret, or set these two fields to the program's
// credentials. Then set the provider's HTTPClient:
//
//	app := server.Application()
//	app.RedirectURIs = []string{"https://app.example/auth/gumroad/callback"}
//	server.SetApplication(app)
//	provider.HTTPClient = server.Client()
//
// If a test has no access to the provider, it can set [http.DefaultTransport] to
// the client's Transport, and restore it at the end.
func (s *Server) Client() *http.Client {
	s.lock()()
	jar, _ := cookiejar.New(nil) // never fails
	return &http.Client{Transport: &transport{s.transport, s.URL}, Jar: jar}
}

// transport sends requests for Gumroad to the server at url.
type transport struct {
	*http.Transport // not http.DefaultTransport, which may be this transport itself
	url             string
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	host := strings.ToLower(strings.TrimSuffix(r.URL.Hostname(), "."))
	if host == "localhost" || net.ParseIP(host).IsLoopback() {
		return t.Transport.RoundTrip(r)
	}
	if !slices.Contains(gumroadHosts, host) {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, fmt.Errorf("gumroadtest: the test tried to reach %s, but this client reaches only %s and the loopback interface",
			r.URL.Host, strings.Join(gumroadHosts, ", "))
	}
	sent := r.Clone(r.Context())
	if sent.Host == "" {
		sent.Host = r.URL.Host
	}
	sent.URL.Scheme, sent.URL.Host, _ = strings.Cut(t.url, "://")
	response, err := t.Transport.RoundTrip(sent)
	if response != nil {
		response.Request = r
	}
	return response, err
}
