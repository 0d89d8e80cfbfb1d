// Package gumroad is a goth provider: it lets the users of a Go web application
// log in with Gumroad.
//
// A login takes three steps, which gothic does for an application:
//
//  1. [Provider.BeginAuth] gives the address at Gumroad to send the user to,
//     in a [Session] that the application keeps.
//  2. Gumroad sends the user back to the callback URL, and [Session.Authorize]
//     exchanges the authorization code that comes along for an access token.
//  3. [Provider.FetchUser] asks Gumroad who the user is.
//
// Errors begin with "gumroad: ". What Gumroad answered is in an [*Error], and
// [ErrAccessDenied] and [ErrUnauthorized] are the two that an application will
// want to tell apart. No error holds a token, a code, a verifier or a secret.
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

// RequestTimeout is the longest that one request to Gumroad may take, from
// dialling to the last byte of the answer. An HTTPClient with a shorter Timeout
// shortens it. A login is two requests.
const RequestTimeout = 20 * time.Second

// The scopes that Gumroad documents for applications, at
// https://gumroad.com/api.
const (
	// ScopeViewProfile allows to read the user's public information and
	// products. It is the least that gives name, email and picture, and what
	// [New] asks for where it is given no scope.
	ScopeViewProfile = "view_profile"

	// ScopeEditProfile allows to change the name and the bio in the user's
	// profile. Alone it may not read the user, so a login needs
	// ScopeViewProfile beside it.
	ScopeEditProfile = "edit_profile"

	// ScopeEditProducts allows to read and change products, variants, offer
	// codes, custom fields and files.
	ScopeEditProducts = "edit_products"

	// ScopeEditEmails allows to read and change emails to the audience, and to
	// read workflows. Alone it may not read the user, so a login needs
	// ScopeViewProfile beside it.
	ScopeEditEmails = "edit_emails"

	// ScopeViewSales allows to read sales, and to subscribe to them.
	ScopeViewSales = "view_sales"

	// ScopeViewPayouts allows to read payouts.
	ScopeViewPayouts = "view_payouts"

	// ScopeViewTaxData allows to read tax forms and the annual earnings summary.
	ScopeViewTaxData = "view_tax_data"

	// ScopeMarkSalesAsShipped allows to mark sales as shipped.
	ScopeMarkSalesAsShipped = "mark_sales_as_shipped"

	// ScopeEditSales allows to refund sales, to revoke and restore access to
	// what was bought, and to send receipts again.
	ScopeEditSales = "edit_sales"

	// ScopeAccount allows nearly everything that the API offers.
	ScopeAccount = "account"
)

// Provider is the [goth.Provider] for Gumroad. Make it with [New] or
// [NewCustomisedURL]; set its fields and its name before the first login. From
// then on it is safe for concurrent use.
type Provider struct {
	// ClientKey and Secret are the "Application ID" and the "Application
	// Secret" that Gumroad shows for an application.
	ClientKey string
	Secret    string

	// CallbackURL is where Gumroad sends the user back to. It must match a
	// redirect URI of the application to the letter.
	CallbackURL string

	// HTTPClient makes the requests to Gumroad; nil means [http.DefaultClient].
	// Its redirect policy is not used: a redirect could carry the secret or a
	// token elsewhere, so none is followed, and one counts as a failure.
	HTTPClient *http.Client

	name       string
	scopes     []string
	authURL    string
	tokenURL   string
	profileURL string
}

// New returns a provider for the application that is registered at Gumroad with
// this key, secret and callback URL. It asks the user for the given scopes, or
// for [ScopeViewProfile] where there is none or only blank ones: Gumroad refuses
// a login without a scope.
func New(clientKey, secret, callbackURL string, scopes ...string) *Provider {
	return NewCustomisedURL(clientKey, secret, callbackURL, defaultAuthURL, defaultTokenURL, defaultProfileURL, scopes...)
}

// NewCustomisedURL is [New] with other endpoints than Gumroad's own, such as
// those of a test server. The endpoint for [Provider.RevokeToken] is the
// neighbour of tokenURL, with "revoke" for the last part of its path.
func NewCustomisedURL(clientKey, secret, callbackURL, authURL, tokenURL, profileURL string, scopes ...string) *Provider {
	p := &Provider{
		ClientKey:   clientKey,
		Secret:      secret,
		CallbackURL: callbackURL,
		name:        "gumroad",
		authURL:     authURL,
		tokenURL:    tokenURL,
		profileURL:  profileURL,
	}
	for _, scope := range scopes {
		p.scopes = append(p.scopes, strings.Fields(scope)...)
	}
	if len(p.scopes) == 0 {
		p.scopes = []string{ScopeViewProfile}
	}
	return p
}

