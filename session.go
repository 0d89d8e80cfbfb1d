package gumroad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/markbates/goth"
	"golang.org/x/oauth2"
)

// Session is a login with Gumroad on its way, and the tokens once it is done. It
// is small enough for the cookie that gothic keeps it in.
type Session struct {
	// AuthURL is where to send the user.
	AuthURL string

	// AccessToken and RefreshToken are empty before the exchange.
	AccessToken  string
	RefreshToken string

	// ExpiresAt is zero: Gumroad's access tokens do not expire. Should an
	// answer name a lifetime one day, it is the end of it.
	ExpiresAt time.Time

	// CodeVerifier is the secret of PKCE (RFC 7636), from BeginAuth until the
	// exchange. The exchange sends it exactly when it is there, since Gumroad
	// refuses one that belongs to no challenge.
	CodeVerifier string `json:",omitempty"`
}

// GetAuthURL returns where to send the user, or an error if the session was not
// made by [Provider.BeginAuth].
func (s *Session) GetAuthURL() (string, error) {
	if s == nil || s.AuthURL == "" {
		return "", errors.New("gumroad: beginning the login: " + goth.NoAuthUrlErrorMessage)
	}
	return s.AuthURL, nil
}

// Authorize completes a login from the parameters of the callback: it exchanges
// the authorization code for tokens, which it puts into the session, and returns
// the access token. The code verifier is gone from the session after that; a
// failed Authorize leaves the session as it was.
//
// Where the callback says that the user denied access, the error is an [*Error]
// that wraps [ErrAccessDenied]. Where Gumroad refuses the exchange it is an
// [*Error] with the code, such as "invalid_grant" for a code that was used or is
// older than 10 minutes, and for one that belongs to another login. A callback
// with an error, or without a code, makes no request.
func (s *Session) Authorize(provider goth.Provider, params goth.Params) (string, error) {
	const doing = "completing the login"
	p, ok := provider.(*Provider)
	if !ok || p == nil {
		return "", fmt.Errorf("gumroad: %s: the provider is a %T, want a *gumroad.Provider that is not nil", doing, provider)
	}
	if s == nil || params == nil {
		return "", errors.New("gumroad: " + doing + ": there is no session or no callback")
	}
	code := params.Get("code")
	if refusal := params.Get("error"); refusal != "" {
		err := newError(doing, 0, refusal, params.Get("error_description"), p.Secret, code, s.CodeVerifier)
		if refusal == "access_denied" {
			err.cause = ErrAccessDenied
		}
		return "", err
	}
	if code == "" {
		return "", errors.New("gumroad: " + doing + ": the callback has no authorization code; let the user start again")
	}

	var options []oauth2.AuthCodeOption
	if s.CodeVerifier != "" {
		options = append(options, oauth2.VerifierOption(s.CodeVerifier))
	}
	token, err := p.retrieve("exchanging the authorization code", func(ctx context.Context) (*oauth2.Token, error) {
		return p.config().Exchange(ctx, code, options...)
	}, p.Secret, code, s.CodeVerifier)
	if err != nil {
		return "", err
	}
	s.AccessToken = token.AccessToken
	s.RefreshToken = token.RefreshToken
	s.ExpiresAt = token.Expiry
	s.CodeVerifier = ""
	return s.AccessToken, nil
}

// Marshal returns the session as a JSON object, for [Provider.UnmarshalSession].
// It holds the tokens, so store it where only the application can read it, or at
// most the user's own browser.
func (s *Session) Marshal() string {
	var data strings.Builder
	encoder := json.NewEncoder(&data)
	// Not \u0026 for each & of AuthURL.
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s)
	return strings.TrimSuffix(data.String(), "\n")
}

// String returns what Marshal returns.
func (s *Session) String() string { return s.Marshal() }

// UnmarshalSession reads a session that [Session.Marshal] wrote: one JSON object
// and nothing after it, or else it returns an error.
func (p *Provider) UnmarshalSession(data string) (goth.Session, error) {
	s := &Session{}
	err := json.Unmarshal([]byte(data), s)
	// null is no error for encoding/json.
	if err != nil || !strings.HasPrefix(strings.TrimSpace(data), "{") {
		// The cause is left out, as it quotes from the session.
		return nil, errors.New("gumroad: reading the stored session: it is not the JSON object that Session.Marshal writes; let the user start again")
	}
	return s, nil
}
