package gumroadtest

import (
	"cmp"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	gumroad "github.com/gumroad/goth-gumroad"
)

// User is somebody with an account at Gumroad. What is empty is answered as
// null or left out, as Gumroad does for what a user did not fill in.
type User struct {
	// ID is the identity: digits, fixed at sign-up. Users with the same ID are
	// the same user, as they were and as they are. Where it is empty one is made
	// from Username, Email and Name.
	ID string

	// AlternateID is the user_id, which Gumroad documents as not used. Where it
	// is empty one is made from ID.
	AlternateID string

	Name string

	// Username is the first part of the page's address; a user who has chosen
	// none has the ID there.
	Username string

	// Email is what the user typed, confirmed or not.
	Email string

	Bio string

	// Picture is the picture's address, in profile_picture_url and, where the
	// scope allows it, in profile_url.
	Picture string

	// OldPicture leaves profile_picture_url out, as Gumroad did before March
	// 2026.
	OldPicture bool

	TwitterHandle string
	Products      []string // their permalinks
}

// SetUser logs somebody in at Gumroad, in place of who was. The logins that
// follow are that user's, and tokens of before stay with their user; one with
// the same ID shows the new profile from now on.
func (s *Server) SetUser(user User) {
	if user.ID == "" {
		sum := md5.Sum([]byte(user.Username + "\n" + user.Email + "\n" + user.Name))
		user.ID = fmt.Sprint(binary.BigEndian.Uint64(sum[:]) % 1e13)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = user.ID
	s.users[user.ID] = user
}

// User returns who is logged in at Gumroad.
func (s *Server) User() User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[s.user]
}

// The scopes that decide what a token may read of the user.
var (
	mayNotRead = []string{gumroad.ScopeEditProfile, gumroad.ScopeEditEmails, "refund_sales"}
	mayReadAll = []string{gumroad.ScopeViewProfile, gumroad.ScopeEditProducts, gumroad.ScopeViewSales, "revenue_share", "ifttt"}
)

func (s *Server) serveUser(w http.ResponseWriter, r *http.Request, form url.Values) {
	s.mu.Lock()
	token := s.tokens[bearer(r, form)]
	valid := token != nil && token.access == bearer(r, form) && !token.revoked
	var user User
	var scopes []string
	if valid {
		user, scopes = s.users[token.user], token.scopes
	}
	s.mu.Unlock()

	if !valid {
		description := invalidToken.description
		if token != nil && token.revoked && token.access == bearer(r, form) {
			description = "The access token was revoked"
		}
		invalidToken.challenge(w, description)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if !slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(mayNotRead, scope) }) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate")
	writeJSON(w, http.StatusOK, map[string]any{"success": true, "user": user.answer(scopes)})
}

// answer returns what a token with these scopes may read.
func (u User) answer(scopes []string) map[string]any {
	id := md5.Sum([]byte(u.ID))
	answer := map[string]any{
		"id":      u.ID,
		"user_id": cmp.Or(u.AlternateID, base64.URLEncoding.EncodeToString(id[:])),
		"url":     "https://" + cmp.Or(u.Username, u.ID) + ".gumroad.com",
		"links":   u.Products,
	}
	all := slices.ContainsFunc(scopes, func(scope string) bool { return slices.Contains(mayReadAll, scope) })
	for field, value := range map[string]string{"name": u.Name, "bio": u.Bio, "twitter_handle": u.TwitterHandle} {
		if value != "" || all {
			answer[field] = orNull(value)
		}
	}
	if !u.OldPicture {
		answer["profile_picture_url"] = orNull(u.Picture)
	}
	if all {
		answer["currency_type"] = "usd"
		answer["profile_url"] = orNull(u.Picture)
		answer["email"] = orNull(u.Email)
	}
	if slices.Contains(scopes, gumroad.ScopeViewProfile) {
		answer["display_name"] = orNull(cmp.Or(u.Name, u.Username, u.Email))
	}
	return answer
}

// orNull returns what JSON has for a text that may not be there.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
