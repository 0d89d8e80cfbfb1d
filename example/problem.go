package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"regexp"
	"strings"

	gumroad "github.com/gumroad/goth-gumroad"
)

// problem is a page that says in plain words what went wrong, and offers what to
// do next.
type problem struct {
	Status int
	Ways   []way
	Title  string
	Text   string
}

func (p *problem) Error() string { return p.Title }

// way is a button or, if it changes nothing, a link.
type way struct {
	Label, Path string
	Post        bool
}

var (
	toLogin   = way{"Continue with Gumroad", "/auth/gumroad", true}
	toStart   = way{"Back to the start", "/", false}
	toProfile = way{"Back to your profile", "/profile", false}
	again     = []way{toLogin, toStart}
	back      = []way{toStart}

	denied = &problem{http.StatusForbidden, again, "You did not give access",
		"You denied this application access at Gumroad. Nothing was changed."}
	over = &problem{http.StatusBadRequest, again, "This login is over",
		"A login can be finished once, within 15 minutes, in the browser that began it. This one was already finished, took too long or began in another browser."}
	mixedUp = &problem{http.StatusBadRequest, again, "This login doesn't match",
		"Gumroad's answer is not for the last login that this browser began. Nobody was logged in. If you began a login in another tab, finish it there. Otherwise, begin again here."}
	codeRefused = &problem{http.StatusBadRequest, again, "Gumroad did not finish this login",
		"Gumroad's authorization code works once, for ten minutes. Please log in again."}
	notLoggedIn = &problem{http.StatusUnauthorized, again, "You are not logged in",
		"You logged out, or your login has ended. Log in to continue."}
	notAccepted = &problem{http.StatusUnauthorized, again, "Gumroad no longer accepts this login",
		"This application's access was revoked. You are logged out here too. You can log in again at any time."}
	unreadable = &problem{http.StatusUnauthorized, again, "Please log in again",
		"This application can no longer read the tokens that it stored for you. You are logged out. Nothing was changed at Gumroad."}
	gone = &problem{http.StatusUnauthorized, again, "Gumroad does not know this account",
		"Gumroad answered that this account does not exist. It may have been deleted. You are not logged in here. You can log in with another account."}
	notRevoked = &problem{http.StatusBadGateway, []way{{"Try again", "/disconnect", true}, {"Only log out here", "/logout", true}, toProfile}, "You may still be connected",
		"Gumroad did not confirm that it revoked the token, so this application may still have access to your account. You can try again now or later. If you only log out here, the access remains until you revoke it in your settings at Gumroad."}
	gumroadDown = &problem{http.StatusBadGateway, again, "Gumroad is unavailable",
		"Gumroad could not be reached, or it returned an error. You did nothing wrong. Wait a moment, then try again."}
	gumroadDownLater = &problem{http.StatusBadGateway, []way{toProfile}, "Gumroad is unavailable",
		"Gumroad could not be reached, or it returned an error. You did nothing wrong. You are still logged in here. Wait a moment, then try again."}
	badSetup = &problem{http.StatusInternalServerError, back, "This application is not configured correctly",
		"Gumroad refused its key, its secret or its request. You cannot fix this. The operator of this application can find the reason in its log."}
	foreign = &problem{http.StatusForbidden, back, "This request came from another website",
		"A page of another website sent it in your name. Nothing was done. If you meant to do it, use the buttons on this site."}
	notFound = &problem{http.StatusNotFound, back, "This page does not exist",
		"The address may be mistyped, or the page may have been removed."}
	notAllowed = &problem{http.StatusMethodNotAllowed, back, "This page cannot be opened directly",
		"Use the button on this site."}
	broken = &problem{http.StatusInternalServerError, back, "Something went wrong here",
		"This application had an error. Its operator can find the reason in its log."}
)

// loginOver returns the page for a callback without a login in progress. If the
// user is already logged in, it leads to the profile.
func (a *app) loginOver(ctx context.Context, who login) error {
	p := *over
	if _, err := a.accounts.find(ctx, who); err == nil {
		p.Ways = []way{toProfile, toStart}
	}
	return &p
}

// loginProblem returns the page for a login that failed.
func loginProblem(r *http.Request, err error) error {
	query := r.URL.Query()
	switch {
	case errors.Is(err, gumroad.ErrAccessDenied):
		return denied
	case query.Get("code") == "" && query.Get("error") == "",
		hasCode(err, "invalid_grant"), errors.Is(err, gumroad.ErrUnauthorized):
		return codeRefused
	}
	return gumroadProblem(err, gumroadDown)
}

// tokenProblem returns the page for a token that could not be used. It logs the
// user out if only a new login helps.
func (a *app) tokenProblem(w http.ResponseWriter, r *http.Request, err error) error {
	var page *problem
	switch {
	case errors.Is(err, errUnreadable):
		log.Print(err)
		page = unreadable
	case errors.Is(err, gumroad.ErrUnauthorized), hasCode(err, "invalid_grant"):
		page = notAccepted
	default:
		if err = gumroadProblem(err, gumroadDownLater); err != gone {
			return err
		}
		page = gone
	}
	if err := a.endSession(r.Context(), w); err != nil {
		return err
	}
	return page
}

// gumroadProblem returns the page for an error of the provider, and any other error
// as it is. The page down says that Gumroad is unavailable.
func gumroadProblem(err error, down *problem) error {
	if !strings.HasPrefix(err.Error(), "gumroad: ") {
		return err
	}
	log.Print(err)
	var refused *gumroad.Error
	if !errors.As(err, &refused) {
		return down
	}
	switch status := refused.StatusCode; {
	case refused.Description == "The user was not found.":
		return gone
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests,
		refused.Code == "server_error", refused.Code == "temporarily_unavailable":
		return down
	case status/100 == 4, setupCode.MatchString(refused.Code):
		return badSetup
	}
	return down
}

// setupCode matches the error codes of OAuth 2.0 that only the operator can act on.
// The callers handle invalid_grant: that user must log in again.
var setupCode = regexp.MustCompile(`^(invalid|unsupported|unauthorized)_`)

// hasCode reports whether Gumroad answered with this error code.
func hasCode(err error, code string) bool {
	var refused *gumroad.Error
	return errors.As(err, &refused) && refused.Code == code
}

// fail answers with the page for err.
func (a *app) fail(w http.ResponseWriter, err error) {
	p := broken
	switch {
	case errors.As(err, &p):
	case errors.Is(err, errNotLoggedIn):
		p = notLoggedIn
	default:
		log.Print(err)
	}
	a.render(w, p.Status, "problem.html", view{Title: p.Title, Problem: p})
}
