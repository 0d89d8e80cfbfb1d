package gumroadtest

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strings"
)

// checkRedirectURI returns why Gumroad refuses the redirect URI, or nil. The caller
// holds s.mu.
func (s *Server) checkRedirectURI(uri string) *oauthError {
	if reason := malformed(uri); reason != "" {
		return invalidRedirectURI.because("%q %s", uri, reason)
	}
	registered := s.redirectURIs()
	if !slices.ContainsFunc(registered, func(r string) bool { return sameRedirectURI(uri, r) }) {
		return invalidRedirectURI.because("%q is not registered; registered are %q", uri, registered)
	}
	return nil
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

// sameRedirectURI compares as Doorkeeper does: both in their normal form, and
// without an added query and the port of a loopback address.
func sameRedirectURI(given, registered string) bool {
	g, err := url.Parse(given)
	if err != nil {
		return false
	}
	r, err := url.Parse(registered)
	if err != nil || r.RawQuery != "" && sortedQuery(g) != sortedQuery(r) {
		return false
	}
	if isLoopback(g) && isLoopback(r) {
		g.Host, r.Host = g.Hostname(), r.Hostname()
	}
	return withoutQuery(g) == withoutQuery(r)
}

func isLoopback(u *url.URL) bool { return net.ParseIP(u.Hostname()).IsLoopback() }

func sortedQuery(u *url.URL) string {
	parameters := strings.Split(u.RawQuery, "&")
	slices.Sort(parameters)
	return strings.Join(parameters, "&")
}

// withoutQuery returns the URI in the form in which Ruby compares two, without its
// query.
func withoutQuery(u *url.URL) string {
	port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	u.Host = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(u.Host), port), ":")
	u.Path = cmp.Or(u.Path, "/")
	u.RawQuery, u.ForceQuery = "", false
	return u.String()
}
