package gumroad

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/markbates/goth"
)

// FetchUser asks Gumroad who the user of this session is. It makes one request, or
// none if the session has no access token yet. The session is a [*Session], or a
// value of a type that embeds one.
//
// FetchUser returns an error rather than a user without a UserID. The other fields
// can be empty, as the scopes and the user allow:
//
//   - UserID is Gumroad's id, the "unique identifier for the user". It is the
//     user_id ("alternate user ID, not currently used") only if there is no id.
//   - Name is the name, or else the username.
//   - NickName is the username at Gumroad, from the address of the user's page. No
//     two users have the same one at a time, but a user can change it and another
//     can take it then, so it does not identify an account.
//   - Email is what the user typed. Gumroad gives it whether or not the user
//     confirmed it. Never join accounts by it: anyone can type anyone's.
//   - Description is the bio.
//   - AvatarURL is the picture. A user who has none gets Gumroad's default.
//   - RawData is the whole answer, as encoding/json decodes it. It has the Twitter
//     handle, for example.
//
// The error is an [*Error] that wraps [ErrUnauthorized] if Gumroad no longer
// accepts the access token. It is another [*Error] if Gumroad answered anything
// else but success, such as 403 for a token without a scope that grants read access
// to the user. It is an error of another type if there was no answer within
// [RequestTimeout], or if the answer has more than 2 MiB or is not what Gumroad
// documents.
func (p *Provider) FetchUser(session goth.Session) (goth.User, error) {
	if err := p.check(fetching); err != nil {
		return goth.User{}, err
	}
	// A type that embeds *Session has this method too.
	found, _ := session.(interface{ gumroad() *Session })
	var s *Session
	if found != nil {
		s = found.gumroad()
	}
	if s == nil {
		return goth.User{}, fmt.Errorf("gumroad: %s: the session is %s, want a *gumroad.Session that is not nil", fetching, typeOf(session))
	}
	if s.AccessToken == "" {
		return goth.User{}, errors.New("gumroad: " + fetching + ": the session has no access token; call Authorize first")
	}
	if strings.ContainsFunc(s.AccessToken, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return goth.User{}, errors.New("gumroad: " + fetching + ": the access token has a character that cannot be in a header (the user must log in again)")
	}
	r := &request{doing: fetching, url: p.ProfileURL, bearer: s.AccessToken, client: p.HTTPClient, stall: p.stall,
		secrets: []string{p.Secret, s.AccessToken, s.RefreshToken}}
	answer, body, err := r.send(context.Background())
	if err != nil {
		return goth.User{}, err
	}
	if answer["success"] != true {
		return goth.User{}, newError(fetching, http.StatusOK, "", "no success", objectBody, nil)
	}
	fields, _ := answer["user"].(map[string]any)
	id, err := identity(fields, body)
	if err != nil {
		return goth.User{}, fail(fetching, err, "check for a newer version of this package, or try again later", "", nil)
	}
	user := goth.User{
		RawData:      answer,
		Provider:     p.name,
		UserID:       id,
		Name:         firstText(fields, "name"),
		NickName:     username(firstText(fields, "url")),
		Email:        firstText(fields, "email"),
		Description:  firstText(fields, "bio"),
		AvatarURL:    firstText(fields, "profile_picture_url", "profile_url"),
		AccessToken:  s.AccessToken,
		RefreshToken: s.RefreshToken,
		ExpiresAt:    s.ExpiresAt,
	}
	// Gumroad puts the id there for a user without a name and a username.
	if name := firstText(fields, "display_name"); user.Name == "" && name != id && !strings.Contains(name, "@") {
		user.Name = name
	}
	return user, nil
}

// gumroad returns s. It is how FetchUser finds the Session in a type that embeds
// one.
func (s *Session) gumroad() *Session { return s }

// identity returns what tells this user from every other one.
func identity(fields map[string]any, body []byte) (string, error) {
	for _, field := range []string{"id", "user_id"} {
		switch id := fields[field].(type) {
		case string:
			if id == "" {
				continue
			}
			// Not a blank, nor what a database might cut off.
			if !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
				return id, nil
			}
		case float64:
			// Not 1e3 or 1.0: one user could then come with two identities.
			if number := string(exact(body, "user", field)); strings.Trim(number, digits) == "" {
				return number, nil
			}
		case nil:
			// A number that is too large for a float64 is nil too.
			if text := string(exact(body, "user", field)); text == "" || text == "null" {
				continue
			}
		}
		// Another field would make another account of the same user.
		return "", errors.New("a user whose " + field + " cannot be read")
	}
	return "", errors.New("a user without an id")
}

const (
	digits          = "0123456789"
	digitsOrLetters = digits + "abcdefghijklmnopqrstuvwxyz"
)

// username returns the username in the address of a user's page: the subdomain,
// or in the older form the path. A user who chose none has only the id there,
// which is no username.
func username(pageURL string) string {
	address, isHTTPS := strings.CutPrefix(strings.TrimSuffix(pageURL, "/"), "https://")
	name, isPage := strings.CutSuffix(address, ".gumroad.com")
	// A host cannot have the "_" of an older username. Gumroad writes "-" there.
	name = strings.ReplaceAll(name, "-", "_")
	if !isPage {
		name, isPage = strings.CutPrefix(address, "gumroad.com/")
	}
	if !isHTTPS || !isPage || strings.Trim(name, digitsOrLetters+"_") != "" || strings.Trim(name, digits) == "" {
		return ""
	}
	return name
}
