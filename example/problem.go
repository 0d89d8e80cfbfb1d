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

// problem is a page that says what went wrong, in plain words, with ways on.
type problem struct {
	Status int
	Title  string
	Text   string
	Ways   []way
}

func (p *problem) Error() string { return p.Title }

// way is a button, or a link where nothing is changed by following it.
type way struct {
	Label, Path string
	Post        bool
}

var (
	toLogin   = way{"Continue with Gumroad", "/auth/gumroad", true}
	toStart   = way{"Back to the start", "/", false}
	toProfile = way{"Back to your profile", "/profile", false}
)

var (
	denied = &problem{http.StatusForbidden, "You did not give access",
		"At Gumroad you chose not to give this application access. Nothing was changed, and nothing is kept.",
		[]way{toStart, toLogin}}
	over = &problem{http.StatusBadRequest, "This login is over",
		"A login can be finished once, within 15 minutes, and in the browser that began it. This one was finished before, took too long or began elsewhere.",
		[]way{toLogin, toStart}}
	mixedUp = &problem{http.StatusBadRequest, "This is not the login that you began",
		"What came back from Gumroad belongs to another login than the last one that this browser began, so nobody was logged in. If you began one in another tab, finish it there. Or begin again here.",
		[]way{toLogin, toStart}}
	codeRefused = &problem{http.StatusBadRequest, "Gumroad did not finish this login",
		"What Gumroad gives at the end of a login is good for ten minutes and only once. Begin again, and it should work.",
		[]way{toLogin, toStart}}
	notLoggedIn = &problem{http.StatusUnauthorized, "You are not logged in",
		"You logged out, or it has been a while. Log in to go on.",
		[]way{toLogin, toStart}}
	notAccepted = &problem{http.StatusUnauthorized, "Gumroad no longer accepts this login",
		"The access of this application was taken back, at Gumroad or elsewhere. You are logged out here as well. You can log in again at any time.",
		[]way{toLogin, toStart}}
	unreadable = &problem{http.StatusUnauthorized, "Please log in again",
		"This application can no longer read what it kept of your login. You are logged out. Nothing at Gumroad was changed.",
		[]way{toLogin, toStart}}
	gone = &problem{http.StatusUnauthorized, "Gumroad does not know this account",
		"Gumroad answered that the account of this login does not exist. It may have been deleted. You are not logged in here. You can log in with another account.",
		[]way{toLogin, toStart}}
	notRevoked = &problem{http.StatusBadGateway, "You may still be connected",
		"Gumroad did not confirm that it revoked the token, so this application may still have access to your account. You can try again now or later. If you only log out here, the access stays until you take it back in your settings at Gumroad.",
		[]way{{"Try again", "/disconnect", true}, {"Only log out here", "/logout", true}, toProfile}}
	gumroadDown = &problem{http.StatusBadGateway, "Gumroad is not answering",
		"Gumroad could not be reached, or had a problem of its own. You did nothing wrong. Wait a moment, then try again.",
		[]way{toLogin, toStart}}
	gumroadDownLater = &problem{http.StatusBadGateway, "Gumroad is not answering",
		"Gumroad could not be reached, or had a problem of its own. You did nothing wrong, and you are still logged in here. Wait a moment, then try again.",
		[]way{toProfile}}
	badSetup = &problem{http.StatusInternalServerError, "This application is not set up right",
		"Gumroad refuses its key, its secret or what it asks for. There is nothing that you can do. Whoever runs this application finds the reason in its log.",
		[]way{toStart}}
	foreign = &problem{http.StatusForbidden, "This came from another website",
		"A page of another website tried to do something here in your name. Nothing was done. If it was you, use the buttons on this site.",
		[]way{toStart}}
	notFound = &problem{http.StatusNotFound, "There is no such page",
		"The address may be mistyped, or the page is gone.",
		[]way{toStart}}
	notAllowed = &problem{http.StatusMethodNotAllowed, "This address is not for visiting",
		"It is what a button on this site is for.",
		[]way{toStart}}
	broken = &problem{http.StatusInternalServerError, "Something went wrong here",
		"This application has a fault. Whoever runs it finds more in its log.",
		[]way{toStart}}
)

// loginOver is for a callback that no login waits for. Who is logged in already
// is shown the way to the profile.
func (a *app) loginOver(ctx context.Context, who login) error {
	p := *over
	if _, err := a.accounts.find(ctx, who); err == nil {
		p.Ways = []way{toProfile, toStart}
	}
	return &p
}

// loginProblem says which page fits a login that failed.
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

// tokenProblem says which page fits a token that could not be used, and logs out
// who needs a new one.
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

// gumroadProblem says which page fits an error of the provider. It returns an error
// of our own as it is. down is the page for a Gumroad that does not answer.
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
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return down
	case status/100 == 4, setupCode.MatchString(refused.Code):
		return badSetup
	}
	return down
}

// setupCode matches the error codes of OAuth 2.0 that the operator must act on. Who
// must log in again has invalid_grant, which does not come here.
var setupCode = regexp.MustCompile(`^(invalid|unsupported|unauthorized)_`)

// hasCode reports whether Gumroad answered with this code.
func hasCode(err error, code string) bool {
	var refused *gumroad.Error
	return errors.As(err, &refused) && refused.Code == code
}

// fail answers with the page that fits err.
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
