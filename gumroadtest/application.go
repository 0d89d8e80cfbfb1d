package gumroadtest

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	gumroad "github.com/gumroad/goth-gumroad"
)

// Application is an application that is registered at Gumroad.
type Application struct {
	// Name is shown on the authorization page.
	Name string

	// RedirectURIs are the registered redirect URIs. The callback URLs of
	// [Server.Provider] are registered too. As at Gumroad, each needs a scheme, and
	// with http or https a host. It must be ASCII, without blanks and without a
	// fragment. A login with any other redirect URI fails with
	// invalid_redirect_uri.
	RedirectURIs []string

	// Scopes are the scopes that the application may request. If Scopes is empty,
	// it may request Gumroad's public scopes, as a new application may.
	Scopes []string

	// Confidential is whether the application must send its secret. If the user
	// granted a confidential application the same scopes before, the server skips
	// the authorization page.
	Confidential bool
}

// publicScopes are the scopes of a new application at Gumroad: the documented
// ones and two more.
var publicScopes = []string{
	gumroad.ScopeViewProfile, gumroad.ScopeEditProfile, gumroad.ScopeEditProducts, gumroad.ScopeEditEmails,
	gumroad.ScopeViewSales, gumroad.ScopeViewPayouts, gumroad.ScopeViewTaxData, gumroad.ScopeMarkSalesAsShipped,
	gumroad.ScopeEditSales, gumroad.ScopeAccount, "ifttt", "revenue_share",
}

// SetApplication replaces the application, except for its credentials and for the
// callback URLs that [Server.Provider] registered. Existing tokens and codes stay
// valid.
func (s *Server) SetApplication(app Application) {
	app.RedirectURIs = slices.Clone(app.RedirectURIs)
	app.Scopes = slices.Clone(app.Scopes)
	if len(app.Scopes) == 0 {
		app.Scopes = publicScopes
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app = app
}

// Provider returns a provider that logs in to this server, and registers its
// callback URL with the application. Without scopes it asks for view_profile, as
// [gumroad.New] does.
func (s *Server) Provider(callbackURL string, scopes ...string) *gumroad.Provider {
	s.mu.Lock()
	if !slices.Contains(s.callbacks, callbackURL) {
		s.callbacks = append(s.callbacks, callbackURL)
	}
	s.mu.Unlock()
	return gumroad.NewCustomisedURL(s.ClientID, s.ClientSecret, callbackURL,
		s.URL+AuthorizePath, s.URL+TokenPath, s.URL+UserPath, scopes...)
}

// checkRedirectURI returns why Gumroad refuses the redirect URI, or "". The caller
// holds s.mu.
func (s *Server) checkRedirectURI(uri string) string {
	if reason := malformed(uri); reason != "" {
		return reason
	}
	registered := slices.Concat(s.app.RedirectURIs, s.callbacks)
	if !slices.ContainsFunc(registered, func(r string) bool { return sameRedirectURI(uri, r) }) {
		return fmt.Sprintf("is not registered; registered are %q", registered)
	}
	return ""
}

// malformed returns why Doorkeeper never accepts the redirect URI, or "".
func malformed(uri string) string {
	address, err := url.Parse(uri)
	switch {
	case strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r) }):
		return "has a blank or another character that must be percent-encoded"
	case err != nil:
		return "is not a URL"
	case address.Scheme == "" || address.Scheme == "localhost":
		return "has no scheme, such as https://"
	case slices.Contains([]string{"javascript", "data", "vbscript"}, address.Scheme):
		return "has a scheme that is forbidden"
	case address.Opaque != "":
		return "has no // after the scheme"
	case (address.Scheme == "http" || address.Scheme == "https") && address.Hostname() == "":
		return "has no host"
	case strings.Contains(uri, "#"):
		return "has a fragment"
	}
	return ""
}

// sameRedirectURI compares as Doorkeeper does: exactly, except for an added query
// and for the port of a loopback address.
func sameRedirectURI(given, registered string) bool {
	g, err := url.Parse(given)
	if err != nil {
		return false
	}
	r, err := url.Parse(registered)
	if err != nil {
		return false
	}
	if r.RawQuery == "" {
		g.RawQuery = ""
	}
	if net.ParseIP(r.Hostname()).IsLoopback() && g.Hostname() == r.Hostname() {
		g.Host = r.Host
	}
	return g.String() == r.String()
}
