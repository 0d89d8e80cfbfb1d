package gumroadtest

import (
	"cmp"
	"crypto/md5"
	_ "embed"
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
	// changes. Users with the same ID are one user. If ID is empty, SetUser derives
	// one from Username, Email and Name.
	ID string

	// AlternateID is the field user_id, which Gumroad documents as not used. If it
	// is empty, the server derives one from ID.
	AlternateID string

	// Name is the fields name and display_name. If Name is empty, display_name is
	// Username or, failing that, ID.
	Name string

	// Username is the beginning of the host of the user's page. In the host, _
	// becomes -. If Username is empty, the host begins with ID.
	Username string

	// Email is the email address. It may be unconfirmed.
	Email string

	Bio string

	// Picture is the URL of the picture. It is the field profile_picture_url and, if
	// the scope allows it, profile_url. If it is empty, both are the URL of a default
	// picture on this server.
	Picture string

	// OldPicture leaves profile_picture_url out, as Gumroad did before March
	// 2026.
	OldPicture bool

	TwitterHandle string
	Products      []string // their permalinks
}

// clone returns a copy that shares nothing.
func (u *User) clone() User {
	copied := *u
	copied.Products = slices.Clone(u.Products)
	return copied
}

// SetUser replaces the user who is logged in at Gumroad. Existing tokens stay with
// their user. If an earlier user has the same ID, SetUser replaces that user's
// profile.
func (s *Server) SetUser(user User) {
	if user.ID == "" {
		sum := md5.Sum([]byte(user.Username + "\n" + user.Email + "\n" + user.Name))
		user.ID = fmt.Sprint(binary.BigEndian.Uint64(sum[:]) % 1e13)
	}
	user = user.clone()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = user.ID
	s.users.put(user.ID, &user)
}

// User returns the user who is logged in at Gumroad.
func (s *Server) User() User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users.get(s.user).clone()
}

// The scopes that decide what a token may read of its user.
var (
	mayNotRead = []string{gumroad.ScopeEditProfile, gumroad.ScopeEditEmails, "refund_sales"}
	mayReadAll = []string{gumroad.ScopeViewProfile, gumroad.ScopeEditProducts, gumroad.ScopeViewSales, "revenue_share", "ifttt"}
)

func mayReadUser(scopes []string) bool {
	return slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(mayNotRead, scope) })
}

func (s *Server) serveUser(w http.ResponseWriter, r *http.Request) {
	caller := r.Context().Value(tokenKey{}).(*caller)
	w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate")
	if !caller.exists {
		writeJSON(w, http.StatusOK, map[string]any{"success": false, "message": "The user was not found."})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"success": true, "user": caller.user.answer(caller.scopes, s.URL+picturePath)})
}

// answer returns what a token with these scopes may read.
func (u *User) answer(scopes []string, defaultPicture string) map[string]any {
	id := md5.Sum([]byte(u.ID))
	picture := cmp.Or(u.Picture, defaultPicture)
	answer := map[string]any{
		"id":      u.ID,
		"user_id": cmp.Or(u.AlternateID, base64.URLEncoding.EncodeToString(id[:])),
		// A host name cannot contain the _ of an older username.
		"url":   "https://" + strings.ReplaceAll(cmp.Or(u.Username, u.ID), "_", "-") + ".gumroad.com",
		"links": u.Products,
	}
	all := slices.ContainsFunc(scopes, func(scope string) bool { return slices.Contains(mayReadAll, scope) })
	for field, value := range map[string]string{"name": u.Name, "bio": u.Bio, "twitter_handle": u.TwitterHandle} {
		if value != "" || all {
			answer[field] = orNull(value)
		}
	}
	if !u.OldPicture {
		answer["profile_picture_url"] = picture
	}
	if all {
		answer["currency_type"] = "usd"
		answer["profile_url"] = picture
		answer["email"] = orNull(u.Email)
	}
	if slices.Contains(scopes, gumroad.ScopeViewProfile) {
		answer["display_name"] = cmp.Or(u.Name, u.Username, u.ID)
	}
	return answer
}

// orNull returns the text, or null for an empty one.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// picturePath is the path of the default picture. Gumroad uses the same file name.
const picturePath = "/images/gumroad-default-avatar-5.png"

//go:embed gumroad-default-avatar-5.png
var defaultPicture []byte

func servePicture(w http.ResponseWriter, _ *http.Request) {
	w.Write(defaultPicture)
}
