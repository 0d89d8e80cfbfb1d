package gumroadtest

import (
	"encoding/json"
	"net/http"
	"testing"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUserByScope(t *testing.T) {
	s := NewServer()
	defer s.Close()
	app := s.Application()
	app.Scopes = append(app.Scopes, "view_public", "refund_sales")
	s.SetApplication(app)
	for scope, want := range map[string][3]string{ // email, picture in profile_url, display_name
		gumroad.ScopeViewProfile:  {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", "John Smith"},
		gumroad.ScopeEditProducts: {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", ""},
		gumroad.ScopeViewSales:    {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", ""},
		"revenue_share":           {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", ""},
		"ifttt":                   {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", ""},
		gumroad.ScopeAccount:      {"johnsmith@gumroad.com", "https://public-files.gumroad.com/john.png", "John Smith"},
		gumroad.ScopeViewPayouts:  {},
		"view_public":             {},
	} {
		p := s.Provider(callbackURL, scope)
		user, err := p.FetchUser(loggedIn(t, s, p))
		require.NoError(t, err, scope)
		assert.Equal(t, s.User().ID, user.UserID, scope)
		assert.Equal(t, "https://public-files.gumroad.com/john.png", user.AvatarURL, scope)
		fields := user.RawData["user"].(map[string]any)
		for i, field := range []string{"email", "profile_url", "display_name"} {
			text, _ := fields[field].(string)
			assert.Equal(t, want[i], text, "%s with %s", field, scope)
		}
	}
	for _, scope := range []string{gumroad.ScopeEditProfile, gumroad.ScopeEditEmails, "refund_sales"} {
		p := s.Provider(callbackURL, scope)
		_, err := p.FetchUser(loggedIn(t, s, p))
		var refused *gumroad.Error
		require.ErrorAs(t, err, &refused, scope)
		assert.Equal(t, http.StatusForbidden, refused.StatusCode, scope)
	}
}

// userAnswer returns what /v2/user answers to a token with these scopes.
func userAnswer(t *testing.T, s *Server, scopes ...string) map[string]any {
	t.Helper()
	resp, body := call(t, http.MethodGet, s.URL+UserPath, tokenFor(t, s, scopes...))
	require.Equal(t, 200, resp.StatusCode)
	assert.Equal(t, "max-age=0, private, must-revalidate", resp.Header.Get("Cache-Control"))
	var answer struct {
		Success bool
		User    map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	assert.True(t, answer.Success)
	return answer.User
}

func TestUserFields(t *testing.T) {
	s := NewServer()
	defer s.Close()
	all := map[string]any{
		"id": "6754923450134", "user_id": "ABC", "url": "https://sailorjohn.gumroad.com", "links": []any{"knots", "ropes"},
		"name": "John Smith", "bio": "a sailor, a tailor", "twitter_handle": "sailor_john", "currency_type": "usd", "email": "johnsmith@gumroad.com",
		"profile_url": "https://public-files.gumroad.com/john.png", "profile_picture_url": "https://public-files.gumroad.com/john.png", "display_name": "John Smith",
	}
	for _, scope := range []string{"view_profile", "account"} {
		user := userAnswer(t, s, scope)
		assert.Regexp(t, `^[\w-]{22}==$`, user["user_id"])
		user["user_id"] = "ABC"
		assert.Equal(t, all, user, scope)
	}
	for _, field := range []string{"currency_type", "email", "profile_url", "display_name"} {
		delete(all, field)
	}
	user := userAnswer(t, s, "view_payouts")
	user["user_id"] = "ABC"
	assert.Equal(t, all, user)

	// A user who filled nothing in.
	s.SetUser(User{ID: "42", AlternateID: "alternate=="})
	assert.Equal(t, map[string]any{
		"id": "42", "user_id": "alternate==", "url": "https://42.gumroad.com", "links": nil, "name": nil, "bio": nil, "twitter_handle": nil,
		"currency_type": "usd", "email": nil, "profile_url": defaultPicture, "profile_picture_url": defaultPicture, "display_name": "42",
	}, userAnswer(t, s, "account"))
	assert.Equal(t, map[string]any{"id": "42", "user_id": "alternate==", "url": "https://42.gumroad.com", "links": nil, "profile_picture_url": defaultPicture}, userAnswer(t, s, "view_payouts"))

	s.SetUser(User{ID: "42", Username: "sailor_john_2"})
	user = userAnswer(t, s, "view_profile")
	assert.Equal(t, "https://sailor-john-2.gumroad.com", user["url"], "a host has no _")
	assert.Equal(t, "sailor_john_2", user["display_name"])
}

func TestUsersAreCopied(t *testing.T) {
	s := NewServer()
	defer s.Close()
	products := []string{"knots"}
	s.SetUser(User{ID: "42", Products: products})
	products[0] = "changed"
	s.User().Products[0] = "changed"
	assert.Equal(t, "knots", s.User().Products[0])
}

func TestUsersOneAfterTheOther(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	john := loggedIn(t, s, p)
	s.SetUser(User{ID: "42", Name: "Jane Doe"})
	jane := loggedIn(t, s, p)

	for session, name := range map[*gumroad.Session]string{john: "John Smith", jane: "Jane Doe"} {
		user, err := p.FetchUser(session)
		require.NoError(t, err)
		assert.Equal(t, name, user.Name)
	}
	s.SetUser(User{ID: "42", Name: "Jane Smith"})
	user, err := p.FetchUser(jane)
	require.NoError(t, err)
	assert.Equal(t, "Jane Smith", user.Name, "a profile that changed")
}

func TestUsersWithoutAnID(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	ids := map[string]bool{}
	for _, user := range []User{{Name: "Ann"}, {Name: "Bob"}, {Username: "bob"}, {Email: "bob@example.com"}, {}} {
		s.SetUser(user)
		fetched, err := p.FetchUser(loggedIn(t, s, p))
		require.NoError(t, err)
		require.Regexp(t, `^\d{1,13}$`, fetched.UserID)
		ids[fetched.UserID] = true
	}
	assert.Len(t, ids, 5)
}
