package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/pat"
	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/example/accounts"
	"github.com/markbates/goth"
	"github.com/markbates/goth/gothic"
)

// app is the web application. gothic does the login itself.
type app struct {
	http.Handler
	provider    *gumroad.Provider
	accounts    *accounts.Store
	sessions    *scs.SessionManager
	crossOrigin *http.CrossOriginProtection
	test        bool // whether the provider logs in at the test server
}

// newApp returns the application that browsers open at base. It configures goth and
// gothic, whose configuration is global.
func newApp(ctx context.Context, provider *gumroad.Provider, db *database, base *url.URL, secret string, test bool) (*app, error) {
	store, err := accounts.New(ctx, db.DB, provider, secret)
	if err != nil {
		return nil, err
	}
	a := &app{provider: provider, accounts: store, sessions: newSessions(db.sessions, base), test: test}
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
		router.Path(path).Handler(a.page(func(w http.ResponseWriter, _ *http.Request, _ *user) error {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			return notAllowed
		}))
	}
	route("/", a.page(a.start), "GET", "HEAD")
	route("/auth/gumroad", a.page(a.begin), "POST")
	route("/auth/gumroad/callback", a.page(a.callback), "GET") // no HEAD: a link scanner would use up the code
	route("/profile", a.loggedIn(a.profile), "GET", "HEAD")
	route("/profile/refetch", a.loggedIn(change(store.Refetch, "/profile?done=fetched")), "POST")
	route("/products", a.loggedIn(a.products), "GET")
	route("/token/refresh", a.loggedIn(change(store.Refresh, "/profile?done=refreshed")), "POST")
	route("/disconnect", a.loggedIn(a.disconnect), "POST")
	route("/logout", a.page(a.logout), "POST")
	for _, name := range []string{"style.css", "icon.svg", "back.js"} {
		route("/"+name, serveFile(name), "GET", "HEAD")
	}
	router.NotFoundHandler = a.page(func(http.ResponseWriter, *http.Request, *user) error { return notFound })
	// pat itself redirects a path to its clean form without escaping it, and browsers read
	// "/\host" as another host. Its mux.Router can leave that out.
	a.Handler = router.SkipClean(true)
	return a, nil
}

// handler answers a request or returns an error. The user is nil if nobody is logged in.
type handler func(w http.ResponseWriter, r *http.Request, me *user) error

// page returns an http.Handler that calls h. It sets the headers of every page,
// refuses requests of other websites, loads the session and shows errors.
func (a *app) page(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		// Browsers also apply form-action to the redirect after the form.
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; "+
			"form-action 'self' https://gumroad.com https://*.gumroad.com; base-uri 'none'; frame-ancestors 'none'")
		// With no-referrer, browsers would leave the Origin out of our own forms.
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Content-Type-Options", "nosniff")

		var me *user
		err := error(foreign)
		if a.crossOrigin.Check(r) == nil {
			var ctx context.Context
			if ctx, me, err = a.loadSession(r); err == nil {
				r = r.WithContext(ctx)
				err = h(w, r, me)
			}
		}
		if err != nil {
			a.fail(w, r, me, err)
		}
	})
}

// loggedIn returns a page for which somebody must be logged in.
func (a *app) loggedIn(h handler) http.Handler {
	return a.page(func(w http.ResponseWriter, r *http.Request, me *user) error {
		if me == nil {
			return accounts.ErrNoAccount
		}
		return h(w, r, me)
	})
}

// start shows the start page.
func (a *app) start(w http.ResponseWriter, r *http.Request, me *user) error {
	v := view{Title: "Log in with Gumroad", Me: me}
	if me == nil {
		v.Notice = notices[r.URL.RequestURI()]
	}
	a.render(w, http.StatusOK, "start.html", v)
	return nil
}

