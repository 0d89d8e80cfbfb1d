package gumroadtest

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// authorizationPageOf returns the page that asks for these scopes.
func authorizationPageOf(t *testing.T, s *Server, scopes string) (http.Header, string) {
	t.Helper()
	s.Provider(callbackURL)
	resp, err := http.Get(s.URL + AuthorizePath + "?" + url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {scopes}}.Encode())
	require.NoError(t, err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.Header, string(page)
}

func TestPage(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.SetApplication(Application{Name: "<b>Bold</b>", Scopes: []string{"view_sales", "view_public"}})
	s.SetUser(User{ID: "7", Email: "<i>@example.com"})
	header, page := authorizationPageOf(t, s, "view_sales view_public")
	assert.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
	assert.Equal(t, "max-age=0, private, must-revalidate", header.Get("Cache-Control"))
	for _, want := range []string{
		"<title>Authorize · Gumroad test server</title>", "<header>", "<main>", "test server", "Let <bdi>&lt;b&gt;Bold&lt;/b&gt;</bdi> use",
		`<strong dir="auto">&lt;i&gt;@example.com</strong>`, `<span dir="auto">&lt;i&gt;@example.com</span>`,
		"<li>See your sales <code>view_sales</code></li>", "<li> <code>view_public</code></li>", `<button id="authorize" class="go">Authorize</button>`, `<button id="deny">Deny</button>`,
		"You will return to <code>" + callbackURL + "</code>",
	} {
		assert.Contains(t, page, want)
	}
	for _, unwanted := range []string{"<script", "<b>Bold", "<i>@"} {
		assert.NotContains(t, page, unwanted)
	}
}

// Without a scope, the page asks for the default one.
func TestPageShowsTheDefaultScope(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.SetApplication(Application{Scopes: []string{"view_public"}})
	_, page := authorizationPageOf(t, s, "")
	assert.Contains(t, page, "<li> <code>view_public</code></li>")
}

func TestPageNamesTheUser(t *testing.T) {
	s := NewServer()
	defer s.Close()
	for _, test := range []struct {
		user  User
		title string
	}{
		{User{ID: "42", Name: "ann Ahoy", Username: "bob", Email: "cara@example.com"}, "ann Ahoy"},
		{User{ID: "42", Username: "bob", Email: "cara@example.com"}, "bob"},
		{User{ID: "42", Email: "cara@example.com"}, "cara@example.com"},
		{User{ID: "42"}, "42"},
	} {
		s.SetUser(test.user)
		_, page := authorizationPageOf(t, s, "view_profile")
		assert.Contains(t, page, `<strong dir="auto">`+test.title+"</strong>")
		assert.Contains(t, page, "Let <bdi>Test application</bdi> use")
	}
}

func TestErrorPage(t *testing.T) {
	s := NewServer()
	defer s.Close()
	header, page := authorizationPageOf(t, s, "everything")
	assert.Equal(t, "no-cache", header.Get("Cache-Control"))
	assert.Contains(t, page, "<title>Error · Gumroad test server</title>")
	assert.Contains(t, page, "<p>"+html.EscapeString(invalidScope.description)+"</p>")
	assert.NotContains(t, page, "<form")
}

func TestPageSaysWhatScopesAllow(t *testing.T) {
	s := NewServer()
	defer s.Close()
	said := map[string]bool{}
	_, page := authorizationPageOf(t, s, strings.Join(publicScopes, " "))
	for _, line := range regexp.MustCompile("<li>(.*) <code>(.*)</code></li>").FindAllStringSubmatch(page, -1) {
		said[line[1]] = true
		assert.Equal(t, line[2] == "ifttt" || line[2] == "revenue_share", line[1] == "", line[2])
	}
	assert.Len(t, said, 11, "ten scopes, and nothing for the other two")
	assert.True(t, said["See your name, email, picture and products"])
	assert.Equal(t, len(publicScopes), strings.Count(page, "<li>"))
}
