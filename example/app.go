package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/pat"
	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/markbates/goth"
	"github.com/markbates/goth/gothic"
)

// app is the web application. gothic does the login itself.
type app struct {
	http.Handler
	provider    *gumroad.Provider
	accounts    *accounts
	sessions    *scs.SessionManager
	crossOrigin *http.CrossOriginProtection
	test        bool // whether the provider logs in at the test server
}

// newApp returns the application that browsers open at base. It configures goth and
// gothic, whose configuration is global.
func newApp(provider *gumroad.Provider, db *database, base *url.URL, secret string, test bool) (*app, error) {
	a := &app{provider: provider, accounts: newAccounts(db, provider, secret), sessions: newSessions(db.sessions, base), test: test}
	// Behind a proxy, the Host can differ from the one in the browser.
	a.crossOrigin = http.NewCrossOriginProtection()
	if err := a.crossOrigin.AddTrustedOrigin(base.String()); err != nil {
		return nil, err
	}
	goth.UseProviders(provider)
	gothic.Store = newGothicStore(secret, base)
	// By default, gothic takes the state and the provider from the query, so a link
	// could choose them.
	gothic.SetState = func(*http.Request) string { return rand.Text() }
	gothic.GetProviderName = func(*http.Request) (string, error) { return provider.Name(), nil }

	router := pat.New()
	// Path, since pat's Get and Post also match longer paths.
	route := func(path string, h http.Handler, methods ...string) {
		router.Path(path).Methods(methods...).Handler(h)
		router.Path(path).Handler(a.page(func(w http.ResponseWriter, _ *http.Request, _ login) error {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			return notAllowed
		}))
	}
	route("/", a.page(a.start), "GET", "HEAD")
	route("/auth/gumroad", a.page(a.begin), "POST")
	route("/auth/gumroad/callback", a.page(a.callback), "GET") // no HEAD: a link scanner would use up the code
	route("/profile", a.page(a.profile), "GET", "HEAD")
	route("/profile/refetch", a.page(a.change(a.accounts.refetch, "/profile?done=fetched")), "POST")
	route("/products", a.page(a.products), "GET")
	route("/token/refresh", a.page(a.change(a.accounts.refresh, "/profile?done=refreshed")), "POST")
	route("/disconnect", a.page(a.disconnect), "POST")
	route("/logout", a.page(a.logout), "POST")
	route("/style.css", serveFile("style.css"), "GET", "HEAD")
	route("/icon.svg", serveFile("icon.svg"), "GET", "HEAD")
	nowhere := a.page(func(http.ResponseWriter, *http.Request, login) error { return notFound })
	router.NotFoundHandler = nowhere
	a.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// pat redirects such a path to its clean form, but does not escape it. Browsers
		// read "/\host" as another host.
		if r.URL.Path != path.Clean(r.URL.Path) {
			nowhere.ServeHTTP(w, r)
			return
		}
		router.ServeHTTP(w, r)
	})
	return a, nil
}

// handler answers a request or returns an error. The parameter who is the login of
// the session.
type handler func(w http.ResponseWriter, r *http.Request, who login) error

// page returns an http.Handler that calls h. It sets the headers of every page,
// refuses requests of other websites, loads the session and shows errors.
func (a *app) page(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		// Browsers also apply form-action to the redirect after the form.
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' https: data:; "+
			"form-action 'self' https://gumroad.com https://*.gumroad.com; base-uri 'none'; frame-ancestors 'none'")
		// With no-referrer, browsers would leave the Origin out of our own forms.
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Content-Type-Options", "nosniff")

		err := error(foreign)
		if a.crossOrigin.Check(r) == nil {
			var ctx context.Context
			var who login
			if ctx, who, err = a.loadSession(r); err == nil {
				err = h(w, r.WithContext(ctx), who)
			}
		}
		if err != nil {
			a.fail(w, err)
		}
	})
}

// start shows the start page.
func (a *app) start(w http.ResponseWriter, r *http.Request, who login) error {
	acc, err := a.accounts.find(r.Context(), who)
	v := view{Title: "Log in with Gumroad", Scopes: asked}
	switch {
	case err == nil:
		v.Account = &acc
	case errors.Is(err, errNotLoggedIn):
		v.Notice = farewells[r.URL.Query().Get("done")]
	default:
		return err
	}
	a.render(w, http.StatusOK, "start.html", v)
	return nil
}

