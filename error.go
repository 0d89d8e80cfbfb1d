package gumroad

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/oauth2"
)

// ErrAccessDenied says that the user did not let the application in. It is what
// [Session.Authorize] returns, inside an [*Error], for the callback of a login
// that the user denied. Test for it with [errors.Is].
var ErrAccessDenied = errors.New("gumroad: the user denied access")

// ErrUnauthorized says that Gumroad no longer takes this access token: it was
// revoked, or replaced by a refresh. It is what [Provider.FetchUser] returns,
// inside an [*Error], when Gumroad answers 401. The user must log in again. Test
// for it with [errors.Is].
var ErrUnauthorized = errors.New("gumroad: the access token is no longer valid")

// Error is what Gumroad answered instead of success. Take it from a returned
// error with [errors.As]. Where x/oauth2 made the request, its RetrieveError can
// be had from it in the same way, with no more of the answer than the status and
// a body without what is confidential.
type Error struct {
	// StatusCode is the HTTP status of the answer. It is zero at the callback,
	// which is a request of the browser and has none.
	StatusCode int

	// Code is the error code of RFC 6749 or 7009, such as "invalid_grant", and
	// empty where Gumroad named none.
	Code string

	// Description is what Gumroad said about it, for a developer's eyes: cut to
	// a readable length, and with what could be confidential left out.
	Description string

	doing  string
	advice string
	cause  error
}

// Error says what was being done, what Gumroad answered and what can be done
// about it, in less than 1,000 characters.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString("gumroad: ")
	if e.doing != "" {
		text.WriteString(e.doing + ": ")
	}
	text.WriteString("Gumroad answered")
	if e.StatusCode != 0 {
		text.WriteString(strings.TrimRight(fmt.Sprintf(" %d %s", e.StatusCode, http.StatusText(e.StatusCode)), " "))
		if e.Code != "" {
			text.WriteString(",")
		}
	}
	if e.Code != "" {
		text.WriteString(" " + e.Code)
	}
	if e.Description != "" {
		text.WriteString(": " + e.Description)
	}
	if e.advice != "" {
		text.WriteString(" (" + e.advice + ")")
	}
	return text.String()
}

// Unwrap returns [ErrAccessDenied], [ErrUnauthorized], x/oauth2's RetrieveError
// or nil.
func (e *Error) Unwrap() error { return e.cause }

// newError describes an answer of Gumroad's, without what is in secrets.
func newError(doing string, status int, code, description string, secrets ...string) *Error {
	return &Error{
		StatusCode:  status,
		Code:        redact(code, secrets...),
		Description: redact(description, secrets...),
		doing:       doing,
		advice:      advice(status, code),
	}
}

// advice says what the caller can do about an answer, as far as the answer alone
// tells.
func advice(status int, code string) string {
	switch {
	case code == "access_denied":
		return "the user said no, and may start again"
	case code == "invalid_grant":
		return "the user must log in again"
	case code == "invalid_client", code == "unauthorized_client":
		return "check the client key and the secret"
	case code == "invalid_request", code == "unsupported_response_type":
		return "check how the provider is set up"
	case code == "invalid_scope":
		return "check the scopes that the application asks for"
	case status == 0, status == http.StatusOK, status == http.StatusTooManyRequests, status >= 500:
		return "try again later"
	}
	return "check how the provider is set up"
}

// wrap returns err with what was being done. It is an *Error where err says what
// the token endpoint answered. What err wraps goes on only from where all of it
// is as short as ours and holds none of secrets.
func wrap(doing string, err error, secrets ...string) error {
	// Not with errors.As, which would take what an application's own transport
	// got from elsewhere for Gumroad's answer.
	if refused, ok := err.(*oauth2.RetrieveError); ok {
		var answer struct{ Message string }
		_ = json.Unmarshal(refused.Body, &answer)
		e := newError(doing, refused.Response.StatusCode, refused.ErrorCode, cmp.Or(refused.ErrorDescription, answer.Message), secrets...)
		e.cause = &oauth2.RetrieveError{
			// No more of it: the request has the secret, a header may have it too.
			Response:         &http.Response{Status: redact(refused.Response.Status, secrets...), StatusCode: e.StatusCode},
			Body:             []byte(redact(string(refused.Body), secrets...)),
			ErrorCode:        e.Code,
			ErrorDescription: e.Description,
		}
		return e
	}
	text := redact(err.Error(), secrets...)
	for link := err; link != nil; link = errors.Unwrap(link) {
		_, branches := link.(interface{ Unwrap() []error })
		if branches || redact(link.Error(), secrets...) != link.Error() {
			err = errors.Unwrap(link)
		}
	}
	return &failure{"gumroad: " + doing + ": no usable answer from Gumroad: " + text + " (check the connection and the provider's endpoints, or try again later)", err}
}

// failure is an error with a text of its own in place of its cause's.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

const (
	hidden  = "[hidden]"
	maxText = 240 // in runes, of what a server said

	// tokenLike is what tokens are made of, as they are and as they stand in a
	// form. A word of at least minToken such characters may be one that we do not
	// know, such as the new one in a spoiled answer: the longest error code has
	// 29 characters, Doorkeeper's codes and tokens have 43.
	tokenLike = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_%+=~-"
	minToken  = 32

	// A longer one is nothing of Gumroad's, but a code that a visitor made up so
	// that it takes long to look for.
	maxSecret = 1024 // bytes
)

// redact makes text that came from elsewhere fit for an error: on one line,
// short, and without secrets.
func redact(text string, secrets ...string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, hide(text, secrets...))
	// In one pass, since there may be megabytes of it.
	var fit strings.Builder
	for text != "" && fit.Len() <= 4*maxText {
		rest := strings.TrimLeft(text, tokenLike)
		if word := text[:len(text)-len(rest)]; len(word) < minToken {
			fit.WriteString(word)
		} else {
			fit.WriteString(hidden)
		}
		text = strings.TrimLeftFunc(rest, func(r rune) bool { return !strings.ContainsRune(tokenLike, r) })
		fit.WriteString(rest[:len(rest)-len(text)])
	}
	runes := []rune(fit.String())
	if len(runes) > maxText {
		return strings.TrimSpace(string(runes[:maxText])) + "…"
	}
	return strings.TrimSpace(string(runes))
}

// hide takes secrets out of text, as they are and as they stand in a form and in
// JSON.
func hide(text string, secrets ...string) string {
	var pairs []string
	for _, secret := range secrets {
		if secret != "" && len(secret) <= maxSecret {
			quoted, _ := json.Marshal(secret)
			inJSON := string(quoted[1 : len(quoted)-1])
			pairs = append(pairs, secret, hidden, url.QueryEscape(secret), hidden, inJSON, hidden)
		}
	}
	// At once, since a short one can be a part of hidden.
	return strings.NewReplacer(pairs...).Replace(text)
}
