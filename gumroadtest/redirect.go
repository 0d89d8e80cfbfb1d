package gumroadtest

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strings"
)

// sameRedirectURI compares as Doorkeeper does, which ignores an added query and the
// port of a loopback address.
func sameRedirectURI(given, registered string) bool {
	g, r := parseRedirectURI(given), parseRedirectURI(registered)
	if g == nil || r == nil || r.RawQuery != "" && g.RawQuery != r.RawQuery {
		return false
	}
	if net.ParseIP(r.Hostname()).IsLoopback() {
		g.Host, r.Host = g.Hostname(), r.Hostname()
	}
	g.RawQuery, r.RawQuery = "", ""
	return g.String() == r.String()
}

// parseRedirectURI returns the URI in the normal form in which Ruby compares two. It
// returns nil if Gumroad never accepts the URI.
func parseRedirectURI(uri string) *url.URL {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || u.Opaque != "" || strings.Contains(uri, "#") ||
		slices.Contains([]string{"localhost", "javascript", "data", "vbscript"}, u.Scheme) ||
		(u.Scheme == "http" || u.Scheme == "https") && u.Hostname() == "" ||
		strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r) }) {
		return nil
	}
	port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	u.Host = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(u.Host), port), ":")
	u.Path = cmp.Or(u.Path, "/")
	query := strings.Split(u.RawQuery, "&")
	slices.Sort(query)
	u.RawQuery, u.ForceQuery = strings.Join(query, "&"), false
	return u
}
