package gumroadtest

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A new application may ask for all public scopes, which view_public is not.
func TestPublicScopes(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	page := s.URL + AuthorizePath + "?client_id=" + s.ClientID + "&redirect_uri=" + callbackURL + "&scope="
	_, err := s.Authorize(page + "view_profile+edit_profile+edit_products+edit_emails+view_sales+view_payouts+view_tax_data+mark_sales_as_shipped+edit_sales+account+ifttt+revenue_share")
	assert.NoError(t, err)
	for _, scope := range []string{"view_public", "refund_sales", "everything"} {
		_, err = s.Authorize(page + scope)
		assert.ErrorContains(t, err, "invalid_scope", scope)
	}
}

func TestSetApplicationPanicsForAnUnknownScope(t *testing.T) {
	s := NewServer()
	defer s.Close()
	assert.PanicsWithValue(t, `gumroadtest: SetApplication: Gumroad has no scope "view_profil"`, func() { s.SetApplication(Application{Scopes: []string{"account", "view_profil"}}) })
	assert.NotPanics(t, func() {
		s.SetApplication(Application{Scopes: []string{"account", "ifttt", "view_public", "refund_sales"}})
	})
}

// An application that was registered before March 2026 may not ask for account.
func TestOldApplication(t *testing.T) {
	s := NewServer()
	defer s.Close()
	app := s.Application()
	app.Scopes = []string{"view_profile", "edit_products"}
	s.SetApplication(app)
	s.Provider(callbackURL)
	_, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s, "scope=view_profile+account"))
	assert.EqualError(t, err, `gumroadtest: opening the authorization page: invalid_scope: The requested scope is invalid, unknown, or malformed. (the scope "account" is not allowed; allowed are ["view_profile" "edit_products"])`)
}

// Each request passed in an earlier version and is refused by Gumroad.
func TestScopesAreSeparatedByBlanks(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL, "view_profile", "view_sales")
	session := loggedIn(t, s, p)
	for name, separator := range map[string]string{
		"newline": "\n", "tab": "\t", "carriage return": "\r", "no-break space": "\u00a0", "next line": "\u0085", "comma": ",",
	} {
		scope := "scope=" + url.QueryEscape("view_profile"+separator+"view_sales")
		_, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s, scope))
		assert.ErrorContains(t, err, "invalid_scope", name)
		assert.Equal(t, 400, get(t, s.URL+AuthorizePath+"?"+pageQuery(s, scope)).status, name)
		status, answer := post(t, s.URL+TokenPath, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {session.RefreshToken},
			"client_id": {s.ClientID}, "scope": {"view_profile" + separator + "view_sales"}})
		assert.Equal(t, 400, status, name)
		assert.Equal(t, "invalid_scope", answer["error"], name)
	}
	for _, good := range []string{"view_profile+view_sales", "++view_profile++view_sales+", "view_profile%0Bview_sales", "view_profile%0Cview_sales"} {
		_, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s, "scope="+good))
		assert.NoError(t, err, good)
	}
	_, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s, "scope=view_profile%0Aview_sales"))
	assert.ErrorContains(t, err, `(the scopes in "view_profile\nview_sales" are not separated by blanks)`)
}

func TestHandlePanicsForAnUnknownScope(t *testing.T) {
	s := NewServer()
	defer s.Close()
	for _, scopes := range [][]string{{"view_sale"}, {"view_sales", "view_sale"}} {
		assert.PanicsWithValue(t, `gumroadtest: Handle: Gumroad has no scope "view_sale"`, func() { s.Handle("GET /sales", http.NotFoundHandler(), scopes...) })
	}
	assert.PanicsWithValue(t, `gumroadtest: Handle: Gumroad has no scope "no token"`, func() { s.Handle("GET /sales", http.NotFoundHandler(), "view_sales", NoToken) })
}