// begin redirects the user to Gumroad.
func (a *app) begin(w http.ResponseWriter, r *http.Request, _ *user) error {
	address, err := gothic.GetAuthURL(w, r)
	if err != nil {
		return fmt.Errorf("beginning the login: %w", err) // Gumroad was not asked
	}
	// With the 307 of gothic's BeginAuthHandler, browsers would send the form to Gumroad.
	return seeOther(w, r, address, nil)
}

// callback completes the login. Gumroad redirects the user here.
func (a *app) callback(w http.ResponseWriter, r *http.Request, _ *user) error {
	stored, err := gothic.GetFromSession(a.provider.Name(), r)
	if err != nil {
		return over
	}
	// gothic ends the login in progress at every callback. One with a wrong state must
	// change nothing, since any website can link to it.
	session, err := a.provider.UnmarshalSession(stored)
	if err != nil {
		return over
	}
	address, _ := session.GetAuthURL()
	begun, err := url.Parse(address)
	if state := gothic.GetState(r); err != nil || state == "" || state != begun.Query().Get("state") {
		return mixedUp
	}
	// Without a code there is nothing to exchange. The login stays in progress, so that
	// reloading the page shows the same again.
	if query := r.URL.Query(); query.Get("error") != "" {
		_, err := session.Authorize(a.provider, query)
		return err
	} else if query.Get("code") == "" {
		return codeRefused
	}
	user, err := gothic.CompleteUserAuth(w, r)
	// gothic sets its cookie twice: first with the tokens, then empty. Only the second
	// may reach the browser.
	w.Header().Del("Set-Cookie")
	if err := cmp.Or(gothic.Logout(w, r), err); err != nil {
		return err
	}
	account, err := a.accounts.LogIn(r.Context(), user)
	if err == nil {
		err = a.beginSession(r.Context(), w, account)
	}
	return seeOther(w, r, "/profile", err)
}

// profile shows the user's profile.
func (a *app) profile(w http.ResponseWriter, r *http.Request, me *user) error {
	a.render(w, http.StatusOK, "profile.html", view{Title: me.Title(), Notice: notices[r.URL.RequestURI()], Me: me})
	return nil
}

// products shows the user's products. It is an example of a call to Gumroad's API.
func (a *app) products(w http.ResponseWriter, r *http.Request, me *user) error {
	var page productPage
	key := r.URL.Query().Get("page_key")
	err := a.accounts.Use(r.Context(), me.UserID, func(accessToken string) (err error) {
		page, err = fetchProducts(r.Context(), a.provider, accessToken, key)
		return err
	})
	if refused := (*gumroad.Error)(nil); key != "" && errors.As(err, &refused) && slices.Contains(notAKey, refused.StatusCode) {
		return notFound
	}
	if err != nil {
		return err
	}
	a.render(w, http.StatusOK, "products.html", view{Title: "Your products", Me: me, Products: &page})
	return nil
}

// notAKey are the statuses for a key that is wrong or too long.
var notAKey = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge}

// change returns a handler that calls do and then redirects to next.
func change(do func(context.Context, string) error, next string) handler {
	return func(w http.ResponseWriter, r *http.Request, me *user) error {
		return seeOther(w, r, next, do(r.Context(), me.UserID))
	}
}

// seeOther redirects to next if err is nil. Otherwise, it returns err.
func seeOther(w http.ResponseWriter, r *http.Request, next string, err error) error {
	if err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
	}
	return err
}

// disconnect revokes the tokens. If Gumroad confirms it, the user is logged out in
// all browsers.
func (a *app) disconnect(w http.ResponseWriter, r *http.Request, me *user) error {
	err := a.accounts.Disconnect(r.Context(), me.UserID)
	if fromGumroad(err) {
		return fmt.Errorf("%w: %w", notRevoked, err)
	}
	if err == nil {
		err = a.endSession(r.Context(), w)
	}
	return seeOther(w, r, "/?done=disconnected", err)
}

// logout logs the user out in this browser. The access granted at Gumroad remains.
func (a *app) logout(w http.ResponseWriter, r *http.Request, _ *user) error {
	return seeOther(w, r, "/?done=loggedout", a.endSession(r.Context(), w))
}
