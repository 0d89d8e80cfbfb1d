package gumroad

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/markbates/goth"
)

// FetchUser asks Gumroad who the user of this session is. The session must be a
// [*Session]. FetchUser makes one request, or none if the session has no access token
// yet.
//
// UserID is never empty: if the response has no id that can be read, FetchUser returns
// an error. The other fields can be empty.
//
//   - UserID is Gumroad's id, the "unique identifier for the user". It is the
//     user_id ("alternate user ID, not currently used") only if there is no id.
//   - Name is the name or, if the user has none, the username.
//   - NickName is the username at Gumroad, from the URL of the user's page. If the
//     user chose none, Gumroad may have made it from the email address. A username
//     does not identify an account: a user can change it, and another can take it.
//   - Email is the address that the user entered. It may be unconfirmed, and anyone
//     can enter somebody else's address, so never use it to match accounts.
//   - Description is the bio.
//   - AvatarURL is the picture, or Gumroad's default picture.
//   - RawData is the whole response, as encoding/json decodes it. A number that no
//     float64 holds is nil. The Twitter handle is only there.
//
// If Gumroad no longer accepts the access token, the error is an [*Error] that wraps
// [ErrUnauthorized]. If Gumroad refuses for another reason, it is another [*Error],
// such as 403 for a token whose scopes do not grant read access to the user. If there
// is no response within [RequestTimeout], or it is longer than 2 MiB or is not what
// Gumroad documents, the error is of another type.
func (p *Provider) FetchUser(session goth.Session) (goth.User, error) {
	if err := p.check(fetching); err != nil {
		return goth.User{}, err
	}
	s, ok := session.(*Session)
	if !ok || s == nil || s.AccessToken == "" {
		return goth.User{}, errors.New("gumroad: " + fetching + ": this is not a *gumroad.Session with an access token; call Authorize first")
	}
	if strings.ContainsFunc(s.AccessToken, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return goth.User{}, errors.New("gumroad: " + fetching + ": the access token has a character that cannot be in a header (the user must log in again)")
	}
	r := &request{Provider: p, doing: fetching, url: p.ProfileURL, bearer: s.AccessToken, secrets: [3]string{p.Secret, s.AccessToken, s.RefreshToken}}
	answer, err := r.send(context.Background())
	if err != nil {
		return goth.User{}, err
	}
	fields, _ := answer["user"].(map[string]any)
	id, err := identity(fields)
	if err != nil {
		return goth.User{}, r.fail(err)
	}
	user := goth.User{
		RawData:      plain(answer).(map[string]any),
		Provider:     p.name,
		UserID:       id,
		Name:         firstText(fields, "name"),
		NickName:     username(firstText(fields, "url")),
		Email:        firstText(fields, "email"),
		Description:  firstText(fields, "bio"),
		AvatarURL:    firstText(fields, "profile_picture_url", "profile_url"),
		AccessToken:  strings.Clone(s.AccessToken), // the caller's
		RefreshToken: strings.Clone(s.RefreshToken),
		ExpiresAt:    s.ExpiresAt,
	}
	// If the user has neither a name nor a username, display_name is the id.
	name := firstText(fields, "display_name")
	if user.Name == "" && name != id && name != firstText(fields, "user_id") && !strings.Contains(name, "@") {
		user.Name = name
	}
	return user, nil
}

// identity returns the id of the user, or an error if there is none or it cannot be
// read.
func identity(fields map[string]any) (string, error) {
	for _, field := range []string{"id", "user_id"} {
		switch id := fields[field].(type) {
		case string:
			if id == "" {
				continue
			}
			// A database might cut off a blank or a NUL.
			if !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
				return id, nil
			}
		case json.Number:
			// With 1e3 and 1.0 as well, one user could have two identities.
			if strings.Trim(id.String(), digits) == "" {
				return id.String(), nil
			}
		case nil:
			continue
		}
		// With the other field, the same user would get a second account.
		return "", errors.New("the user's " + field + " cannot be read")
	}
	return "", errors.New("the user has no id")
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyz"
)

// username returns the username in the URL of a user's page, which is the subdomain
// or, in the older form, the path. It returns "" if the user has none, because the URL
// has the id in its place.
func username(pageURL string) string {
	page, isHTTPS := strings.CutPrefix(strings.TrimSuffix(pageURL, "/"), "https://")
	name, isPage := strings.CutSuffix(page, ".gumroad.com")
	// Older usernames can have a "_". Gumroad writes it as "-" in the host.
	name = strings.ReplaceAll(name, "-", "_")
	if !isPage {
		name, isPage = strings.CutPrefix(page, "gumroad.com/")
	}
	if !isHTTPS || !isPage || name == "www" || strings.Trim(name, letters+digits+"_") != "" || !strings.ContainsAny(name, letters) {
		return ""
	}
	return name
}
