package gumroadtest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// grant is what a user granted with a code.
type grant struct {
	user                       string
	scopes                     []string
	redirectURI                string
	challenge, challengeMethod string
	expires                    time.Time
	used                       bool
}

// Authorize presses the button "Authorize" on the authorization page, for the
// logged-in user. authURL is the URL that the application redirected to: the page at
// gumroad.com or the page of this server. Authorize returns the callback URL, with
// the code and the state. It returns an error that says why if authURL is not the
// page, or if Gumroad would show an error page instead.
func (s *Server) Authorize(authURL string) (callbackURL string, err error) {
	return s.press(authURL, s.approve, nil)
}

// AuthorizeAs is like [Server.Authorize] for the given user, who does not become the
// logged-in user, so tests can run in parallel on one server. If an earlier user has
// the same ID, AuthorizeAs replaces that user's profile.
func (s *Server) AuthorizeAs(user User, authURL string) (callbackURL string, err error) {
	return s.press(authURL, s.approve, &user)
}

// Deny presses the button "Deny" on the authorization page. It returns the callback
// URL, with the error access_denied. It fails as [Server.Authorize] does.
func (s *Server) Deny(authURL string) (callbackURL string, err error) {
	return s.press(authURL, s.deny, nil)
}

// AutoAnswer makes the authorization page answer by itself from now on: it presses
// "Authorize" for the logged-in user if authorize is true, and "Deny" otherwise. A
// client that follows redirects and keeps cookies, such as [Server.Client], then
// makes a whole login with one request to the program.
func (s *Server) AutoAnswer(authorize bool) {
	defer s.lock()()
	s.auto = s.deny
	if authorize {
		s.auto = s.approve
	}
}

// press presses a button on the page for the given user, or for the logged-in user
// if there is none.
func (s *Server) press(authURL string, press button, user *User) (callbackURL string, err error) {
	defer s.lock()()
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
	form, err := asRails(url.ParseQuery(address.RawQuery))
	if err != nil {
		return "", fmt.Errorf("gumroadtest: reading the query of the authorization page: %w", err)
	}
	if refused := s.checkRequest(form); refused != nil {
		return "", fmt.Errorf("gumroadtest: opening the authorization page: %s: %s (%s)", refused.code, refused.description, refused.why)
	}
	if user != nil {
		return press(form, s.keep(*user)), nil
	}
	return press(form, s.user), nil
}

// checkRequest returns what is wrong with an authorization request, or nil. It checks
// in Doorkeeper's order, and sets the defaults in form. The caller holds s.mu.
func (s *Server) checkRequest(form url.Values) *oauthError {
	form.Set("response_type", cmp.Or(form.Get("response_type"), "code"))
	form.Set("scope", cmp.Or(form.Get("scope"), "view_public")) // which a new application may not request
	id, uri := form.Get("client_id"), form.Get("redirect_uri")
	registered := append(strings.Fields(strings.Join(s.app.RedirectURIs, " ")), s.callbacks...)
	switch {
	case id == "":
		return missing("client_id")
	case id != s.ClientID:
		return s.unknownClient(id)
	case parseRedirectURI(uri) == nil:
		return invalidRedirectURI.because("%q is not an absolute URL with an allowed scheme, a host, no fragment, and its special characters percent-encoded", uri)
	case !slices.ContainsFunc(registered, func(r string) bool { return sameRedirectURI(uri, r) }):
		return invalidRedirectURI.because("%q is not registered; registered are %q", uri, registered)
	case form.Get("response_type") != "code":
		return unsupportedResponseType.because("response_type is %q, not \"code\"", form.Get("response_type"))
	case !slices.Contains([]string{"", "query", "fragment"}, form.Get("response_mode")):
		return unsupportedResponseMode.because("response_mode is %q; the test server has query and fragment", form.Get("response_mode"))
	}
	if refused := checkScopes(form.Get("scope"), s.app.Scopes); refused != nil {
		return refused
	}
	if method := form.Get("code_challenge_method"); form.Get("code_challenge") != "" && method != "plain" && method != "S256" {
		return invalidChallengeMethod.because("code_challenge_method is %q", method)
	}
	return nil
}

// button is what a button on the page does with a request that checkRequest accepts,
// for the user with this id. It returns the callback URL. The caller holds s.mu.
type button func(form url.Values, user string) (callbackURL string)

// approve creates a code.
func (s *Server) approve(form url.Values, user string) string {
	code := random()
	s.grants[code] = &grant{
		user:            user,
		scopes:          splitScopes(form.Get("scope")),
		redirectURI:     form.Get("redirect_uri"),
		challenge:       form.Get("code_challenge"),
		challengeMethod: form.Get("code_challenge_method"),
		expires:         s.now().Add(10 * time.Minute),
	}
	return callback(form, "code="+code)
}

// deny creates the error access_denied.
func (s *Server) deny(form url.Values, _ string) string { return accessDenied.callback(form) }

// callback returns the redirect URI with this query, and with the state if there is
// one.
func callback(form url.Values, query string) string {
	if state := form.Get("state"); state != "" {
		query += "&state=" + url.QueryEscape(state)
	}
	separator := "?"
	switch {
	case form.Get("response_type") == "token" || form.Get("response_mode") == "fragment":
		separator = "#"
	case strings.Contains(form.Get("redirect_uri"), "?"):
		separator = "&"
	}
	return form.Get("redirect_uri") + separator + query
}

// serveAuthorization answers a request for the page, and one of a button on it.
func (s *Server) serveAuthorization(w http.ResponseWriter, r *http.Request) {
	defer s.lock()()
	refused := s.checkRequest(r.Form)
	scopes := splitScopes(r.Form.Get("scope"))
	pressed := r.Method == http.MethodPost || r.Method == http.MethodDelete
	press := s.auto
	switch {
	case r.Method == http.MethodDelete:
		press = s.deny
	case pressed, s.app.Confidential && s.consented(scopes):
		press = s.approve
	}
	w.Header().Set("Cache-Control", "no-cache")
	var location string
	switch {
	case refused == nil && press == nil:
		w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate")
		writePage(w, http.StatusOK, "authorize", map[string]any{
			"Application": s.app.Name, "User": s.users[s.user], "Scopes": scopes, "Meanings": meanings, "Form": r.Form,
			// What the buttons send, in Doorkeeper's order.
			"Fields": []string{"client_id", "redirect_uri", "state", "response_type", "response_mode", "scope", "code_challenge", "code_challenge_method"},
		})
		return
	case refused == nil:
		location = press(r.Form, s.user)
	case !pressed:
		explain(w, refused.why)
		writePage(w, refused.status, "error", refused.description)
		return
	case slices.Contains([]string{invalidClient.code, invalidRedirectURI.code, "invalid_request"}, refused.code):
		refused.write(w, r.Form.Get("state"))
		return
	default:
		explain(w, refused.why)
		location = refused.callback(r.Form)
	}
	w.Header().Set("Location", location)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusFound)
}
