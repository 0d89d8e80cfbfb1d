package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gorilla/pat"
	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/markbates/goth"
	"github.com/markbates/goth/gothic"
)

// app is the web application. The login itself is gothic's work.
type app struct {
	http.Handler
	provider *gumroad.Provider
	base     string // scheme and host, as browsers see them
	test     bool   // whether the provider logs in at the test server
	store    store
}

// newApp returns the application that browsers find at base. It sets up goth and
// gothic, which have one configuration for the whole program.
func newApp(provider *gumroad.Provider, base, sessionSecret string, test bool) *app {
	a := &app{provider: provider, base: base, test: test, store: newMemory()}
	goth.UseProviders(provider)
	gothic.Store = newGothicStore(sessionSecret, a.secure())
	// gothic would take the state and the provider from the query if they are
	// there, and whoever makes a link could choose them.
	gothic.SetState = func(*http.Request) string { return rand.Text() }
	gothic.GetProviderName = func(r *http.Request) (string, error) { return providerName(r), nil }

	// Path, since pat's own Get and Post match whatever begins like the path.
	router := pat.New()
	get := func(path string, h handler) { router.Path(path).Methods("GET", "HEAD").Handler(a.page(h)) }
	post := func(path string, h handler) { router.Path(path).Methods("POST").Handler(a.page(h)) }
	get("/", a.start)
	post("/auth/{provider}", a.begin)
	get("/auth/{provider}/callback", a.callback)
	get("/profile", a.profile)
	post("/profile/refetch", a.refetch)
	post("/token/refresh", a.refresh)
	post("/disconnect", a.disconnect)
	post("/logout", a.logout)
	for _, name := range []string{"style.css", "icon.svg"} {
		router.Path("/"+name).Methods("GET", "HEAD").Handler(serveFile(name))
	}
	nowhere := a.page(func(http.ResponseWriter, *http.Request) error { return notFound })
	router.NotFoundHandler = nowhere
	router.MethodNotAllowedHandler = a.page(func(w http.ResponseWriter, r *http.Request) error {
		allowed := "GET, HEAD"
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			allowed = "POST"
		}
		w.Header().Set("Allow", allowed)
		return notAllowed
	})
	a.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// pat would redirect to the path without the dots and slashes too many,
		// unescaped: browsers take "/\host" for the address of another host.
		if r.URL.Path != path.Clean(r.URL.Path) {
			nowhere.ServeHTTP(w, r)
			return
		}
		router.ServeHTTP(w, r)
	})
	return a
}

func (a *app) secure() bool { return strings.HasPrefix(a.base, "https://") }

