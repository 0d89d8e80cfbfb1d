package gumroadtest

import (
	"fmt"
	"net/http"
	"strings"
)

// gumroadHosts are the hosts of Gumroad's one web application.
var gumroadHosts = []string{"gumroad.com", "api.gumroad.com", "app.gumroad.com"}

// Client returns an HTTP client for which gumroad.com, api.gumroad.com and
// app.gumroad.com are this server, with any scheme and port. It also reaches the
// server at its own URL. A request to any other host fails, with an error that
// names the host.
//
// With it, a test can leave the program's own gumroad.New as it is. The test
// registers the program's callback URL with [Server.SetApplication], gives the
// program the server's ClientID and ClientSecret (or sets these fields to the
// program's), and gives the client to the provider:
//
//	server.SetApplication(gumroadtest.Application{
//		RedirectURIs: []string{"https://app.example/auth/gumroad/callback"},
//		Confidential: true,
//	})
//	provider.HTTPClient = server.Client()
//
// If the test cannot reach the provider, it can set [http.DefaultTransport] to
// the Transport of this client until it ends. All programs that use the default
// transport then reach Gumroad only, so the test needs another client for the
// program's own pages, such as that of its [net/http/httptest.Server].
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: &transport{s.URL, s.listener.Client().Transport}}
}

// transport sends to the server at url what is meant for Gumroad.
type transport struct {
	url string
	// base is not http.DefaultTransport, which may be this transport itself.
	base http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	host := strings.ToLower(strings.TrimSuffix(r.URL.Hostname(), "."))
	isGumroad := false
	for _, name := range gumroadHosts {
		isGumroad = isGumroad || host == name
	}
	if !isGumroad && r.URL.Scheme+"://"+r.URL.Host != t.url {
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

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *transport) CloseIdleConnections() {
	(&http.Client{Transport: t.base}).CloseIdleConnections()
}
