package gumroadtest

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strings"

	gumroad "github.com/gumroad/goth-gumroad"
)

// User is a user of Gumroad. For an empty field, the server does as Gumroad does: it
// returns null or a default, or leaves the field out.
type User struct {
	// ID identifies the user. At Gumroad it is a string of digits that never
	// changes. If it is empty, the server derives one from Username, Email and Name.
	ID string

	// AlternateID is the field user_id, which Gumroad documents as not used. If it
	// is empty, the server derives one from ID.
	AlternateID string

	// Name is the fields name and display_name. If Name is empty, display_name is
	// Username or, failing that, ID.
	Name string

	// Username is the beginning of the host of the user's page, in which _ becomes
	// -. Gumroad makes one from the email address for users who chose none. If it is
	// empty, the host begins with ID, as for some older accounts.
	Username string

	// Email is the email address, which may be unconfirmed. A user who signed up
	// with X, Google, Apple or Stripe may have none.
	Email string

	// Picture is the URL of the picture, for the fields profile_picture_url and
	// profile_url. If it is empty, they are the URL of Gumroad's default picture.
	Picture string

	Bio, TwitterHandle string
	Products           []string // their permalinks
}

// defaultPicture is the URL of the default picture. Gumroad uses this file name.
const defaultPicture = "https://assets.gumroad.com/images/gumroad-default-avatar-5.png"

// clone returns a copy that shares nothing.
func (u User) clone() User {
	u.Products = slices.Clone(u.Products)
	return u
}

// SetUser replaces the user who is logged in at Gumroad. Existing tokens stay with
// their user. A user with the same ID as an earlier one replaces that one's profile.
func (s *Server) SetUser(user User) {
	defer s.lock()()
	s.user = s.keep(user)
}

// User returns the user who is logged in at Gumroad.
func (s *Server) User() User {
	defer s.lock()()
	return s.users[s.user].clone()
}

// keep adds or replaces a user and returns the user's id. The caller holds s.mu.
func (s *Server) keep(user User) (id string) {
	if user.ID == "" {
		sum := sha256.Sum256([]byte(user.Username + "\n" + user.Email + "\n" + user.Name))
		user.ID = fmt.Sprint(binary.BigEndian.Uint64(sum[:]) % 1e13)
	}
	s.users[user.ID] = user.clone()
	return user.ID
}

// The scopes that decide what a token may read of its user.
var (
	mayRead = slices.DeleteFunc(slices.Concat(publicScopes, otherScopes), func(scope string) bool {
		return scope == gumroad.ScopeEditProfile || scope == gumroad.ScopeEditEmails || scope == "refund_sales"
	})
	mayReadAll = []string{gumroad.ScopeViewProfile, gumroad.ScopeAccount, gumroad.ScopeEditProducts, gumroad.ScopeViewSales, "revenue_share", "ifttt"}
)

// serveUser answers with what the access token may read.
func serveUser(w http.ResponseWriter, r *http.Request) {
	caller := r.Context().Value(callerKey{}).(caller)
	u, all := caller.user, overlap(caller.scopes, mayReadAll)
	id := sha256.Sum256([]byte(u.ID))
	picture := cmp.Or(u.Picture, defaultPicture)
	answer := map[string]any{
		"id":      u.ID,
		"user_id": cmp.Or(u.AlternateID, base64.URLEncoding.EncodeToString(id[:16])),
		// A host name cannot contain the _ of an older username.
		"url":                 "https://" + strings.ReplaceAll(cmp.Or(u.Username, u.ID), "_", "-") + ".gumroad.com",
		"links":               u.Products,
		"profile_picture_url": picture,
	}
	texts := map[string]string{"name": u.Name, "bio": u.Bio, "twitter_handle": u.TwitterHandle}
	if all {
		answer["currency_type"] = "usd"
		answer["profile_url"] = picture
		texts["email"] = u.Email
	}
	for field, text := range texts {
		if text != "" {
			answer[field] = text
		} else if all {
			answer[field] = nil
		}
	}
	if overlap(caller.scopes, []string{gumroad.ScopeViewProfile, gumroad.ScopeAccount}) {
		answer["display_name"] = cmp.Or(u.Name, u.Username, u.ID)
	}
	w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate")
	writeJSON(w, http.StatusOK, map[string]any{"success": true, "user": answer})
}
