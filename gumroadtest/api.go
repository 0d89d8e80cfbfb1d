package gumroadtest

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	gumroad "github.com/gumroad/goth-gumroad"
)

// NoToken, in place of scopes, makes an endpoint of [Server.Handle] open. At Gumroad
// only POST /licenses/verify is.
const NoToken = "no token"

// Handle adds an endpoint to Gumroad's API. The pattern is one of
// [http.ServeMux] without a host, such as "GET /products/{id}". The endpoint is
// below /v2 and below /api/v2. The request that the handler gets has the path below
// /v2, such as /v2/products/42. FormValue, PostFormValue, Form and PostForm hold its
// parameters as Rails reads them, and Body can be read as well. The answer is sent
// when the handler returns.
//
// As Gumroad does, the server checks the access token before it calls the handler.
// The token is in the Authorization header or in the parameter access_token. If it
// is missing, unknown or revoked, the answer is 401 with an empty body. If it has
// neither one of the scopes nor the scope account, the answer is 403 with an empty
// body. For media, pages and the profile layout, the scope account is not enough:
// the answer is then 403 with the JSON "This endpoint requires the … scope." Without
// scopes, a token with any scope is enough. [TokenUser] tells the handler whose token
// it is. With [NoToken] in place of scopes, the endpoint needs no token.
//
// Handle panics if Gumroad does not have one of the scopes. Like ServeMux, it panics
// if the pattern is not valid or conflicts with an earlier one. "GET /user" exists
// already.
func (s *Server) Handle(pattern string, handler http.Handler, scopes ...string) {
	s.lock()()
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		method, path = "", pattern
	}
	path = strings.TrimLeft(path, " \t")
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "/v2/") || strings.HasPrefix(path, "/api/v2/") {
		panic(fmt.Sprintf("gumroadtest: Handle: the pattern %q must have a path, without a host and without /v2 at its beginning", pattern))
	}
	if handler == nil {
		panic("gumroadtest: Handle: the handler is nil")
	}
	var check func([]string) *oauthError
	if !slices.Equal(scopes, []string{NoToken}) {
		mustExist(scopes, "Handle")
		needed := slices.Clone(scopes)
		check = func(granted []string) *oauthError { return missingScope(path, granted, needed) }
	}
	s.endpoint.Handle(strings.TrimLeft(method+" /v2"+path, " "), s.checkToken(handler, check))
}

// accountIsNotEnough matches the paths of the endpoints that need a scope other than
// account.
var accountIsNotEnough = regexp.MustCompile(`^/(media|pages)(/|$)|profile_layout`)

// missingScope refuses a token that has none of the needed scopes. Its description
// is the message of the answer, if there is one.
func missingScope(path string, granted, needed []string) *oauthError {
	strict := accountIsNotEnough.MatchString(path)
	if len(needed) == 0 || slices.ContainsFunc(granted, func(scope string) bool {
		return slices.Contains(needed, scope) || scope == gumroad.ScopeAccount && !strict
	}) {
		return nil
	}
	refused := oauthError{}.because("the token has the scopes %q, and the endpoint needs one of %q", granted, needed)
	if slices.Contains(granted, gumroad.ScopeAccount) {
		refused.description = "This endpoint requires the " + needed[0] + " scope."
	}
	return refused
}

// tokenKey is the context key for the *caller of a request.
type tokenKey struct{}

// caller is the user and the scopes of a request's access token.
type caller struct {
	user   User
	scopes []string
}

// TokenUser returns the user of the access token in a request. It is for handlers
// of [Server.Handle]. It returns false if the request has no valid token, which is
// possible only at an endpoint with [NoToken].
func TokenUser(r *http.Request) (User, bool) {
	c, found := r.Context().Value(tokenKey{}).(*caller)
	if !found {
		return User{}, false
	}
	return c.user.clone(), true
}

// checkToken calls the handler if the request's token is valid and check does not
// refuse its scopes. If check is nil, the request needs no token.
func (s *Server) checkToken(handler http.Handler, check func(scopes []string) *oauthError) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value := bearer(r)
		unlock := s.lock()
		token := s.tokens[value]
		if token != nil && token.access != value {
			token = nil // a refresh token
		}
		valid := token != nil && !token.revoked
		if valid {
			r = r.WithContext(context.WithValue(r.Context(), tokenKey{}, &caller{s.users[token.user], token.scopes}))
		}
		unlock()

		var refused *oauthError
		status := http.StatusForbidden
		switch {
		case check == nil:
		case valid:
			refused = check(token.scopes)
		case token != nil:
			status, refused = http.StatusUnauthorized, invalidToken.because("the access token was revoked")
			refused.challenge(w, "The access token was revoked")
		default:
			status, refused = http.StatusUnauthorized, invalidToken.because("the access token is missing or unknown")
			refused.challenge(w, refused.description)
		}
		if refused == nil {
			handler.ServeHTTP(w, r)
			return
		}
		explain(w, refused.why)
		if status == http.StatusForbidden && refused.description != "" {
			writeJSON(w, status, map[string]any{"success": false, "message": refused.description})
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
	})
}
