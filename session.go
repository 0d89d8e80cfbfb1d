package gumroad

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/markbates/goth"
)

// Session is a login in progress. Once the login is complete, it has the tokens. It
// is small enough for the cookie that gothic keeps it in. A printed Session shows
// the tokens and the code verifier.
type Session struct {
	// AuthURL is the URL at Gumroad to send the user to.
	AuthURL string

	// AccessToken and RefreshToken are empty before the exchange.
	AccessToken  string
	RefreshToken string

	// ExpiresAt is zero, because Gumroad's access tokens do not expire. If Gumroad ever
	// returns a lifetime, ExpiresAt is the end of it.
	ExpiresAt time.Time

	// CodeVerifier is the secret of PKCE (RFC 7636). BeginAuth sets it, and Authorize
	// clears it. Authorize does not send an empty one, because Gumroad refuses a code
	// verifier if the login began without a challenge.
	CodeVerifier string `json:",omitempty"`
}

// GetAuthURL returns AuthURL. It returns an error if AuthURL is empty.
func (s *Session) GetAuthURL() (string, error) {
	if s == nil || s.AuthURL == "" {
		return "", errors.New("gumroad: beginning the login: " + goth.NoAuthUrlErrorMessage)
	}
	return s.AuthURL, nil
}

// Authorize completes a login from the parameters of the callback. It exchanges the
// authorization code for tokens, stores them in the session, clears the code verifier,
// and returns the access token. If it fails, the session does not change. Authorize
// makes one request, or none if the callback has an error or no code.
//
// Call Authorize on the session that [Provider.BeginAuth] returned for this login, or
// on a stored copy of it. With any other session Gumroad refuses the exchange, because
// the code verifier is not the right one. The provider must be a [*Provider], or a
// value of a type that embeds one.
//
// If the callback says that the user denied access, the error is an [*Error] that
// wraps [ErrAccessDenied]. If Gumroad refuses the exchange, it is an [*Error] with a
// code, such as "invalid_grant" for an authorization code that was used, is older than
// 10 minutes, or belongs to another login. If there is no response within
// [RequestTimeout], or none that can be read, the error is of another type.
func (s *Session) Authorize(provider goth.Provider, params goth.Params) (string, error) {
	p := find(provider)
	if p == nil {
		return "", errors.New("gumroad: " + completing + ": the provider is " + brief(fmt.Sprintf("%T", provider)) + ", want a *gumroad.Provider that is not nil, or a type that embeds one")
	}
	if s == nil || params == nil {
		return "", errors.New("gumroad: " + completing + ": the session or the callback is nil")
	}
	code := params.Get("code")
	if refusal := params.Get("error"); refusal != "" {
		return "", newError(completing, 0, refusal, params.Get("error_description"), true, []string{p.Secret, code, s.CodeVerifier})
	}
	if code == "" {
		return "", errors.New("gumroad: " + completing + ": the callback has no authorization code; let the user start again")
	}
	form := []string{"grant_type", "authorization_code", "code", code, "redirect_uri", p.CallbackURL, "code_verifier", s.CodeVerifier}
	token, _, err := p.token(exchanging, form, code, s.CodeVerifier)
	if err != nil {
		return "", err
	}
	s.AccessToken = token.AccessToken
	s.RefreshToken = token.RefreshToken
	s.ExpiresAt = token.Expiry
	s.CodeVerifier = ""
	return s.AccessToken, nil
}

// find returns the Provider that provider is or embeds, or nil.
func find(provider goth.Provider) (p *Provider) {
	defer func() { _ = recover() }() // a nil pointer to a type that embeds one panics
	if found, ok := provider.(interface{ self() *Provider }); ok {
		p = found.self()
	}
	return p
}

// Marshal returns the session as a JSON object, for [Provider.UnmarshalSession].
// The object contains the tokens. Store it where only the application can read it,
// or in the user's own browser.
func (s *Session) Marshal() string {
	var data strings.Builder
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false) // otherwise each & in AuthURL would become \u0026
	_ = encoder.Encode(s)
	return strings.TrimSuffix(data.String(), "\n")
}

// String returns what Marshal returns.
func (s *Session) String() string { return s.Marshal() }

// UnmarshalSession reads a session that [Session.Marshal] wrote. It returns an
// error for anything but one JSON object with the types of Session's fields.
func (p *Provider) UnmarshalSession(data string) (goth.Session, error) {
	var s *Session
	if json.Unmarshal([]byte(data), &s) != nil || s == nil { // nil for null
		// The cause is left out, because it would quote the session.
		return nil, errors.New("gumroad: reading the stored session: it is not the JSON object that Session.Marshal writes; let the user start again")
	}
	return s, nil
}
