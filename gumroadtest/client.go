package gumroadtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// gumroadHosts are the hosts of Gumroad's one web application.
var gumroadHosts = []string{"gumroad.com", "api.gumroad.com", "app.gumroad.com"}

// Client returns an HTTP client that sends requests for gumroad.com,
// api.gumroad.com and app.gumroad.com to this server, whatever their scheme and
// port. It also reaches the server at its own URL. A request to any other host
// fails with an error that names the host.
//
// With this client, a test can use the program's own gumroad.New. Register the
// program's callback URL with [Server.SetApplication]. Give the program the
// server's ClientID and ClientSecret, or set these two fields to the program's
// credentials. Then set the provider's HTTPClient:
//
//	server.SetApplication(gumroadtest.Application{
//		RedirectURIs: []string{"https://app.example/auth/gumroad/callback"},
//		Confidential: true,
//	})
//	provider.HTTPClient = server.Client()
//
// If a test has no access to the provider, it can set [http.DefaultTransport] to
// the client's Transport, and restore it at the end. The default transport then
// reaches Gumroad only. To visit the program's own pages, use a client with
// another transport, such as that of [net/http/httptest.Server.Client].
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: &transport{s.URL, s.listener.Client().Transport}}
}

// transport sends requests for Gumroad to the server at url.
type transport struct {
	url string
	// base is not http.DefaultTransport, which may be this transport itself.
	base http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	host := strings.ToLower(strings.TrimSuffix(r.URL.Hostname(), "."))
	if !slices.Contains(gumroadHosts, host) && r.URL.Scheme+"://"+r.URL.Host != t.url {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, fmt.Errorf("gumroadtest: the test tried to reach %s, but this client reaches only %s and %s",
			r.URL.Host, strings.Join(gumroadHosts, ", "), t.url)
	}
	sent := r.Clone(r.Context())
	if sent.Host == "" {
		sent.Host = r.URL.Host
	}
	scheme, address, _ := strings.Cut(t.url, "://")
	sent.URL.Scheme, sent.URL.Host = scheme, address
	response, err := t.base.RoundTrip(sent)
	if response != nil {
		response.Request = r
	}
	return response, err
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (t *transport) CloseIdleConnections() {
	(&http.Client{Transport: t.base}).CloseIdleConnections()
}
