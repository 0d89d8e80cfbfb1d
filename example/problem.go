package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"regexp"
	"strings"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/example/accounts"
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
		"You denied this app access at Gumroad. Nothing was changed."}
	over = &problem{http.StatusBadRequest, again, "This login is over",
		"A login can be finished once, within 15 minutes, in the browser that began it. This one was already finished, took too long or began in another browser."}
	mixedUp = &problem{http.StatusBadRequest, again, "This login doesn't match",
		"Gumroad's answer is not for the last login that this browser began. Nobody was logged in. If you began a login in another tab, finish it there. Otherwise, begin again here."}
	codeRefused = &problem{http.StatusBadRequest, again, "Gumroad did not finish this login",
		"Gumroad's answer to a login can be used once, within ten minutes. Please log in again."}
	notLoggedIn = &problem{http.StatusUnauthorized, again, "You are not logged in",
		"You logged out, or your login has ended. Log in to continue."}
	notAccepted = &problem{http.StatusUnauthorized, again, "Gumroad no longer accepts this login",
		"This app's access to your account was revoked. You are logged out in all browsers. You can log in again at any time."}
	unreadable = &problem{http.StatusUnauthorized, again, "Please log in again",
		"This app can no longer use the access that you gave it. You are logged out. Nothing was changed at Gumroad."}
	gone = &problem{http.StatusUnauthorized, again, "Gumroad does not know this account",
		"Gumroad answered that this account does not exist. It may have been deleted. You can log in with another account."}
	notRevoked = &problem{http.StatusBadGateway, []way{{"Try again", "/disconnect", true}, {"Only log out here", "/logout", true}, toProfile}, "You may still be connected",
		"Gumroad did not confirm that it ended this app's access, so the app may still have access to your account. You can try again now or later. If you only log out here, the access remains until you revoke it in your settings at Gumroad."}
	gumroadDown = &problem{http.StatusBadGateway, again, "Gumroad is unavailable",
		"Gumroad could not be reached, or it returned an error. You did nothing wrong. Wait a moment, then try again."}
	badSetup = &problem{http.StatusInternalServerError, back, "This app is not configured correctly",
		"Gumroad refused its key, its secret or its request. You cannot fix this. The operator of this app can find the reason in its log."}
	foreign = &problem{http.StatusForbidden, back, "This request came from another website",
		"A page of another website sent it in your name. Nothing was done. If you meant to do it, use the buttons on this site."}
	notFound = &problem{http.StatusNotFound, back, "This page does not exist",
		"The address may be mistyped, or the page may have been removed."}
	notAllowed = &problem{http.StatusMethodNotAllowed, back, "This page cannot be opened directly",
		"Use the button on this site."}
	broken = &problem{http.StatusInternalServerError, back, "Something went wrong here",
		"This app had an error. Its operator can find the reason in its log."}
)

// pageFor returns the page for any error.
func pageFor(err error) *problem {
	var p *problem
	var answer *gumroad.Error
	errors.As(err, &answer)
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, gumroad.ErrAccessDenied):
		return denied
	case errors.Is(err, accounts.ErrNoAccount):
		return notLoggedIn
	case errors.Is(err, accounts.ErrUnreadable):
		return unreadable
	case answer != nil && answer.Description == "The user was not found.":
		return gone
	case errors.Is(err, accounts.ErrRefused):
		return notAccepted
	case !fromGumroad(err):
		return broken
	case errors.Is(err, gumroad.ErrUnauthorized), answer != nil && answer.Code == "invalid_grant":
		return codeRefused // a stored token would be ErrRefused
	case answer == nil, answer.Code == "server_error", answer.Code == "temporarily_unavailable",
		answer.StatusCode == http.StatusRequestTimeout, answer.StatusCode == http.StatusTooManyRequests:
		return gumroadDown
	case answer.StatusCode/100 == 4, setupCode.MatchString(answer.Code):
		return badSetup
	}
	return gumroadDown
}

// fromGumroad reports whether err says that Gumroad refused a request, did not answer it,
// or is so slow that another request still waits for it.
func fromGumroad(err error) bool {
	var answer *gumroad.Error
	return err != nil && (errors.As(err, &answer) || errors.Is(err, errNoAnswer) || errors.Is(err, accounts.ErrBusy) || strings.HasPrefix(err.Error(), "gumroad: "))
}

// setupCode matches the error codes of OAuth 2.0 that only the operator can act on.
var setupCode = regexp.MustCompile(`^(invalid|unsupported|unauthorized)_`)

// fail answers with the page for err. If only a new login helps, it logs the user out.
func (a *app) fail(w http.ResponseWriter, r *http.Request, me *user, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the browser has given up
	}
	p := pageFor(err)
	loginEnded := errors.Is(err, accounts.ErrNoAccount) || errors.Is(err, accounts.ErrRefused) || errors.Is(err, accounts.ErrUnreadable)
	if me != nil && loginEnded {
		if notEnded := a.endSession(r.Context(), w); notEnded != nil {
			p, err = broken, notEnded
		} else {
			me = nil
		}
	}
	if p.Status >= 500 || p == unreadable {
		log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	shown := *p
	if me != nil && &p.Ways[0] == &again[0] {
		shown.Ways = []way{toProfile, toStart}
	}
	a.render(w, p.Status, "problem.html", view{Title: p.Title, Me: me, Problem: &shown})
}
