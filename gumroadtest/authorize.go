package gumroadtest

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// codeLifetime is how long an authorization code is good, at Gumroad.
const codeLifetime = 10 * time.Minute

// grant is what a user allowed: an authorization code that was not used yet.
type grant struct {
	user            string
	scopes          []string
	redirectURI     string
	challenge       string
	challengeMethod string
	expires         time.Time
}

// Authorize does what the user who is logged in does on the authorization page
// at authURL: it presses the button "Authorize". It returns the address that the
// browser is sent back to, with the code and the state. The error says what the
// page says if the request is not one that can be authorized.
func (s *Server) Authorize(authURL string) (callbackURL string, err error) {
	return s.press(authURL, s.approve)
}

// Deny does what [Server.Authorize] does with the button "Deny". The address
// that it returns has the error access_denied.
func (s *Server) Deny(authURL string) (callbackURL string, err error) {
	return s.press(authURL, s.deny)
}

func (s *Server) press(authURL string, decide func(url.Values) string) (string, error) {
	address, err := url.Parse(authURL)
	if err != nil {
		return "", fmt.Errorf("gumroadtest: reading the authorization URL: %w", err)
	}
	form := address.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	if refused := s.checkRequest(form); refused != nil {
		return "", fmt.Errorf("gumroadtest: opening the authorization page: %s: %s", refused.code, refused.description)
	}
	return decide(form), nil
}

// checkRequest returns what is wrong with an authorization request, in
// Doorkeeper's order, and fills in what may be left out. The caller holds s.mu.
func (s *Server) checkRequest(form url.Values) *oauthError {
	if form.Get("response_type") == "" {
		form.Set("response_type", "code")
	}
	if strings.TrimSpace(form.Get("scope")) == "" {
		// The only default scope, which a new application may not ask for.
		form.Set("scope", "view_public")
	}
	unknown := func(scope string) bool { return !slices.Contains(s.app.Scopes, scope) }
	redirectURI := form.Get("redirect_uri")
	switch {
	case form.Get("client_id") == "":
		return missing("client_id")
	case form.Get("client_id") != s.ClientID:
		return invalidClient
	case !slices.ContainsFunc(s.app.RedirectURIs, func(uri string) bool { return sameRedirectURI(redirectURI, uri) }):
		return invalidRedirectURI
	case form.Get("response_type") != "code":
		return unsupportedResponseType
	case slices.ContainsFunc(strings.Fields(form.Get("scope")), unknown):
		return invalidScope
	case form.Get("code_challenge") != "" && !slices.Contains([]string{"plain", "S256"}, form.Get("code_challenge_method")):
		return invalidChallengeMethod
	}
	return nil
}

// sameRedirectURI compares as Doorkeeper does: to the letter, but for a query
// that was added and for the port of a loopback address.
func sameRedirectURI(given, registered string) bool {
	g, err := url.Parse(given)
	if err != nil || given == "" {
		return false
	}
	r, err := url.Parse(registered)
	if err != nil {
		return false
	}
	if r.RawQuery == "" {
		g.RawQuery = ""
	}
	if ip := net.ParseIP(r.Hostname()); ip != nil && ip.IsLoopback() && g.Hostname() == r.Hostname() {
		g.Host = r.Host
	}
	return g.String() == r.String()
}

// approve makes a code and returns where it goes. The caller holds s.mu and has
// checked the request.
func (s *Server) approve(form url.Values) string {
	code := random()
	s.grants[code] = &grant{
		user:            s.user,
		scopes:          splitScopes(form.Get("scope")),
		redirectURI:     form.Get("redirect_uri"),
		challenge:       form.Get("code_challenge"),
		challengeMethod: form.Get("code_challenge_method"),
		expires:         s.now().Add(codeLifetime),
	}
	return callback(form, "code", code)
}

// deny returns where the browser goes when the user says no.
func (s *Server) deny(form url.Values) string {
	return callback(form, "error", accessDenied.code, "error_description", accessDenied.description)
}

// callback returns the redirect URI with these names and values, and with the
// state where there is one.
func callback(form url.Values, pairs ...string) string {
	if state := form.Get("state"); state != "" {
		pairs = append(pairs, "state", state)
	}
	var query []string
	for pair := range slices.Chunk(pairs, 2) {
		query = append(query, pair[0]+"="+url.QueryEscape(pair[1]))
	}
	separator := "?"
	if strings.Contains(form.Get("redirect_uri"), "?") {
		separator = "&"
	}
	if form.Get("response_type") == "token" {
		separator = "#"
	}
	return form.Get("redirect_uri") + separator + strings.Join(query, "&")
}

// splitScopes returns each scope once.
func splitScopes(scope string) []string {
	var scopes []string
	for _, name := range strings.Fields(scope) {
		if !slices.Contains(scopes, name) {
			scopes = append(scopes, name)
		}
	}
	return scopes
}

func sameScopes(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func (s *Server) serveAuthorizationPage(w http.ResponseWriter, form url.Values) {
	s.mu.Lock()
	refused := s.checkRequest(form)
	page := authorizationPage{Application: s.app.Name, User: s.users[s.user], Scopes: describe(splitScopes(form.Get("scope"))), Form: form}
	var granted string
	if refused == nil && s.app.Confidential && s.hasToken(page.User.ID, splitScopes(form.Get("scope"))) {
		granted = s.approve(form)
	}
	s.mu.Unlock()

	switch {
	case refused != nil:
		w.Header().Set("Cache-Control", "no-cache")
		writePage(w, refused.status, errorPage{Description: refused.description})
	case granted != "":
		redirect(w, granted)
	default:
		w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate")
		writePage(w, http.StatusOK, page)
	}
}

// hasToken reports whether the user has a token with just these scopes, and so
// need not be asked again. The caller holds s.mu.
func (s *Server) hasToken(user string, scopes []string) bool {
	for _, token := range s.tokens {
		if token.user == user && !token.revoked && sameScopes(token.scopes, scopes) {
			return true
		}
	}
	return false
}

// serveDecision answers a button of the page, or the same request without it.
func (s *Server) serveDecision(w http.ResponseWriter, form url.Values, decide func(url.Values) string) {
	s.mu.Lock()
	refused := s.checkRequest(form)
	var location string
	if refused == nil {
		location = decide(form)
	}
	s.mu.Unlock()

	switch refused {
	case nil:
		redirect(w, location)
	case invalidScope, unsupportedResponseType, invalidChallengeMethod:
		redirect(w, callback(form, "error", refused.code, "error_description", refused.description))
	default:
		body := refused.json()
		if state := form.Get("state"); state != "" {
			body["state"] = state
		}
		w.Header().Set("Cache-Control", "no-cache")
		writeJSON(w, refused.status, body)
	}
}

func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusFound)
	fmt.Fprintf(w, `<html><body>You are being <a href="%s">redirected</a>.</body></html>`, html.EscapeString(location))
}
