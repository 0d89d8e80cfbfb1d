package gumroadtest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	gumroad "github.com/gumroad/goth-gumroad"
)

// Handle adds an endpoint to Gumroad's API. The pattern is one of
// [http.ServeMux], such as "GET /products/{id}". The endpoint is below /v2 and
// below /api/v2. The request that the handler gets has its whole path, such as
// /v2/products/42. Its Form holds the parameters of the query and of the body.
//
// As Gumroad does, the server checks the access token before it calls the
// handler. The token is in the Authorization header or in the parameter
// access_token. If it is missing, unknown or revoked, the answer is 401. If it
// has none of the scopes, the answer is 403. The scope account is always enough.
// If no scopes are given, the endpoint needs no token. [TokenUser] tells the
// handler whose token it is.
//
// Like ServeMux, Handle panics if the pattern is not valid or conflicts with an
// earlier one. "GET /user" exists already.
func (s *Server) Handle(pattern string, handler http.Handler, scopes ...string) {
	scopes = slices.Clone(scopes)
	var allowed func([]string) bool
	if len(scopes) > 0 {
		allowed = func(granted []string) bool {
			return slices.ContainsFunc(granted, func(scope string) bool {
				return scope == gumroad.ScopeAccount || slices.Contains(scopes, scope)
			})
		}
	}
	s.handleAPI(pattern, handler, allowed)
}

// handleAPI adds an endpoint to the API. A nil allowed means that it needs no
// token.
func (s *Server) handleAPI(pattern string, handler http.Handler, allowed func(scopes []string) bool) {
	before, path, found := strings.Cut(pattern, "/")
	if !found || strings.HasPrefix(path, "v2/") || strings.HasPrefix(path, "api/v2/") {
		panic(fmt.Sprintf("gumroadtest: Handle: the pattern %q must have a path, without /v2 at its beginning", pattern))
	}
	if handler == nil {
		panic("gumroadtest: Handle: the handler is nil")
	}
	checked := s.checkToken(handler, allowed)
	for _, prefix := range []string{"/v2/", "/api/v2/"} {
		s.handle(before+prefix+path, checked)
	}
}

// tokenKey is the context key for the *caller of a request.
type tokenKey struct{}

// caller is the user and the scopes of a request's access token.
type caller struct {
	user   User
	exists bool // false for a user that the server forgot
	scopes []string
}

// TokenUser returns the user of the access token in a request. It is for handlers
// of [Server.Handle]. It returns false if the request has no valid token, which is
// possible only at an endpoint without scopes, or if the server forgot the user.
func TokenUser(r *http.Request) (User, bool) {
	c, found := r.Context().Value(tokenKey{}).(*caller)
	if !found || !c.exists {
		return User{}, false
	}
	return c.user.clone(), true
}

// checkToken calls the handler if the request's token is valid and has a scope that
// allowed accepts.
func (s *Server) checkToken(handler http.Handler, allowed func(scopes []string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		token := s.accessToken(bearer(r))
		var c *caller
		if token != nil && !token.revoked {
			user := s.users.get(token.user)
			c = &caller{scopes: token.scopes, exists: user != nil}
			if c.exists {
				c.user = user.clone()
			}
		}
		s.mu.Unlock()

		switch {
		case c == nil && allowed != nil:
			description := invalidToken.description
			if token != nil {
				description = "The access token was revoked"
			}
			invalidToken.challenge(w, description)
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusUnauthorized)
		case allowed != nil && !allowed(c.scopes):
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
		default:
			if c != nil {
				r = r.WithContext(context.WithValue(r.Context(), tokenKey{}, c))
			}
			handler.ServeHTTP(w, r)
		}
	})
}
