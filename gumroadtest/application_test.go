package gumroadtest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSetApplicationKeepsProviders(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	s.SetApplication(Application{RedirectURIs: []string{"https://other.example/cb"}})
	loggedIn(t, s, p)
	s.SetApplication(Application{})
	loggedIn(t, s, p)
	_, err := s.Authorize(s.URL + AuthorizePath + "?client_id=" + s.ClientID + "&redirect_uri=https://other.example/cb&scope=view_profile")
	assert.ErrorContains(t, err, "invalid_redirect_uri", "what SetApplication registered is replaced")
}

func TestSetApplicationCopies(t *testing.T) {
	s := NewServer()
	defer s.Close()
	app := Application{RedirectURIs: []string{callbackURL}, Scopes: []string{"view_sales"}}
	s.SetApplication(app)
	app.RedirectURIs[0], app.Scopes[0] = "changed", "changed"
	_, err := s.Authorize(s.URL + AuthorizePath + "?client_id=" + s.ClientID + "&redirect_uri=" + callbackURL + "&scope=view_sales")
	assert.NoError(t, err)
}

// A confidential application must send its secret. NewServer's is not confidential.
func TestConfidential(t *testing.T) {
	s := NewServer()
	defer s.Close()
	assert.False(t, s.Application().Confidential)
	s.SetApplication(Application{Confidential: true})
	p := s.Provider(callbackURL)
	p.Secret = ""
	session, params := authorized(t, s, p)
	_, err := session.Authorize(p, params)
	require.ErrorContains(t, err, "invalid_client")
	s.SetApplication(Application{})
	_, err = session.Authorize(p, params)
	require.NoError(t, err)
}

// One text in the field of Gumroad's form is several redirect URIs.
func TestRedirectURIsInOneText(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.SetApplication(Application{RedirectURIs: []string{"https://a.example/cb  https://b.example/cb", callbackURL}})
	for _, uri := range []string{"https://a.example/cb", "https://b.example/cb", callbackURL} {
		_, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s, "redirect_uri="+uri))
		assert.NoError(t, err)
	}
	_, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s, "redirect_uri=https://a.example/cb%20https://b.example/cb"))
	assert.ErrorContains(t, err, "special characters percent-encoded")
}

// Application hands out what SetApplication takes.
func TestApplicationChangesInPart(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.SetApplication(Application{Name: "Shop", RedirectURIs: []string{callbackURL}, Scopes: []string{"view_profile"}})
	app := s.Application()
	app.Confidential = true
	s.SetApplication(app)
	want := Application{Name: "Shop", RedirectURIs: []string{callbackURL}, Scopes: []string{"view_profile"}, Confidential: true}
	assert.Equal(t, want, s.Application())

	s.Application().Scopes[0] = "changed"
	s.Application().RedirectURIs[0] = "changed"
	assert.Equal(t, want, s.Application(), "it is a copy")
	s.SetApplication(Application{})
	assert.Equal(t, publicScopes, s.Application().Scopes)
}

// A program calls Gumroad's API with its provider's client.
func TestProviderSetsHTTPClient(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	resp, err := p.Client().Get("https://api.gumroad.com/v2/user?access_token=" + loggedIn(t, s, p).AccessToken)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 200, resp.StatusCode)
	assert.Equal(t, UserPath, lastRequest(s).Path)
}