// begin redirects the user to Gumroad.
func (a *app) begin(w http.ResponseWriter, r *http.Request, _ login) error {
	address, err := gothic.GetAuthURL(w, r)
	if err != nil {
		return err
	}
	// With the 307 of gothic's BeginAuthHandler, browsers would send the form to
	// Gumroad.
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// callback completes the login. Gumroad redirects the user here.
func (a *app) callback(w http.ResponseWriter, r *http.Request, who login) error {
	stored, err := gothic.GetFromSession(a.provider.Name(), r)
	if err != nil {
		return a.loginOver(r.Context(), who)
	}
	// gothic ends the login in progress at every callback, even at one with a wrong
	// state. Such a callback must change nothing.
	if a.state(stored) != gothic.GetState(r) {
		return mixedUp
	}
	user, err := gothic.CompleteUserAuth(w, r)
	// gothic sets its cookie twice: first with the tokens, then empty. Only the second
	// may reach the browser.
	w.Header().Del("Set-Cookie")
	if err := gothic.Logout(w, r); err != nil {
		return err
	}
	if err != nil {
		return loginProblem(r, err)
	}

	// Gumroad has issued new tokens. They must be stored even if the browser
	// disconnects.
	ctx := context.WithoutCancel(r.Context())
	if who, err = a.accounts.logIn(ctx, user); err != nil {
		return err
	}
	if err := a.beginSession(ctx, w, who); err != nil {
		return err
	}
	http.Redirect(w, r, "/profile", http.StatusSeeOther)
	return nil
}

// state returns the state of the login in progress, or "".
func (a *app) state(stored string) string {
	session, err := a.provider.UnmarshalSession(stored)
	if err != nil {
		return ""
	}
	address, _ := session.GetAuthURL()
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Query().Get("state")
}

// profile shows the user's profile.
func (a *app) profile(w http.ResponseWriter, r *http.Request, who login) error {
	acc, err := a.accounts.find(r.Context(), who)
	if err != nil {
		return err
	}
	a.render(w, http.StatusOK, "profile.html", view{
		Title: acc.Title(), Notice: notices[r.URL.Query().Get("done")], Scopes: asked, Account: &acc, Began: who.Began})
	return nil
}

// products shows the user's products. It is an example of a call to Gumroad's API.
func (a *app) products(w http.ResponseWriter, r *http.Request, who login) error {
	var page productPage
	key := r.URL.Query().Get("page_key")
	err := a.accounts.use(r.Context(), who, func(accessToken string) (err error) {
		page, err = fetchProducts(r.Context(), a.provider, accessToken, key)
		return err
	})
	if refused := (*gumroad.Error)(nil); key != "" && errors.As(err, &refused) && refused.StatusCode == http.StatusBadRequest {
		return notFound
	}
	if err != nil {
		return a.tokenProblem(w, r, err)
	}
	a.render(w, http.StatusOK, "products.html", view{Title: "Your products", Products: &page})
	return nil
}

// change returns a handler that calls do and then redirects to next.
func (a *app) change(do func(context.Context, login) error, next string) handler {
	return func(w http.ResponseWriter, r *http.Request, who login) error {
		if err := do(r.Context(), who); err != nil {
			return a.tokenProblem(w, r, err)
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
}

// disconnect revokes the tokens. If Gumroad confirms it, the user is logged out in
// all browsers.
func (a *app) disconnect(w http.ResponseWriter, r *http.Request, who login) error {
	err := a.accounts.disconnect(r.Context(), who)
	if errors.Is(err, errNotLoggedIn) || errors.Is(err, errUnreadable) {
		return a.tokenProblem(w, r, err)
	}
	if err != nil {
		log.Print(err)
		return notRevoked
	}
	if err := a.endSession(r.Context(), w); err != nil {
		return err
	}
	http.Redirect(w, r, "/?done=disconnected", http.StatusSeeOther)
	return nil
}

// logout logs the user out in this browser. The access granted at Gumroad remains.
func (a *app) logout(w http.ResponseWriter, r *http.Request, _ login) error {
	if err := a.endSession(r.Context(), w); err != nil {
		return err
	}
	http.Redirect(w, r, "/?done=loggedout", http.StatusSeeOther)
	return nil
}
