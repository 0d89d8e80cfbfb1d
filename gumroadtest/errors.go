package gumroadtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// oauthError is an error of Doorkeeper.
type oauthError struct {
	status      int
	code        string
	description string
	why         string // what Doorkeeper does not say
}

var (
	invalidClient           = oauthError{401, "invalid_client", "Client authentication failed due to unknown client, no client authentication included, or unsupported authentication method.", ""}
	invalidGrant            = oauthError{400, "invalid_grant", "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client.", ""}
	invalidScope            = oauthError{400, "invalid_scope", "The requested scope is invalid, unknown, or malformed.", ""}
	unsupportedGrantType    = oauthError{400, "unsupported_grant_type", "The authorization grant type is not supported by the authorization server.", ""}
	unsupportedResponseType = oauthError{400, "unsupported_response_type", "The authorization server does not support this response type.", ""}
	unsupportedResponseMode = oauthError{400, "unsupported_response_mode", "The authorization server does not support this response mode.", ""}
	invalidRedirectURI      = oauthError{400, "invalid_redirect_uri", "The requested redirect uri is malformed or doesn't match client redirect URI.", ""}
	invalidChallengeMethod  = oauthError{400, "invalid_code_challenge_method", "The code challenge method must be plain or S256.", ""}
	accessDenied            = oauthError{0, "access_denied", "The resource owner or authorization server denied the request.", ""}
	unauthorizedClient      = oauthError{403, "unauthorized_client", "You are not authorized to revoke this token", ""}
	invalidToken            = oauthError{401, "invalid_token", "The access token is invalid", ""}
	revokedToken            = oauthError{401, "invalid_token", "The access token was revoked", "the access token was revoked"}
)

// missing is the error for a missing parameter.
func missing(parameter string) *oauthError {
	return &oauthError{400, "invalid_request", "Missing required parameter: " + parameter + ".", parameter + " is missing"}
}

// because returns the error with its reason.
func (e oauthError) because(format string, args ...any) *oauthError {
	e.why = fmt.Sprintf(format, args...)
	return &e
}

// callback returns the callback URL that tells the application of the error.
func (e oauthError) callback(form url.Values) string {
	return callback(form, "error="+e.code+"&error_description="+url.QueryEscape(e.description))
}

// challenge sets the header WWW-Authenticate, as Doorkeeper does for most of its
// errors. Its scheme is Bearer even if the client used Basic.
func (e oauthError) challenge(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q, error=%q, error_description=%q", "Doorkeeper", e.code, e.description))
}

// write answers with the error, and with the state if there is one.
func (e oauthError) write(w http.ResponseWriter, state string) {
	explain(w, e.why)
	body := map[string]any{"error": e.code, "error_description": e.description}
	if state != "" {
		body["state"] = state
	}
	writeJSON(w, e.status, body)
}

// reasonHeader is the header of an answer that says why the server refused the
// request. A developer sees it in other languages and in curl, too.
const reasonHeader = "Gumroadtest-Reason"

// explain says why the server refuses a request.
func explain(w http.ResponseWriter, why string) { w.Header().Set(reasonHeader, why) }

// refuse refuses a request with the status and a line of text.
func refuse(w http.ResponseWriter, status int, why string) {
	explain(w, why)
	http.Error(w, "gumroadtest: "+why, status)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}
