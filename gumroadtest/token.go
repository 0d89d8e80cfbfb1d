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
// kept, since Gumroad tells a revoked token from an unknown one.
type token struct {
	access  string
	refresh string
	user    string
	scopes  []string
	created time.Time
	revoked bool
}

// consent is a user and the sorted scopes that the user granted.
type consent struct{ user, scopes string }

func newConsent(user string, scopes []string) consent {
	return consent{user, strings.Join(slices.Sorted(slices.Values(scopes)), " ")}
}

// issue creates a new pair. The caller holds s.mu.
func (s *Server) issue(user string, scopes []string) *token {
	t := &token{access: random(), refresh: random(), user: user, scopes: scopes, created: s.now()}
	s.consents[newConsent(user, scopes)]++
	for _, key := range []string{t.access, t.refresh} {
		for _, forgotten := range s.tokens.put(key, t) {
			s.revoke(forgotten)
		}
	}
	return t
}

// revoke revokes both tokens of the pair. The caller holds s.mu.
func (s *Server) revoke(t *token) {
	if t.revoked {
		return
	}
	t.revoked = true
	granted := newConsent(t.user, t.scopes)
	s.consents[granted]--
	if s.consents[granted] == 0 {
		delete(s.consents, granted)
	}
}

// accessToken returns the pair of an access token, revoked or not, or nil. The
// caller holds s.mu.
func (s *Server) accessToken(value string) *token {
	if t := s.tokens.get(value); t != nil && t.access == value {
		return t
	}
	return nil
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	var issued *token
	var refused *oauthError
	switch r.Form.Get("grant_type") {
	case "", "authorization_code": // the default is Gumroad's
		issued, refused = s.exchange(r)
	case "refresh_token":
		issued, refused = s.refresh(r)
	default:
		refused = unsupportedGrantType
	}
	s.mu.Unlock()

	if refused != nil {
		refused.challenge(w, refused.description)
		writeJSON(w, refused.status, refused.json())
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
	form := r.Form
	code, verifier := form.Get("code"), form.Get("code_verifier")
	granted := s.grants.get(code)
	switch {
	case code == "":
		return nil, missing("code")
	case granted != nil && granted.challenge != "" && verifier == "":
		return nil, missing("code_verifier")
	case form.Get("redirect_uri") == "":
		return nil, missing("redirect_uri")
	case !s.authenticate(r):
		return nil, invalidClient
	case granted == nil, s.now().After(granted.expires), !sameRedirectURI(form.Get("redirect_uri"), granted.redirectURI), !granted.verify(verifier):
		return nil, invalidGrant
	}
	s.grants.remove(code)
	return s.issue(granted.user, granted.scopes), nil
}

// verify checks the code verifier. Without a challenge, the verifier must be empty.
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
	old := s.tokens.get(refreshToken)
	clientID, _ := credentials(r)
	scopes := splitScopes(r.Form.Get("scope"))
	switch {
	case refreshToken == "":
		return nil, missing("refresh_token")
	case old == nil, old.refresh != refreshToken, old.revoked, clientID == "":
		return nil, invalidGrant
	case !s.authenticate(r):
		return nil, invalidClient
	case slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(old.scopes, scope) }):
		return nil, invalidScope
	}
	if len(scopes) == 0 {
		scopes = old.scopes
	}
	s.revoke(old)
	return s.issue(old.user, scopes), nil
}

func (s *Server) serveRevocation(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	value := r.Form.Get("token")
	found := s.tokens.get(value)
	if r.Form.Get("token_type_hint") == "refresh_token" && found != nil && found.refresh != value {
		found = nil
	}
	allowed := s.authenticate(r)
	if allowed && found != nil {
		s.revoke(found)
	}
	s.mu.Unlock()

	if !allowed {
		w.Header().Set("Cache-Control", "no-cache")
		writeJSON(w, unauthorizedClient.status, unauthorizedClient.json())
		return
	}
	w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate")
	writeJSON(w, http.StatusOK, struct{}{})
}

func (s *Server) serveTokenInfo(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	found := s.accessToken(bearer(r))
	valid := found != nil && !found.revoked
	s.mu.Unlock()

	if !valid {
		invalidToken.challenge(w, invalidToken.description)
		body := invalidToken.json()
		body["state"] = "unauthorized"
		writeJSON(w, invalidToken.status, body)
		return
	}
	w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate")
	writeJSON(w, http.StatusOK, map[string]any{
		"resource_owner_id": 1,
		"scope":             found.scopes,
		"expires_in":        nil,
		"application":       map[string]any{"uid": s.ClientID},
		"created_at":        found.created.Unix(),
	})
}

// authenticate reports whether the request has the client's credentials. A client
// that is not confidential may leave its secret out, but may not send a wrong one.
// The caller holds s.mu.
func (s *Server) authenticate(r *http.Request) bool {
	id, secret := credentials(r)
	return id == s.ClientID && (secret == s.ClientSecret || secret == "" && !s.app.Confidential)
}

// credentials returns the client's credentials. Those in the header take
// precedence over those in the body.
func credentials(r *http.Request) (id, secret string) {
	if id, secret, ok := r.BasicAuth(); ok {
		return id, secret
	}
	return r.Form.Get("client_id"), r.Form.Get("client_secret")
}

// bearer returns the access token of a request.
func bearer(r *http.Request) string {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return token
	}
	return cmp.Or(r.Form.Get("access_token"), r.Form.Get("bearer_token"))
}
