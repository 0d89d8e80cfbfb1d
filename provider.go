// Package gumroad is a provider for goth. It lets the users of a Go web application
// log in with Gumroad.
//
// A login takes three steps, which the package gothic does for an application:
//
//  1. [Provider.BeginAuth] returns a [Session] with the URL at Gumroad to send the
//     user to. The application keeps the session.
//  2. Gumroad sends the user back to the callback URL, and [Session.Authorize]
//     exchanges the authorization code for an access token.
//  3. [Provider.FetchUser] asks Gumroad who the user is.
//
// Errors begin with "gumroad: ". If Gumroad refused something, the error is an
// [*Error]. Most applications test for [ErrAccessDenied] and [ErrUnauthorized]. An
// error quotes no response body, and hides what may be a token or a secret.
package gumroad

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/markbates/goth"
	"golang.org/x/oauth2"
)

const (
	defaultAuthURL    = "https://gumroad.com/oauth/authorize"
	defaultTokenURL   = "https://api.gumroad.com/oauth/token"
	defaultProfileURL = "https://api.gumroad.com/v2/user"
)

// RequestTimeout is the longest time that one request to Gumroad may take, from
// dialling to the last byte of the response, unless the Timeout of HTTPClient is
// shorter. A login makes two requests.
const RequestTimeout = 20 * time.Second

// The scopes that Gumroad documents at https://gumroad.com/api. ScopeEditProfile and
// ScopeEditEmails grant no read access to the user, so a login needs
// ScopeViewProfile as well.
const (
	ScopeViewProfile        = "view_profile"          // read the public information and products; the default of [New]
	ScopeEditProfile        = "edit_profile"          // change the name and the bio
	ScopeEditProducts       = "edit_products"         // read and change products, variants, offer codes, custom fields and files
	ScopeEditEmails         = "edit_emails"           // read and change emails to the audience, and read workflows
	ScopeViewSales          = "view_sales"            // read sales, and subscribe to them
	ScopeViewPayouts        = "view_payouts"          // read payouts
	ScopeViewTaxData        = "view_tax_data"         // read tax forms and the annual earnings summary
	ScopeMarkSalesAsShipped = "mark_sales_as_shipped" // mark sales as shipped
	ScopeEditSales          = "edit_sales"            // refund sales, revoke and restore access, send receipts again
	ScopeAccount            = "account"               // use nearly everything that the API offers
)

// Provider is the [goth.Provider] for Gumroad. Make it with [New] or
// [NewCustomisedURL], and set its fields and its name before the first login.
// After that it is safe for concurrent use. A printed Provider shows the secret.
type Provider struct {
	// ClientKey and Secret are the "Application ID" and the "Application
	// Secret" that Gumroad shows for an application.
	ClientKey string
	Secret    string

	// CallbackURL is where Gumroad sends the user back to. It must be exactly one of
	// the application's registered redirect URIs, with a scheme, a host, no fragment
	// and only ASCII characters. Otherwise Gumroad shows the user an error page.
	CallbackURL string

	// HTTPClient makes the requests to Gumroad. If it is nil, [http.DefaultClient]
	// does. Only its Transport and its Timeout are used, not its Jar or its
	// CheckRedirect. A redirect is an error, because it could send the secret or a
	// token elsewhere. A Transport that follows redirects by itself may do so before
	// the provider refuses the response.
	//
	// If a request gets no response, the provider gives up its connection after one
	// more request, so a connection that was lost without notice fails at most two
	// requests in a row. To find it earlier, set SendPingTimeout in the
	// [http.HTTP2Config] of an [http.Transport].
	HTTPClient *http.Client

	// AuthURL, TokenURL and ProfileURL are Gumroad's endpoints for the
	// authorization page, for tokens and for the user.
	AuthURL    string
	TokenURL   string
	ProfileURL string

	name   string
	scopes []string
	turns  *sync.Map // an int for each host, see send; nil unless New made the provider
}

// New returns a provider for the application that is registered at Gumroad with
// this key, secret and callback URL. The provider asks the user for the given
// scopes. If there are none, it asks for [ScopeViewProfile], because Gumroad refuses
// a login without a scope.
func New(clientKey, secret, callbackURL string, scopes ...string) *Provider {
	return NewCustomisedURL(clientKey, secret, callbackURL, defaultAuthURL, defaultTokenURL, defaultProfileURL, scopes...)
}

// NewCustomisedURL is like [New], with endpoints other than Gumroad's own, such as
// those of a test server. The revocation endpoint is tokenURL with its last path
// segment replaced by "revoke". If tokenURL has a user and a password, they are sent
// with Basic authentication.
func NewCustomisedURL(clientKey, secret, callbackURL, authURL, tokenURL, profileURL string, scopes ...string) *Provider {
	p := &Provider{
		ClientKey:   clientKey,
		Secret:      secret,
		CallbackURL: callbackURL,
		AuthURL:     authURL,
		TokenURL:    tokenURL,
		ProfileURL:  profileURL,
		name:        "gumroad",
		turns:       new(sync.Map),
	}
	for _, scope := range scopes {
		p.scopes = append(p.scopes, strings.Fields(scope)...)
	}
	if len(p.scopes) == 0 {
		p.scopes = []string{ScopeViewProfile}
	}
	return p
}

// Name returns the name that the provider is registered under. It is "gumroad"
// unless SetName changed it.
func (p *Provider) Name() string { return p.name }

// SetName changes the provider's name, for an application that registers more
// than one provider for Gumroad. Call it before goth.UseProviders.
func (p *Provider) SetName(name string) { p.name = name }

// Debug is a no-op required by [goth.Provider].
func (p *Provider) Debug(bool) {}

