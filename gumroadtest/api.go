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

// Handle adds an endpoint to Gumroad's API. The pattern is one of [http.ServeMux]
// without a host, such as "GET /products/{id}". The endpoint is below /v2 and
// /api/v2, and the handler always gets a path below /v2, such as /v2/products/42.
// FormValue, PostFormValue, Form and PostForm hold the parameters as Rails reads them,
// and Body can be read as well. The answer is sent when the handler returns.
//
// As Gumroad does, the server first checks the access token in the Authorization
// header or in the parameter access_token. If it is missing, unknown or revoked, the
// answer is 401 with an empty body. If it has neither one of the scopes nor the scope
// account, the answer is 403 with an empty body. For media, pages and the profile
// layout, account is not enough, and the 403 then has the JSON "This endpoint requires
// the … scope." Without scopes, any token is enough. [TokenUser] tells the handler
// whose token it is. With [NoToken] in place of scopes, no token is needed.
//
// Handle panics if Gumroad does not have one of the scopes. Like ServeMux, it panics
// if the pattern is not valid or conflicts with an earlier one, such as "GET /user".
func (s *Server) Handle(pattern string, handler http.Handler, scopes ...string) {
	s.lock()()
	parts := regexp.MustCompile(`^(\S+[ \t]+)?(/.*)$`).FindStringSubmatch(pattern)
	if parts == nil || strings.HasPrefix(parts[2], "/v2/") || strings.HasPrefix(parts[2], "/api/v2/") {
		panic(fmt.Sprintf("gumroadtest: Handle: the pattern %q must have a path, without a host and without /v2 at its beginning", pattern))
	}
	if handler == nil {
		panic("gumroadtest: Handle: the handler is nil")
	}
	path, needed, open := parts[2], slices.Clone(scopes), slices.Equal(scopes, []string{NoToken})
	if !open {
		mustExist(scopes, "Handle")
	}
	s.endpoint.HandleFunc(parts[1]+"/v2"+path, func(w http.ResponseWriter, r *http.Request) {
		var refused *oauthError
		value := bearer(r)
		unlock := s.lock()
		switch token := s.tokens[value]; {
		case token == nil || token.access != value:
			refused = invalidToken.because("the access token is missing or unknown")
		case token.revoked:
			refused = &revokedToken
		default:
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller{s.users[token.user], token.scopes}))
			refused = missingScope(path, token.scopes, needed)
		}
		unlock()

		if refused == nil || open {
			handler.ServeHTTP(w, r)
			return
		}
		explain(w, refused.why)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "text/html")
		switch {
		case refused.status == http.StatusUnauthorized:
			refused.challenge(w)
		case refused.description != "":
			writeJSON(w, refused.status, map[string]any{"success": false, "message": refused.description})
			return
		}
		w.WriteHeader(refused.status)
	})
}

// callerKey is the context key for the caller of a request.
type callerKey struct{}

// caller is the user and the scopes of a request's access token.
type caller struct {
	user   User
	scopes []string
}

// TokenUser returns the user of the access token in the request of a handler of
// [Server.Handle]. It returns false if there is no valid token, which only an endpoint
// with [NoToken] allows.
func TokenUser(r *http.Request) (User, bool) {
	c, found := r.Context().Value(callerKey{}).(caller)
	return c.user.clone(), found
}

// accountIsNotEnough matches the paths of the endpoints that need a scope other than
// account.
var accountIsNotEnough = regexp.MustCompile(`^/(media|pages)(/|$)|profile_layout`)

// missingScope refuses a token that has none of the needed scopes. Its description
// is the message of the answer, if there is one.
func missingScope(path string, granted, needed []string) *oauthError {
	account := slices.Contains(granted, gumroad.ScopeAccount)
	if len(needed) == 0 || overlap(granted, needed) || account && !accountIsNotEnough.MatchString(path) {
		return nil
	}
	refused := oauthError{status: http.StatusForbidden}.because("the token has the scopes %q, and the endpoint needs one of %q", granted, needed)
	if account {
		refused.description = "This endpoint requires the " + needed[0] + " scope."
	}
	return refused
}
