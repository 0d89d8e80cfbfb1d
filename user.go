package gumroad

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/markbates/goth"
)

// FetchUser asks Gumroad who the user of this session is. It makes one request,
// or none if the session has no access token yet.
//
// UserID is always filled, or else FetchUser returns an error. It is Gumroad's
// id, the "unique identifier for the user", and the user_id ("alternate user ID,
// not currently used") only where there is no id. The other fields are filled as
// far as the scopes and the user allow: Name, Email, NickName (the username in
// the address of the user's page, or else the Twitter handle), Description (the
// bio), AvatarURL. RawData is the whole answer, with numbers as [json.Number].
//
// Gumroad gives Email whether or not the user confirmed it, so anyone can have
// anyone's there: never join accounts by it.
//
// The error is an [*Error] that wraps [ErrUnauthorized] if Gumroad does not take
// the access token any more, and any other [*Error] if Gumroad answered anything
// but success, such as 403 for a token with no scope that may read the user. It
// is another error if there was no answer within [RequestTimeout], or one that
// has more than 8 MiB or is not what Gumroad documents.
func (p *Provider) FetchUser(session goth.Session) (goth.User, error) {
	const doing = "fetching the user"
	s, ok := session.(*Session)
	if !ok || s == nil {
		return goth.User{}, fmt.Errorf("gumroad: %s: the session is a %T, want a *gumroad.Session that is not nil", doing, session)
	}
	if s.AccessToken == "" {
		return goth.User{}, errors.New("gumroad: " + doing + ": the session has no access token; call Authorize first")
	}
	secrets := []string{p.Secret, s.AccessToken, s.RefreshToken}
	ctx, cancel := context.WithTimeout(context.Background(), p.timeLimit())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.profileURL, nil)
	if err != nil {
		return goth.User{}, wrap(doing, err, secrets...)
	}
	req.Header.Set("Authorization", "Bearer "+s.AccessToken)
	answer, err := p.do(doing, req, secrets...)
	if err != nil {
		if refused := (*Error)(nil); errors.As(err, &refused) {
			switch refused.StatusCode {
			case http.StatusUnauthorized:
				refused.cause = ErrUnauthorized
				refused.advice = "the user must log in again"
			case http.StatusForbidden:
				refused.advice = "ask for the scope " + ScopeViewProfile + " as well"
			}
		}
		return goth.User{}, err
	}
	fields, _ := answer["user"].(map[string]any)
	if answer["success"] != true {
		return goth.User{}, newError(doing, http.StatusOK, "", cmp.Or(firstText(answer, "message"), "no success"), secrets...)
	}
	user := goth.User{
		RawData:      answer,
		Provider:     p.name,
		UserID:       identity(fields),
		Name:         firstText(fields, "name", "display_name"),
		NickName:     cmp.Or(username(firstText(fields, "url")), firstText(fields, "twitter_handle")),
		Email:        firstText(fields, "email"),
		Description:  firstText(fields, "bio"),
		AvatarURL:    firstText(fields, "profile_picture_url", "profile_url"),
		AccessToken:  s.AccessToken,
		RefreshToken: s.RefreshToken,
		ExpiresAt:    s.ExpiresAt,
	}
	if user.UserID == "" {
		return goth.User{}, wrap(doing, errors.New("a user without an id"))
	}
	return user, nil
}

// identity returns what tells this user from every other one, or "" where the
// answer leaves a doubt.
func identity(fields map[string]any) string {
	for _, field := range []string{"id", "user_id"} {
		switch id := fields[field].(type) {
		case json.Number:
			// Not 1e3 or 1.0: one user could then come with two identities.
			if strings.Trim(id.String(), digits) == "" {
				return id.String()
			}
		case string:
			// Not a blank, nor what a database might cut off.
			if id != "" && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
				return id
			}
		}
	}
	return ""
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
	if !isPage {
		name, isPage = strings.CutPrefix(address, "gumroad.com/")
	}
	if !isHTTPS || !isPage || strings.Trim(name, digitsOrLetters) != "" || strings.Trim(name, digits) == "" {
		return ""
	}
	return name
}
