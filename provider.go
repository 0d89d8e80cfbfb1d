// Package gumroad is a provider for goth. It lets the users of a Go web application
// log in with Gumroad.
//
// A login takes three steps. The package gothic does them for an application:
//
//  1. [Provider.BeginAuth] returns a [Session] with the address at Gumroad to
//     send the user to. The application keeps the session.
//  2. Gumroad sends the user back to the callback URL. [Session.Authorize]
//     exchanges the authorization code for an access token.
//  3. [Provider.FetchUser] asks Gumroad who the user is.
//
// Errors begin with "gumroad: ". If Gumroad refused something, the error is an
// [*Error]. Most applications test for [ErrAccessDenied] and [ErrUnauthorized]. No
// error contains a token, a code, a verifier or a secret.
package gumroad

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
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
// dialling to the last byte of the answer. If the Timeout of HTTPClient is shorter,
// it applies instead. A login makes two requests.
const RequestTimeout = 20 * time.Second

// The scopes that Gumroad documents for applications, at
// https://gumroad.com/api.
const (
	// ScopeViewProfile grants read access to the user's public information and
	// products. It is the smallest scope that gives name, email and picture, and
	// the default of [New].
	ScopeViewProfile = "view_profile"

	// ScopeEditProfile grants write access to the name and the bio in the user's
	// profile. It does not grant read access to the user, so a login needs
	// ScopeViewProfile as well.
	ScopeEditProfile = "edit_profile"

	// ScopeEditProducts grants read and write access to products, variants, offer
	// codes, custom fields and files.
	ScopeEditProducts = "edit_products"

	// ScopeEditEmails grants read and write access to emails to the audience, and
	// read access to workflows. It does not grant read access to the user, so a
	// login needs ScopeViewProfile as well.
	ScopeEditEmails = "edit_emails"

	// ScopeViewSales grants read access to sales. Subscribing to sales needs it.
	ScopeViewSales = "view_sales"

	// ScopeViewPayouts grants read access to payouts.
	ScopeViewPayouts = "view_payouts"

	// ScopeViewTaxData grants read access to tax forms and to the annual earnings
	// summary.
	ScopeViewTaxData = "view_tax_data"

	// ScopeMarkSalesAsShipped lets the application mark sales as shipped.
	ScopeMarkSalesAsShipped = "mark_sales_as_shipped"

	// ScopeEditSales lets the application refund sales, revoke and restore access
	// to what was bought, and send receipts again.
	ScopeEditSales = "edit_sales"

	// ScopeAccount grants access to nearly everything that the API offers.
	ScopeAccount = "account"
)

// Provider is the [goth.Provider] for Gumroad. Make it with [New] or
// [NewCustomisedURL], and set its fields and its name before the first login.
// After that it is safe for concurrent use. A printed Provider shows the secret.
type Provider struct {
	// ClientKey and Secret are the "Application ID" and the "Application
	// Secret" that Gumroad shows for an application.
	ClientKey string
	Secret    string

	// CallbackURL is where Gumroad sends the user back to. It must have a scheme
	// and a host, no fragment, and only ASCII characters. It must be exactly one of
	// the application's registered redirect URIs. Otherwise Gumroad shows the user
	// an error page and does not send the user back.
	CallbackURL string

	// HTTPClient makes the requests to Gumroad. If it is nil,
	// [http.DefaultClient] makes them. Only the Transport and the Timeout of the
	// client are used, not its Jar or its CheckRedirect.
	//
	// The provider does not follow redirects, since one could send the secret or a
	// token to another address. A redirect is an error. Some Transports follow
	// redirects by themselves, such as the one in the StandardClient of
	// hashicorp/go-retryablehttp. The provider returns an error then too, but the
	// secret has already been sent. Set CheckRedirect of the HTTPClient inside such
	// a Transport to a function that returns [http.ErrUseLastResponse].
	HTTPClient *http.Client

	// AuthURL, TokenURL and ProfileURL are Gumroad's endpoints for the
	// authorization page, for tokens and for the user.
	AuthURL    string
	TokenURL   string
	ProfileURL string

	name   string
	scopes []string
	stall  *stall // nil unless New made the provider
}

// New returns a provider for the application that is registered at Gumroad with
// this key, secret and callback URL. The provider asks the user for the given
// scopes. If no scope is given, or only blank ones, it asks for [ScopeViewProfile],
// since Gumroad refuses a login without a scope.
func New(clientKey, secret, callbackURL string, scopes ...string) *Provider {
	return NewCustomisedURL(clientKey, secret, callbackURL, defaultAuthURL, defaultTokenURL, defaultProfileURL, scopes...)
}