// providerName returns the provider in the path. pat adds it to the query, after
// what a link may have there, and a link may have more there than can be read.
func providerName(r *http.Request) string {
	names := r.URL.Query()[":provider"]
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

// start shows the page with the button.
func (a *app) start(w http.ResponseWriter, r *http.Request) error {
	l, err := a.store.Login(r.Context(), a.loginID(r))
	if err != nil && !errors.Is(err, errNoLogin) {
		return err
	}
	v := view{Title: "Log in with Gumroad", Scopes: asked, Profile: profileOf(l)}
	if v.Profile == nil {
		v.Notice = farewells[r.URL.Query().Get("done")]
	}
	a.render(w, http.StatusOK, "start.html", v)
	return nil
}

// begin sends the user to Gumroad.
func (a *app) begin(w http.ResponseWriter, r *http.Request) error {
	if _, err := goth.GetProvider(providerName(r)); err != nil {
		return notFound
	}
	address, err := gothic.GetAuthURL(w, r)
	if err != nil {
		return err
	}
	// 303, where gothic's BeginAuthHandler has 307, which would send the form on
	// to Gumroad.
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// callback is where Gumroad sends the user back to.
func (a *app) callback(w http.ResponseWriter, r *http.Request) error {
	name := providerName(r)
	if _, err := goth.GetProvider(name); err != nil {
		return notFound
	}
	if _, err := gothic.GetFromSession(name, r); err != nil {
		return a.loginOver(r)
	}
	user, err := gothic.CompleteUserAuth(w, r)
	// gothic stores the session, with the tokens, before it deletes it. Only the
	// deletion may reach the browser.
	w.Header().Del("Set-Cookie")
	if err := gothic.Logout(w, r); err != nil {
		return err
	}
	if err != nil {
		return loginProblem(r, err)
	}

	// There is a new pair of tokens, so from here on it goes to the end, even if
	// the browser goes away.
	ctx := context.WithoutCancel(r.Context())
	// Always a new id: one that somebody knew before is good for nothing.
	if err := a.store.LogOut(ctx, a.loginID(r)); err != nil {
		return err
	}
	id, before, err := a.store.LogIn(ctx, newAccount(user))
	if err != nil {
		return err
	}
	// Gumroad's tokens do not expire, so none is left behind on purpose.
	if before.User.AccessToken != "" {
		if err := a.provider.RevokeToken(ctx, before.User.AccessToken); err != nil {
			log.Print(err)
		}
	}
	a.setLoginID(w, id)
	http.Redirect(w, r, "/profile", http.StatusSeeOther)
	return nil
}

// profile shows who is logged in.
func (a *app) profile(w http.ResponseWriter, r *http.Request) error {
	l, err := a.store.Login(r.Context(), a.loginID(r))
	if err != nil {
		return err
	}
	profile := profileOf(l)
	a.render(w, http.StatusOK, "profile.html", view{
		Title:   profile.Title(),
		Notice:  notices[r.URL.Query().Get("done")],
		Scopes:  asked,
		Profile: profile,
	})
	return nil
}

// refetch asks Gumroad again who the user is.
func (a *app) refetch(w http.ResponseWriter, r *http.Request) error {
	err := a.store.Update(r.Context(), a.loginID(r), func(kept *account) error {
		user, err := a.provider.FetchUser(&gumroad.Session{
			AccessToken:  kept.User.AccessToken,
			RefreshToken: kept.User.RefreshToken,
			ExpiresAt:    kept.User.ExpiresAt,
		})
		if err != nil {
			return err
		}
		if user.UserID != kept.User.UserID {
			return errors.New("fetching the profile again: it is another user's")
		}
		refreshed := kept.Refreshed
		*kept = newAccount(user)
		kept.Refreshed = refreshed
		return nil
	})
	if err != nil {
		return a.tokenProblem(w, r, err)
	}
	http.Redirect(w, r, "/profile?done=fetched", http.StatusSeeOther)
	return nil
}

// refresh exchanges the tokens for new ones.
func (a *app) refresh(w http.ResponseWriter, r *http.Request) error {
	err := a.store.Update(r.Context(), a.loginID(r), func(kept *account) error {
		token, err := a.provider.RefreshToken(kept.User.RefreshToken)
		if err == nil {
			kept.User.AccessToken, kept.User.RefreshToken = token.AccessToken, token.RefreshToken
			kept.User.ExpiresAt, kept.Refreshed = token.Expiry, time.Now()
		}
		return err
	})
	if err != nil {
		return a.tokenProblem(w, r, err)
	}
	http.Redirect(w, r, "/profile?done=refreshed", http.StatusSeeOther)
	return nil
}

// disconnect has Gumroad revoke the tokens, and logs the user out only then: as
// long as Gumroad has not confirmed it, the user must be able to try again.
func (a *app) disconnect(w http.ResponseWriter, r *http.Request) error {
	err := a.store.Forget(r.Context(), a.loginID(r), func(kept account) error {
		return a.provider.RevokeToken(r.Context(), kept.User.AccessToken)
	})
	if errors.Is(err, errNoLogin) {
		return err
	}
	if err != nil {
		log.Print(err)
		return notRevoked
	}
	a.setLoginID(w, "")
	http.Redirect(w, r, "/?done=disconnected", http.StatusSeeOther)
	return nil
}

// logout ends the login in this browser. What the user allowed at Gumroad stays
// allowed.
func (a *app) logout(w http.ResponseWriter, r *http.Request) error {
	if err := a.logOut(w, r); err != nil {
		return err
	}
	http.Redirect(w, r, "/?done=loggedout", http.StatusSeeOther)
	return nil
}

// cookieName is the name of the cookie with the login's id.
func (a *app) cookieName() string {
	if a.secure() {
		return hostPrefix + "session"
	}
	return "session"
}

// loginID returns the id that the browser sent, or "".
func (a *app) loginID(r *http.Request) string {
	cookie, err := r.Cookie(a.cookieName())
	if err != nil {
		return ""
	}
	return cookie.Value
}

// setLoginID gives the browser an id to keep, or takes it away if it is "".
func (a *app) setLoginID(w http.ResponseWriter, id string) {
	cookie := &http.Cookie{
		Name:     a.cookieName(),
		Value:    id,
		Path:     "/",
		MaxAge:   int(loginTime.Seconds()),
		HttpOnly: true,
		Secure:   a.secure(),
		SameSite: http.SameSiteLaxMode,
	}
	if id == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// logOut ends the login in this browser.
func (a *app) logOut(w http.ResponseWriter, r *http.Request) error {
	a.setLoginID(w, "")
	return a.store.LogOut(r.Context(), a.loginID(r))
}