// Client returns HTTPClient or, if that is nil, [http.DefaultClient]. If that has no
// Timeout, Client returns a copy of it with [RequestTimeout].
func (p *Provider) Client() *http.Client {
	client := goth.HTTPClientWithFallBack(p.HTTPClient)
	if p.HTTPClient == nil && client.Timeout == 0 {
		limited := *client
		limited.Timeout = RequestTimeout
		return &limited
	}
	return client
}

// BeginAuth returns a [*Session] with the URL at Gumroad to send the user to. The URL
// contains state. The session has a new code verifier (RFC 7636), so an authorization
// code is valid only for this session. Keep the session until the callback, and call
// [Session.Authorize] on it. BeginAuth makes no request. It returns an error if the
// provider has no AuthURL.
func (p *Provider) BeginAuth(state string) (goth.Session, error) {
	if err := p.check(beginning); err != nil {
		return nil, err
	}
	if p.AuthURL == "" {
		return nil, errors.New("gumroad: " + beginning + ": the provider has no AuthURL")
	}
	verifier := oauth2.GenerateVerifier()
	query := encode([]string{
		"response_type", "code", "client_id", p.ClientKey, "redirect_uri", p.CallbackURL, "scope", strings.Join(p.scopes, " "), "state", state,
		"code_challenge", oauth2.S256ChallengeFromVerifier(verifier), "code_challenge_method", "S256",
	})
	separator := "?"
	if strings.Contains(p.AuthURL, "?") {
		separator = "&"
	}
	return &Session{AuthURL: p.AuthURL + separator + query, CodeVerifier: verifier}, nil
}

// RefreshTokenAvailable returns true. Gumroad gives a refresh token with every
// access token, although its access tokens do not expire.
func (p *Provider) RefreshTokenAvailable() bool { return true }

// RefreshToken exchanges a refresh token for a new access token and a new refresh
// token. Gumroad revokes the old pair at once, so store the new pair before anything
// else. Never refresh the tokens of one user twice at the same time: one of the two
// fails.
//
// The token is what x/oauth2 would return. Extra returns the other fields of the
// response, such as "scope" and "created_at". Expiry and ExpiresIn (in seconds) are
// zero unless Gumroad ever returns a lifetime. If the response has no refresh token,
// RefreshToken is the old one.
//
// If the refresh token was used or revoked, the error is an [*Error] with the code
// "invalid_grant", which unwraps to an [*oauth2.RetrieveError]. If there is no
// response within [RequestTimeout], or none that can be read, the error is of another
// type, and Gumroad may have revoked the old pair.
func (p *Provider) RefreshToken(refreshToken string) (*oauth2.Token, error) {
	if refreshToken == "" {
		return nil, errors.New("gumroad: " + refreshing + ": there is no refresh token; the user must log in again")
	}
	form := []string{"grant_type", "refresh_token", "refresh_token", refreshToken}
	token, answer, err := p.token(refreshing, form, refreshToken)
	if err != nil {
		return nil, err
	}
	if token.RefreshToken == "" {
		token.RefreshToken = strings.Clone(refreshToken) // fasthttp changes a request's strings afterwards
	}
	return token.WithExtra(plain(answer)), nil
}

// RevokeToken revokes an access token or a refresh token (RFC 7009). Gumroad then
// revokes both tokens of the pair. Call RevokeToken when a user disconnects Gumroad or
// closes the account, because Gumroad's tokens do not expire.
//
// If Gumroad does not know the token, RevokeToken returns nil. If the client key or
// the secret is wrong, the error is an [*Error] with the code "unauthorized_client".
// If ctx ends first, or there is no response within [RequestTimeout], the error is of
// another type.
func (p *Provider) RevokeToken(ctx context.Context, token string) error {
	if ctx == nil {
		return errors.New("gumroad: " + revoking + ": the context is nil")
	}
	if token == "" {
		return errors.New("gumroad: " + revoking + ": there is no token")
	}
	// No token_type_hint: with the wrong one Doorkeeper 5.7 answers 200 and
	// revokes nothing.
	_, _, err := p.post(ctx, revoking, []string{"token", token}, token)
	return err
}

// token asks the token endpoint for a token. It also returns the whole response.
func (p *Provider) token(doing string, form []string, secrets ...string) (oauth2.Token, map[string]any, error) {
	r, answer, err := p.post(context.Background(), doing, form, secrets...)
	if err != nil {
		return oauth2.Token{}, nil, err
	}
	token := oauth2.Token{TokenType: firstText(answer, "token_type")}
	token.AccessToken, _ = answer["access_token"].(string)
	token.RefreshToken, _ = answer["refresh_token"].(string)
	if token.AccessToken == "" {
		return oauth2.Token{}, nil, r.fail(errors.New("the answer has no access_token"))
	}
	// Like x/oauth2, this reads a number or a string that is one, and at most 68 years.
	// Anything else is as none, because a good pair of tokens must not be lost for it.
	if text := fmt.Sprint(answer["expires_in"]); strings.Trim(text, digits+".eE+") == "" {
		if number, err := strconv.ParseFloat(text, 64); err == nil && number >= 1 {
			token.ExpiresIn = int64(min(number, math.MaxInt32))
			token.Expiry = time.Now().Add(time.Duration(token.ExpiresIn) * time.Second)
		}
	}
	return token, answer, nil
}

// self returns p. Authorize finds the Provider in a type that embeds one with it.
func (p *Provider) self() *Provider { return p }

// check returns an error unless New made the provider.
func (p *Provider) check(doing string) error {
	if p == nil || p.turns == nil {
		return errors.New("gumroad: " + doing + ": the provider was not made by New; check how it is set up")
	}
	return nil
}
