package gumroadtest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// codeLifetime is how long an authorization code is valid at Gumroad.
const codeLifetime = 10 * time.Minute

// grant is what a user granted with a code.
type grant struct {
	user            string
	scopes          []string
	redirectURI     string
	challenge       string
	challengeMethod string
	expires         time.Time
	used            bool
}

// Authorize presses the button "Authorize" on the authorization page, for the
// logged-in user. authURL is the URL that the application redirected to: the page at
// gumroad.com or the page of this server. Authorize returns the callback URL, with
// the code and the state.
//
// It returns an error if authURL is not the URL of the page, or if Gumroad would
// show an error page instead of the authorization page. The error says why.
func (s *Server) Authorize(authURL string) (callbackURL string, err error) {
	return s.press(authURL, func() (decision, string) { return s.approve, s.user })
}

// AuthorizeAs is like [Server.Authorize], for the given user, who need not be the
// logged-in user and does not become it. Tests that run in parallel on one server
// can so log in different users. If an earlier user has the same ID, AuthorizeAs
// replaces that user's profile.
func (s *Server) AuthorizeAs(user User, authURL string) (callbackURL string, err error) {
	return s.press(authURL, func() (decision, string) { return s.approve, s.keep(user) })
}

// Deny presses the button "Deny" on the authorization page. It returns the callback
// URL, with the error access_denied. It fails as [Server.Authorize] does.
func (s *Server) Deny(authURL string) (callbackURL string, err error) {
	return s.press(authURL, func() (decision, string) { return s.deny, "" })
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

// press returns the callback URL after a decision of a user.
func (s *Server) press(authURL string, who func() (decision, string)) (string, error) {
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
	form, err := parseParameters(address.RawQuery)
	if err != nil {
		return "", fmt.Errorf("gumroadtest: reading the query of the authorization page: %w", err)
	}
	if refused := s.checkRequest(form); refused != nil {
		return "", fmt.Errorf("gumroadtest: opening the authorization page: %s: %s (%s)", refused.code, refused.description, refused.why)
	}
	decide, user := who()
	return decide(form, user), nil
}

// checkRequest returns what is wrong with an authorization request, or nil. It checks
// in Doorkeeper's order, and sets the defaults in form. The caller holds s.mu.
func (s *Server) checkRequest(form url.Values) *oauthError {
	for name, value := range map[string]string{
		"response_type": "code",
		"scope":         "view_public", // which a new application may not request
	} {
		if form.Get(name) == "" {
			form.Set(name, value)
		}
	}
	if form.Get("client_id") == "" {
		return missing("client_id")
	}
	if id := form.Get("client_id"); id != s.ClientID {
		return invalidClient.because("client_id is %q, but the application's is %q", id, s.ClientID)
	}
	uri, registered := form.Get("redirect_uri"), s.redirectURIs()
	if parseRedirectURI(uri) == nil {
		return invalidRedirectURI.because("%q is not an absolute URL with an allowed scheme, a host, no fragment, and its special characters percent-encoded", uri)
	}
	if !slices.ContainsFunc(registered, func(r string) bool { return sameRedirectURI(uri, r) }) {
		return invalidRedirectURI.because("%q is not registered; registered are %q", uri, registered)
	}
	if given := form.Get("response_type"); given != "code" {
		return unsupportedResponseType.because("response_type is %q, not \"code\"", given)
	}
	if given := form.Get("response_mode"); !slices.Contains([]string{"", "query", "fragment"}, given) {
		return unsupportedResponseMode.because("response_mode is %q; the test server has query and fragment", given)
	}
	if why := checkScopes(form.Get("scope"), s.app.Scopes); why != "" {
		return invalidScope.because("%s", why)
	}
	if given := form.Get("code_challenge_method"); form.Get("code_challenge") != "" && given != "plain" && given != "S256" {
		return invalidChallengeMethod.because("code_challenge_method is %q", given)
	}
	return nil
}

// decision is what a button on the page does with a request that checkRequest
// accepts, for the user with this id. It returns the callback URL. The caller holds
// s.mu.
type decision func(form url.Values, user string) string

// approve creates a code.
func (s *Server) approve(form url.Values, user string) string {
	code := random()
	s.grants[code] = &grant{
		user:            user,
		scopes:          splitScopes(form.Get("scope")),
		redirectURI:     form.Get("redirect_uri"),
		challenge:       form.Get("code_challenge"),
		challengeMethod: form.Get("code_challenge_method"),
		expires:         s.now().Add(codeLifetime),
	}
	return callback(form, "code", code)
}

// deny creates the error access_denied.
func (s *Server) deny(form url.Values, _ string) string {
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
	if form.Get("response_type") == "token" || form.Get("response_mode") == "fragment" {
		separator = "#"
	}
	return form.Get("redirect_uri") + separator + strings.Join(query, "&")
}

// pageFields are the parameters that the buttons send, in Doorkeeper's order.
var pageFields = []string{"client_id", "redirect_uri", "state", "response_type", "response_mode", "scope", "code_challenge", "code_challenge_method"}

func (s *Server) serveAuthorizationPage(w http.ResponseWriter, r *http.Request) {
	unlock := s.lock()
	refused := s.checkRequest(r.Form)
	scopes := splitScopes(r.Form.Get("scope"))
	page := map[string]any{"Application": s.app.Name, "User": s.users[s.user], "Scopes": scopes, "Meanings": meanings, "Form": r.Form, "Fields": pageFields}
	decide := s.auto
	if s.app.Confidential && s.consented(scopes) {
		decide = s.approve
	}
	var location string
	if refused == nil && decide != nil {
		location = decide(r.Form, s.user)
	}
	unlock()

	switch {
	case refused != nil:
		explain(w, refused.why)
		w.Header().Set("Cache-Control", "no-cache")
		writePage(w, refused.status, "error", refused.description)
	case location != "":
		redirect(w, location)
	default:
		w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate")
		writePage(w, http.StatusOK, "authorize", page)
	}
}

// serveDecision answers a request of a button on the page.
func (s *Server) serveDecision(decide decision) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		unlock := s.lock()
		refused := s.checkRequest(r.Form)
		var location string
		if refused == nil {
			location = decide(r.Form, s.user)
		}
		unlock()

		if refused == nil {
			redirect(w, location)
			return
		}
		explain(w, refused.why)
		switch refused.code {
		case invalidClient.code, invalidRedirectURI.code, "invalid_request":
			body := refused.json()
			if state := r.Form.Get("state"); state != "" {
				body["state"] = state
			}
			w.Header().Set("Cache-Control", "no-cache")
			writeJSON(w, refused.status, body)
		default:
			redirect(w, callback(r.Form, "error", refused.code, "error_description", refused.description))
		}
	}
}

func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusFound)
}
