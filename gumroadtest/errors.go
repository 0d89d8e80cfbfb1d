package gumroadtest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// oauthError is an error of Doorkeeper.
type oauthError struct {
	status      int
	code        string
	description string
	why         string // what Doorkeeper does not say
}

var (
	invalidClient           = oauthError{http.StatusUnauthorized, "invalid_client", "Client authentication failed due to unknown client, no client authentication included, or unsupported authentication method.", ""}
	invalidGrant            = oauthError{http.StatusBadRequest, "invalid_grant", "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client.", ""}
	invalidScope            = oauthError{http.StatusBadRequest, "invalid_scope", "The requested scope is invalid, unknown, or malformed.", ""}
	unsupportedGrantType    = oauthError{http.StatusBadRequest, "unsupported_grant_type", "The authorization grant type is not supported by the authorization server.", ""}
	unsupportedResponseType = oauthError{http.StatusBadRequest, "unsupported_response_type", "The authorization server does not support this response type.", ""}
	unsupportedResponseMode = oauthError{http.StatusBadRequest, "unsupported_response_mode", "The authorization server does not support this response mode.", ""}
	invalidRedirectURI      = oauthError{http.StatusBadRequest, "invalid_redirect_uri", "The requested redirect uri is malformed or doesn't match client redirect URI.", ""}
	invalidChallengeMethod  = oauthError{http.StatusBadRequest, "invalid_code_challenge_method", "The code challenge method must be plain or S256.", ""}
	accessDenied            = oauthError{0, "access_denied", "The resource owner or authorization server denied the request.", ""}
	unauthorizedClient      = oauthError{http.StatusForbidden, "unauthorized_client", "You are not authorized to revoke this token", ""}
	invalidToken            = oauthError{http.StatusUnauthorized, "invalid_token", "The access token is invalid", ""}
)

// missing is the error for a missing parameter.
func missing(parameter string) *oauthError {
	return &oauthError{http.StatusBadRequest, "invalid_request", "Missing required parameter: " + parameter + ".", parameter + " is missing"}
}

// because returns the error with its reason.
func (e oauthError) because(format string, args ...any) *oauthError {
	e.why = fmt.Sprintf(format, args...)
	return &e
}

// json returns the body of the error.
func (e oauthError) json() map[string]any {
	return map[string]any{"error": e.code, "error_description": e.description}
}

// challenge sets the header WWW-Authenticate, as Doorkeeper does for most of its
// errors. Its scheme is Bearer even if the client used Basic.
func (e oauthError) challenge(w http.ResponseWriter, description string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q, error=%q, error_description=%q", "Doorkeeper", e.code, description))
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // of strings and numbers
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(data)
}
