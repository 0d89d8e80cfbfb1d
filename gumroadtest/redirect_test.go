package gumroadtest

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRedirectURIs(t *testing.T) {
	for uri, accepted := range map[string]bool{
		"https://app.example/cb":              true,
		"http://localhost:3000/cb":            true,
		"http://127.0.0.1:3000/auth/cb?a=b#":  false,
		"https://app.example/cb?next=%2Fhome": true,
		"http://[::1]:3000/cb":                true,
		"myapp://cb":                          true,
		"myapp:/cb":                           true,
		"https://app.example":                 true,
		"":                                    false,
		"/auth/gumroad/callback":              false,
		"//app.example/cb":                    false,
		"app.example/cb":                      false,
		"localhost:3000/cb":                   false,
		"localhost://cb":                      false,
		"127.0.0.1:3000/cb":                   false,
		"http://app/%zz":                      false,
		"http:///cb":                          false,
		"https:///cb":                         false,
		"http:/cb":                            false,
		"http://:3000/cb":                     false,
		"http://app/#/cb":                     false,
		"myapp:cb":                            false,
		"https:app.example/cb":                false,
		"javascript:alert(1)":                 false,
		"JavaScript://app/%0Aalert(1)":        false,
		"data:text/html,a":                    false,
		"vbscript:a":                          false,
		"https://app.example/c b":             false,
		" https://app.example/cb":             false,
		"https://app.example/cb\n":            false,
		"https://app.example/cb\x7f":          false,
		"https://app.example/ü":               false,
		"https://bücher.example/cb":           false,
		"https://app.example/{id}":            false,
		"https://app.example/cb!":             true,
		"https://app.example/cb~":             true,
	} {
		t.Run(uri, func(t *testing.T) {
			s := NewServer()
			defer s.Close()
			s.SetApplication(Application{RedirectURIs: []string{uri}})
			s.Provider(uri)
			authURL := AuthorizePath + "?" + url.Values{"client_id": {s.ClientID}, "redirect_uri": {uri}, "scope": {"view_profile"}}.Encode()
			for _, page := range []string{s.URL, "https://gumroad.com"} {
				back, err := s.Authorize(page + authURL)
				if accepted {
					require.NoError(t, err)
					assert.Contains(t, back, uri)
					continue
				}
				assert.ErrorContains(t, err, "gumroadtest: opening the authorization page: invalid_redirect_uri: The requested redirect uri is malformed or doesn't match client redirect URI. (")
				assert.ErrorContains(t, err, " is not an absolute URL with an allowed scheme, a host, no fragment, and its special characters percent-encoded)")
			}
			want := http.StatusOK
			if !accepted {
				want = http.StatusBadRequest
			}
			assert.Equal(t, want, get(t, s.URL+authURL).status)
		})
	}
}

func TestSameRedirectURI(t *testing.T) {
	for _, test := range []struct {
		given, registered string
		want              bool
	}{
		{"https://app.example/cb", "https://app.example/cb", true},
		{"https://app.example/cb/", "https://app.example/cb", false},
		{"https://app.example/cb?next=1", "https://app.example/cb", true},
		{"https://app.example/cb?next=1", "https://app.example/cb?next=1", true},
		{"https://app.example/cb?next=2", "https://app.example/cb?next=1", false},
		{"https://app.example/cb", "https://app.example/cb?next=1", false},
		{"https://app.example:444/cb", "https://app.example:443/cb", false},
		{"https://app.example/cb", "https://app.example:443/cb", true},
		{"https://app.example:443/cb", "https://app.example/cb", true},
		{"https://app.example:/cb", "https://app.example/cb", true},
		{"https://app.example:80/cb", "https://app.example/cb", false},
		{"http://app.example:80/cb", "http://app.example/cb", true},
		{"HTTPS://APP.Example/cb", "https://app.example/cb", true},
		{"https://app.example/CB", "https://app.example/cb", false},
		{"https://app.example", "https://app.example/", true},
		{"https://app.example/cb?", "https://app.example/cb", true},
		{"https://app.example/cb?b=2&a=1", "https://app.example/cb?a=1&b=2", true},
		{"https://app.example/cb?b=2", "https://app.example/cb?a=1&b=2", false},
		{"https://user@app.example/cb", "https://app.example/cb", false},
		{"http://127.0.0.1:4000/cb", "http://127.0.0.1:3000/cb", true},
		{"http://127.0.0.1/cb", "http://127.0.0.1:3000/cb", true},
		{"http://[::1]:4000/cb", "http://[::1]:3000/cb", true},
		{"http://127.0.0.1:4000/other", "http://127.0.0.1:3000/cb", false},
		{"https://127.0.0.1:4000/cb", "http://127.0.0.1:3000/cb", false},
		{"http://127.0.0.2:3000/cb", "http://127.0.0.1:3000/cb", false},
		{"http://localhost:4000/cb", "http://localhost:3000/cb", false},
		{"http://localhost:3000/cb", "http://127.0.0.1:3000/cb", false},
		{"http://192.0.2.1:4000/cb", "http://192.0.2.1:3000/cb", false},
		{"%zz", "https://app.example/cb", false},
		{"https://app.example/cb", "%zz", false},
	} {
		assert.Equal(t, test.want, sameRedirectURI(test.given, test.registered), "%s for %s", test.given, test.registered)
	}
}

// The message helps where the page at Gumroad says little.
func TestUnregisteredRedirectURI(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.SetApplication(Application{RedirectURIs: []string{"https://a.example/cb"}})
	s.Provider("https://b.example/cb")
	s.Provider("https://b.example/cb")
	_, err := s.Authorize(s.URL + AuthorizePath + "?client_id=" + s.ClientID + "&redirect_uri=https://c.example/cb")
	assert.ErrorContains(t, err, `("https://c.example/cb" is not registered; registered are ["https://a.example/cb" "https://b.example/cb"])`)
}
