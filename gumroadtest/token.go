package gumroadtest

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// token is a pair of an access token and its refresh token. A revoked pair is
// kept, because Gumroad tells a revoked token from an unknown one.
type token struct {
	access, refresh string
	user            string
	scopes          []string
	created         time.Time
	revoked         bool
}

// issue creates a new pair. The caller holds s.mu.
func (s *Server) issue(user string, scopes []string) *token {
	t := &token{access: random(), refresh: random(), user: user, scopes: scopes, created: s.now()}
	s.tokens[t.access], s.tokens[t.refresh] = t, t
	return t
}

// consented reports whether the logged-in user has a live token with these scopes.
// The caller holds s.mu.
func (s *Server) consented(scopes []string) bool {
	scopes = slices.Sorted(slices.Values(scopes))
	for _, t := range s.tokens {
		if !t.revoked && t.user == s.user && slices.Equal(scopes, slices.Sorted(slices.Values(t.scopes))) {
			return true
		}
	}
	return false
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	defer s.lock()()
	var issued *token
	var refused *oauthError
	switch grantType := r.Form.Get("grant_type"); grantType {
	case "", "authorization_code": // the default is Gumroad's
		issued, refused = s.exchange(r)
	case "refresh_token":
		issued, refused = s.refresh(r)
	default:
		refused = unsupportedGrantType.because("grant_type is %q", grantType)
	}
	if refused != nil {
		refused.challenge(w)
		refused.write(w, "")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	// No expires_in: Gumroad's access tokens do not expire.
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token":  issued.access,
		"token_type":    "Bearer",
		"refresh_token": issued.refresh,
		"scope":         strings.Join(issued.scopes, " "),
		"created_at":    issued.created.Unix(),
	})
}

// exchange exchanges a code. It checks in Doorkeeper's order. Only a successful
// exchange uses up the code. The caller holds s.mu.
func (s *Server) exchange(r *http.Request) (*token, *oauthError) {
	code, verifier, redirectURI := r.Form.Get("code"), r.Form.Get("code_verifier"), r.Form.Get("redirect_uri")
	granted := s.grants[code]
	switch {
	case code == "":
		return nil, missing("code")
	case granted != nil && granted.challenge != "" && verifier == "":
		return nil, missing("code_verifier")
	case redirectURI == "":
		return nil, missing("redirect_uri")
	}
	if refused := s.authenticate(r); refused != nil {
		return nil, refused
	}
	switch {
	case granted == nil:
		return nil, invalidGrant.because("the code is unknown")
	case granted.used:
		return nil, invalidGrant.because("the code was used before")
	case s.now().After(granted.expires):
		return nil, invalidGrant.because("the code is older than ten minutes")
	case !sameRedirectURI(redirectURI, granted.redirectURI):
		return nil, invalidGrant.because("redirect_uri is %q, but the code was issued for %q", redirectURI, granted.redirectURI)
	case granted.challenge == "" && verifier != "":
		return nil, invalidGrant.because("there is a code_verifier, but the authorization request had no code_challenge")
	case !granted.verify(verifier):
		return nil, invalidGrant.because("code_verifier does not match the code_challenge of the authorization request")
	}
	granted.used = true
	return s.issue(granted.user, granted.scopes), nil
}

// verify checks the code verifier.
func (g *grant) verify(verifier string) bool {
	if g.challengeMethod == "S256" && g.challenge != "" {
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return verifier == g.challenge
}

// refresh exchanges a refresh token. It checks in Doorkeeper's order, and revokes
// the old pair at once. The caller holds s.mu.
func (s *Server) refresh(r *http.Request) (*token, *oauthError) {
	refreshToken := r.Form.Get("refresh_token")
	old := s.tokens[refreshToken]
	clientID, _ := credentials(r)
	switch {
	case refreshToken == "":
		return nil, missing("refresh_token")
	case old == nil:
		return nil, invalidGrant.because("the refresh token is unknown")
	case old.refresh != refreshToken:
		return nil, invalidGrant.because("the refresh token is an access token")
	case old.revoked:
		return nil, invalidGrant.because("the refresh token was used or revoked before")
	case clientID == "":
		return nil, invalidGrant.because("there is no client_id")
	}
	if refused := s.authenticate(r); refused != nil {
		return nil, refused
	}
	scope := cmp.Or(r.Form.Get("scope"), strings.Join(old.scopes, " "))
	if refused := checkScopes(scope, old.scopes); refused != nil {
		return nil, refused
	}
	old.revoked = true
	return s.issue(old.user, splitScopes(scope)), nil
}

func (s *Server) serveRevocation(w http.ResponseWriter, r *http.Request) {
	defer s.lock()()
	if refused := s.authenticate(r); refused != nil {
		w.Header().Set("Cache-Control", "no-cache")
		unauthorizedClient.because("%s", refused.why).write(w, "")
		return
	}
	value := r.Form.Get("token")
	// With the hint refresh_token, Doorkeeper looks for no access token.
	if found := s.tokens[value]; found != nil && (found.refresh == value || r.Form.Get("token_type_hint") != "refresh_token") {
		found.revoked = true
	}
	w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate")
	writeJSON(w, http.StatusOK, struct{}{})
}

// authenticate checks the client's credentials. A client that is not confidential
// may leave its secret out, but may not send a wrong one. The caller holds s.mu.
func (s *Server) authenticate(r *http.Request) *oauthError {
	id, secret := credentials(r)
	switch {
	case id != s.ClientID:
		return s.unknownClient(id)
	case secret == "" && s.app.Confidential:
		return invalidClient.because("there is no client_secret, and the application is confidential")
	case secret != "" && secret != s.ClientSecret:
		return invalidClient.because("client_secret is wrong")
	}
	return nil
}

func (s *Server) unknownClient(id string) *oauthError {
	return invalidClient.because("client_id is %q, but the application's is %q", id, s.ClientID)
}

// credentials returns the client's credentials. Those in the header take
// precedence over those in the body, even if they cannot be read.
func credentials(r *http.Request) (id, secret string) {
	if strings.HasPrefix(r.Header.Get("Authorization"), "Basic ") {
		id, secret, _ = r.BasicAuth()
		return id, secret
	}
	return r.Form.Get("client_id"), r.Form.Get("client_secret")
}

// bearer returns the access token of a request.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	return cmp.Or(token, r.Form.Get("access_token"), r.Form.Get("bearer_token"))
}
