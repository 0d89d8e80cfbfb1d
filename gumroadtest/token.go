package gumroadtest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// token is a pair of an access token and its refresh token. A revoked one is
// kept, since it is answered otherwise than one that never was.
type token struct {
	access  string
	refresh string
	user    string
	scopes  []string
	created time.Time
	revoked bool
}

// issue makes a new pair. The caller holds s.mu.
func (s *Server) issue(user string, scopes []string) *token {
	t := &token{access: random(), refresh: random(), user: user, scopes: scopes, created: s.now()}
	s.tokens[t.access] = t
	s.tokens[t.refresh] = t
	return t
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, form url.Values) {
	s.mu.Lock()
	var issued *token
	var refused *oauthError
	switch form.Get("grant_type") {
	case "", "authorization_code": // the default is Gumroad's
		issued, refused = s.exchange(r, form)
	case "refresh_token":
		issued, refused = s.refresh(r, form)
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

// exchange checks in Doorkeeper's order. Only success uses the code up. The
// caller holds s.mu.
func (s *Server) exchange(r *http.Request, form url.Values) (*token, *oauthError) {
	code, verifier := form.Get("code"), form.Get("code_verifier")
	granted := s.grants[code]
	switch {
	case code == "":
		return nil, missing("code")
	case granted != nil && granted.challenge != "" && verifier == "":
		return nil, missing("code_verifier")
	case form.Get("redirect_uri") == "":
		return nil, missing("redirect_uri")
	case !s.authenticate(r, form):
		return nil, invalidClient
	case granted == nil, s.now().After(granted.expires), !sameRedirectURI(form.Get("redirect_uri"), granted.redirectURI), !granted.verify(verifier):
		return nil, invalidGrant
	}
	delete(s.grants, code)
	return s.issue(granted.user, granted.scopes), nil
}

// verify is PKCE. Without a challenge there must be no verifier either.
func (g *grant) verify(verifier string) bool {
	if g.challengeMethod == "S256" && g.challenge != "" {
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return verifier == g.challenge
}

// refresh checks in Doorkeeper's order, and revokes the old pair at once. The
// caller holds s.mu.
func (s *Server) refresh(r *http.Request, form url.Values) (*token, *oauthError) {
	refreshToken := form.Get("refresh_token")
	old := s.tokens[refreshToken]
	clientID, _ := credentials(r, form)
	scopes := splitScopes(form.Get("scope"))
	switch {
	case refreshToken == "":
		return nil, missing("refresh_token")
	case old == nil, old.refresh != refreshToken, old.revoked, clientID == "":
		return nil, invalidGrant
	case !s.authenticate(r, form):
		return nil, invalidClient
	case slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(old.scopes, scope) }):
		return nil, invalidScope
	}
	if len(scopes) == 0 {
		scopes = old.scopes
	}
	old.revoked = true
	return s.issue(old.user, scopes), nil
}

func (s *Server) serveRevocation(w http.ResponseWriter, r *http.Request, form url.Values) {
	s.mu.Lock()
	value := form.Get("token")
	found := s.tokens[value]
	if form.Get("token_type_hint") == "refresh_token" && found != nil && found.refresh != value {
		found = nil
	}
	allowed := s.authenticate(r, form)
	if allowed && found != nil {
		found.revoked = true
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

func (s *Server) serveTokenInfo(w http.ResponseWriter, r *http.Request, form url.Values) {
	s.mu.Lock()
	found := s.tokens[bearer(r, form)]
	valid := found != nil && found.access == bearer(r, form) && !found.revoked
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

// authenticate reports whether the client is who it says. One that is not
// confidential may leave its secret out, but not send a wrong one. The caller
// holds s.mu.
func (s *Server) authenticate(r *http.Request, form url.Values) bool {
	id, secret := credentials(r, form)
	return id == s.ClientID && (secret == s.ClientSecret || secret == "" && !s.app.Confidential)
}

// credentials returns the client's, from the header if they are there, even if
// others are in the body.
func credentials(r *http.Request, form url.Values) (id, secret string) {
	if id, secret, ok := r.BasicAuth(); ok {
		return id, secret
	}
	return form.Get("client_id"), form.Get("client_secret")
}

// bearer returns the access token of a request.
func bearer(r *http.Request, form url.Values) string {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return token
	}
	if token := form.Get("access_token"); token != "" {
		return token
	}
	return form.Get("bearer_token")
}

// readForm returns the parameters of a request: those of the query, of a form
// for any method, and of a JSON object. A body that is none of these has none.
func readForm(r *http.Request) url.Values {
	form := r.URL.Query()
	if r.Body == nil {
		return form
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return form
	}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/x-www-form-urlencoded":
		values, _ := url.ParseQuery(string(body))
		for name, value := range values {
			form[name] = value
		}
	case "application/json":
		var values map[string]string
		json.Unmarshal(body, &values)
		for name, value := range values {
			form.Set(name, value)
		}
	}
	return form
}