// Name returns the name that the provider is registered under, "gumroad" unless
// SetName changed it.
func (p *Provider) Name() string { return p.name }

// SetName changes the provider's name, for an application that registers more
// than one provider for Gumroad. It must come before goth.UseProviders.
func (p *Provider) SetName(name string) { p.name = name }

// Debug does nothing; goth asks for it.
func (p *Provider) Debug(bool) {}

// Client returns HTTPClient, or where that is nil [http.DefaultClient], as a
// copy with [RequestTimeout] if it has no time limit.
func (p *Provider) Client() *http.Client {
	client := goth.HTTPClientWithFallBack(p.HTTPClient)
	if p.HTTPClient == nil && client.Timeout == 0 {
		limited := *client
		limited.Timeout = RequestTimeout
		return &limited
	}
	return client
}

// BeginAuth returns a [*Session] with the address at Gumroad to send the user
// to, which carries state, and with the code verifier (RFC 7636) that ties what
// comes back to this session. It makes no request, and returns an error only for a
// provider that has no such address, as it was not made with [New].
func (p *Provider) BeginAuth(state string) (goth.Session, error) {
	if p.authURL == "" {
		return nil, errors.New("gumroad: beginning the login: the provider has no authorization endpoint; make it with New")
	}
	verifier := oauth2.GenerateVerifier()
	challenge := oauth2.S256ChallengeFromVerifier(verifier)
	return &Session{
		AuthURL:      p.config().AuthCodeURL(state) + "&code_challenge_method=S256&code_challenge=" + challenge,
		CodeVerifier: verifier,
	}, nil
}

// RefreshTokenAvailable returns true: Gumroad gives a refresh token with every
// access token, although its access tokens do not expire.
func (p *Provider) RefreshTokenAvailable() bool { return true }

// RefreshToken exchanges a refresh token for a new access token and a new
// refresh token. Gumroad revokes the old pair at once, so store the new one
// before anything else, and never let two refreshes of one user race: the later
// one fails, and its user must log in again.
//
// For a refresh token that Gumroad does not take (it was used or revoked) the
// error is an [*Error] with the code "invalid_grant".
func (p *Provider) RefreshToken(refreshToken string) (*oauth2.Token, error) {
	const doing = "refreshing the token"
	if refreshToken == "" {
		return nil, errors.New("gumroad: " + doing + ": there is no refresh token; the user must log in again")
	}
	return p.retrieve(doing, func(ctx context.Context) (*oauth2.Token, error) {
		return p.config().TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken}).Token()
	}, p.Secret, refreshToken)
}

// RevokeToken takes an access token or a refresh token and has Gumroad revoke
// both tokens of its pair (RFC 7009). Use it when a user disconnects Gumroad or
// closes the account, since Gumroad's tokens do not expire by themselves. A
// token that Gumroad does not know is no error. Where the application's key or
// secret is wrong the error is an [*Error] with the code "unauthorized_client".
func (p *Provider) RevokeToken(ctx context.Context, token string) error {
	const doing = "revoking the token"
	if ctx == nil {
		return errors.New("gumroad: " + doing + ": the context is nil")
	}
	if token == "" {
		return errors.New("gumroad: " + doing + ": there is no token")
	}
	base, err := url.Parse(p.tokenURL)
	if err != nil {
		return wrap(doing, err, p.Secret, token)
	}
	endpoint := base.ResolveReference(&url.URL{Path: "revoke"}).String()
	// No token_type_hint: with the wrong one Doorkeeper 5.7 answers 200 and
	// revokes nothing.
	form := url.Values{"token": {token}, "client_id": {p.ClientKey}, "client_secret": {p.Secret}}
	ctx, cancel := context.WithTimeout(ctx, p.timeLimit())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return wrap(doing, err, p.Secret, token)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, err = p.do(doing, req, p.Secret, token)
	return err
}

// config returns what x/oauth2 must know, from the fields as they are now.
func (p *Provider) config() *oauth2.Config {
	return &oauth2.Config{
		ClientID:     p.ClientKey,
		ClientSecret: p.Secret,
		RedirectURL:  p.CallbackURL,
		Scopes:       p.scopes,
		Endpoint: oauth2.Endpoint{
			AuthURL:  p.authURL,
			TokenURL: p.tokenURL,
			// Said outright, since x/oauth2 would otherwise find it out, with a
			// second request whenever the first one fails.
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}