// NewCustomisedURL is like [New], with endpoints other than Gumroad's own, such as
// those of a test server. The revocation endpoint is tokenURL with its last path segment
// replaced by "revoke".
func NewCustomisedURL(clientKey, secret, callbackURL, authURL, tokenURL, profileURL string, scopes ...string) *Provider {
	p := &Provider{
		ClientKey:   clientKey,
		Secret:      secret,
		CallbackURL: callbackURL,
		AuthURL:     authURL,
		TokenURL:    tokenURL,
		ProfileURL:  profileURL,
		name:        "gumroad",
		stall:       new(stall),
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

// Client returns HTTPClient. If HTTPClient is nil, Client returns
// [http.DefaultClient]. If that has no Timeout, Client returns a copy of it with
// [RequestTimeout].
func (p *Provider) Client() *http.Client {
	client := goth.HTTPClientWithFallBack(p.HTTPClient)
	if p.HTTPClient == nil && client.Timeout == 0 {
		limited := *client
		limited.Timeout = RequestTimeout
		return &limited
	}
	return client
}

// BeginAuth returns a [*Session] with the address at Gumroad to send the user to.
// The address contains state. The session has a new code verifier (RFC 7636), so an
// authorization code is valid only for this session. Keep the session until the
// callback, and call [Session.Authorize] on it. BeginAuth makes no request. It
// returns an error if the provider has no AuthURL.
func (p *Provider) BeginAuth(state string) (goth.Session, error) {
	const beginning = "beginning the login"
	if err := p.check(beginning); err != nil {
		return nil, err
	}
	if p.AuthURL == "" {
		return nil, errors.New("gumroad: " + beginning + ": the provider has no AuthURL")
	}
	config := &oauth2.Config{
		ClientID:    p.ClientKey,
		RedirectURL: p.CallbackURL,
		Scopes:      p.scopes,
		Endpoint:    oauth2.Endpoint{AuthURL: p.AuthURL},
	}
	verifier := oauth2.GenerateVerifier()
	challenge := oauth2.S256ChallengeFromVerifier(verifier)
	return &Session{
		AuthURL:      config.AuthCodeURL(state) + "&code_challenge_method=S256&code_challenge=" + challenge,
		CodeVerifier: verifier,
	}, nil
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
// answer, such as "scope" and "created_at". Expiry and ExpiresIn (in seconds) are
// zero unless Gumroad ever returns a lifetime. If the answer has no refresh token,
// RefreshToken is the old one.
//
// If the refresh token was used or revoked, the error is an [*Error] with the code
// "invalid_grant", which unwraps to an [*oauth2.RetrieveError]. Find both with
// [errors.As], not with a type assertion. If there is no answer within
// [RequestTimeout], or none that RefreshToken can read, the error is of another type.
// Gumroad may then have revoked the old pair.
func (p *Provider) RefreshToken(refreshToken string) (*oauth2.Token, error) {
	if err := p.check(refreshing); err != nil {
		return nil, err
	}
	if refreshToken == "" {
		return nil, errors.New("gumroad: " + refreshing + ": there is no refresh token; the user must log in again")
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}
	token, answer, err := p.token(refreshing, form, p.Secret, refreshToken)
	if err != nil {
		return nil, err
	}
	if token.RefreshToken == "" {
		token.RefreshToken = refreshToken
	}
	return token.WithExtra(answer), nil
}

// RevokeToken revokes a token at Gumroad (RFC 7009). The token is an access token or
// a refresh token. Gumroad revokes both tokens of the pair. Call RevokeToken when a
// user disconnects Gumroad or closes the account, since Gumroad's tokens do not
// expire.
//
// If Gumroad does not know the token, RevokeToken returns nil. If the client key or
// the secret is wrong, the error is an [*Error] with the code "unauthorized_client".
// If ctx ends first, or there is no answer within [RequestTimeout], the error is of
// another type.
func (p *Provider) RevokeToken(ctx context.Context, token string) error {
	if err := p.check(revoking); err != nil {
		return err
	}
	if ctx == nil {
		return errors.New("gumroad: " + revoking + ": the context is nil")
	}
	if token == "" {
		return errors.New("gumroad: " + revoking + ": there is no token")
	}
	// No token_type_hint: with the wrong one Doorkeeper 5.7 answers 200 and
	// revokes nothing.
	r := p.post(revoking, url.Values{"token": {token}}, p.Secret, token)
	endpoint, err := url.Parse(p.TokenURL)
	if err != nil {
		return r.fail(err)
	}
	r.url = endpoint.ResolveReference(&url.URL{Path: "revoke"}).String()
	_, _, err = r.send(ctx)
	return err
}

// gumroad returns p. Authorize calls it to find the Provider in a type that embeds
// one.
func (p *Provider) gumroad() *Provider { return p }

// check returns an error unless the provider was made by New.
func (p *Provider) check(doing string) error {
	if p == nil || p.stall == nil {
		return errors.New("gumroad: " + doing + ": the provider was not made by New; check how it is set up")
	}
	return nil
}
