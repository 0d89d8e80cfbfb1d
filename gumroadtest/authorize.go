package gumroadtest

import (
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// codeLifetime is how long an authorization code is valid at Gumroad.
const codeLifetime = 10 * time.Minute

// grant is what a user granted. It exists until its code is used.
type grant struct {
	user            string
	scopes          []string
	redirectURI     string
	challenge       string
	challengeMethod string
	expires         time.Time
}

// Authorize presses the button "Authorize" on the authorization page, for the
// logged-in user. authURL is the URL that the application redirected to: the page at
// gumroad.com or the page of this server. Authorize returns the callback URL, with
// the code and the state.
//
// It returns an error if authURL is not the URL of the page, or if Gumroad would
// show an error page instead of the authorization page. The error says why.
func (s *Server) Authorize(authURL string) (callbackURL string, err error) {
	return s.press(authURL, s.approve)
}

// Deny presses the button "Deny" on the authorization page. It returns the callback
// URL, with the error access_denied. It fails as [Server.Authorize] does.
func (s *Server) Deny(authURL string) (callbackURL string, err error) {
	return s.press(authURL, s.deny)
}

func (s *Server) press(authURL string, decide func(url.Values) string) (string, error) {
	if authURL == "" {
		return "", errors.New("gumroadtest: the URL of the authorization page is empty: the application did not redirect")
	}
	address, err := url.Parse(authURL)
	if err != nil {
		return "", fmt.Errorf("gumroadtest: reading the URL of the authorization page: %w", err)
	}
	page := strings.ToLower(address.Scheme+"://"+address.Host) + address.Path
	pages := []string{"https://gumroad.com" + AuthorizePath, "https://app.gumroad.com" + AuthorizePath, s.URL + AuthorizePath}
	if !slices.Contains(pages, page) {
		return "", fmt.Errorf("gumroadtest: %s is not the authorization page, which is one of %s", page, strings.Join(pages, ", "))
	}
	form := address.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	refused := s.checkRequest(form)
	if refused == nil {
		return decide(form), nil
	}
	err = fmt.Errorf("gumroadtest: opening the authorization page: %s: %s", refused.code, refused.description)
	if refused == invalidRedirectURI {
		err = fmt.Errorf("%w (%q %s)", err, form.Get("redirect_uri"), s.checkRedirectURI(form.Get("redirect_uri")))
	}
	return "", err
}

// checkRequest returns what is wrong with an authorization request, or nil. It checks
// in Doorkeeper's order, and sets the defaults in form. The caller holds s.mu.
func (s *Server) checkRequest(form url.Values) *oauthError {
	if form.Get("response_type") == "" {
		form.Set("response_type", "code")
	}
	if strings.TrimSpace(form.Get("scope")) == "" {
		// Gumroad's default scope, which a new application may not request.
		form.Set("scope", "view_public")
	}
	unknown := func(scope string) bool { return !slices.Contains(s.app.Scopes, scope) }
	switch {
	case form.Get("client_id") == "":
		return missing("client_id")
	case form.Get("client_id") != s.ClientID:
		return invalidClient
	case s.checkRedirectURI(form.Get("redirect_uri")) != "":
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

// approve creates a code and returns the callback URL with it. The caller holds s.mu
// and has checked the request.
func (s *Server) approve(form url.Values) string {
	code := random()
	s.grants.put(code, &grant{
		user:            s.user,
		scopes:          splitScopes(form.Get("scope")),
		redirectURI:     form.Get("redirect_uri"),
		challenge:       form.Get("code_challenge"),
		challengeMethod: form.Get("code_challenge_method"),
		expires:         s.now().Add(codeLifetime),
	})
	return callback(form, "code", code)
}

// deny returns the callback URL with the error access_denied.
func (s *Server) deny(form url.Values) string {
	return callback(form, "error", accessDenied.code, "error_description", accessDenied.description)
}

// callback returns the redirect URI with these names and values, and with the state
// if there is one.
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

func (s *Server) serveAuthorizationPage(w http.ResponseWriter, r *http.Request) {
	form := r.Form
	s.mu.Lock()
	refused := s.checkRequest(form)
	scopes := splitScopes(form.Get("scope"))
	page := authorizationPage{Application: s.app.Name, User: s.users.get(s.user).clone(), Scopes: describe(scopes), Form: form}
	var granted string
	if refused == nil && s.app.Confidential && s.consents[newConsent(s.user, scopes)] > 0 {
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

// serveDecision answers a request of a button on the page.
func (s *Server) serveDecision(decide func(url.Values) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		refused := s.checkRequest(r.Form)
		var location string
		if refused == nil {
			location = decide(r.Form)
		}
		s.mu.Unlock()

		switch refused {
		case nil:
			redirect(w, location)
		case invalidScope, unsupportedResponseType, invalidChallengeMethod:
			redirect(w, callback(r.Form, "error", refused.code, "error_description", refused.description))
		default:
			body := refused.json()
			if state := r.Form.Get("state"); state != "" {
				body["state"] = state
			}
			w.Header().Set("Cache-Control", "no-cache")
			writeJSON(w, refused.status, body)
		}
	}
}

func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusFound)
	fmt.Fprintf(w, `<html><body>You are being <a href="%s">redirected</a>.</body></html>`, html.EscapeString(location))
}
