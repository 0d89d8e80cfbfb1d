package main

import (
	"context"
	"crypto/sha512"
	"encoding/gob"
	"log"
	"net/http"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/sessions"
)

const (
	// gumroadTime is how long a user may take to log in at Gumroad.
	gumroadTime = 15 * time.Minute

	// loginTime is how long a user stays logged in.
	loginTime = 7 * 24 * time.Hour
)

// cookieName returns the name of the application's cookies. It contains the port,
// since a browser shares cookies among all ports of a host. With https it begins
// with __Host-, so that no sibling domain can set them.
func cookieName(base *url.URL) string {
	name := "gumroad-example"
	if base.Port() != "" {
		name += "-" + base.Port() // a colon is not allowed in a name
	}
	if base.Scheme == "https" {
		return "__Host-" + name
	}
	return name
}

// newGothicStore returns the store in which gothic keeps a login in progress. It is
// the store of SECURITY.md: a signed and encrypted cookie. All replicas with the same
// secret can read it.
func newGothicStore(secret string, base *url.URL) sessions.Store {
	keys := sha512.Sum512([]byte(secret))
	cookies := sessions.NewCookieStore(keys[:32], keys[32:])
	cookies.Options = &sessions.Options{
		Path:     "/",
		HttpOnly: true,
		Secure:   base.Scheme == "https",
		SameSite: http.SameSiteLaxMode, // with Strict, the callback has no cookie
	}
	cookies.MaxAge(int(gumroadTime.Seconds()))
	return namedStore{cookies, cookieName(base) + "-login"}
}

// namedStore is a CookieStore that gives gothic's cookie another name.
type namedStore struct {
	*sessions.CookieStore
	name string
}

func (s namedStore) Get(r *http.Request, _ string) (*sessions.Session, error) {
	return s.CookieStore.Get(r, s.name)
}

func (s namedStore) New(r *http.Request, _ string) (*sessions.Session, error) {
	return s.CookieStore.New(r, s.name)
}

// newSessions returns the sessions of the logged-in browsers. The cookie holds a
// random id. The database holds its hash, so nobody can log in with what the database
// contains.
//
// A session is written only at the login. A later write could restore a session that
// another request has just ended. So there is no IdleTimeout, and the middleware
// LoadAndSave is not used.
func newSessions(store scs.Store, base *url.URL) *scs.SessionManager {
	gob.Register(login{})
	m := scs.New()
	m.Store = store
	m.Codec = codec{}
	m.HashTokenInStore = true
	m.Lifetime = loginTime
	m.Cookie.Name = cookieName(base)
	m.Cookie.Secure = base.Scheme == "https"
	return m
}

// codec returns an empty session for one that cannot be read, so that the user can
// log in again.
type codec struct{ scs.GobCodec }

func (c codec) Decode(data []byte) (time.Time, map[string]any, error) {
	deadline, values, err := c.GobCodec.Decode(data)
	if err != nil {
		log.Print("A session cannot be read; treating it as ended: ", err)
		return time.Now(), map[string]any{}, nil
	}
	return deadline, values, nil
}

// loadSession returns the request's context with its session, and the login in the
// session. The login is empty if the browser has none.
func (a *app) loadSession(r *http.Request) (ctx context.Context, who login, err error) {
	id := ""
	if cookie, err := r.Cookie(a.sessions.Cookie.Name); err == nil {
		id = cookie.Value
	}
	if ctx, err = a.sessions.Load(r.Context(), id); err == nil {
		who, _ = a.sessions.Get(ctx, "login").(login)
	}
	return ctx, who, err
}

// beginSession begins a session with a new random id.
func (a *app) beginSession(ctx context.Context, w http.ResponseWriter, who login) error {
	if err := a.sessions.RenewToken(ctx); err != nil {
		return err
	}
	a.sessions.Put(ctx, "login", who)
	id, expiry, err := a.sessions.Commit(ctx)
	if err != nil {
		return err
	}
	a.sessions.WriteSessionCookie(ctx, w, id, expiry)
	return nil
}

// endSession logs this browser out.
func (a *app) endSession(ctx context.Context, w http.ResponseWriter) error {
	if err := a.sessions.Destroy(ctx); err != nil {
		return err
	}
	a.sessions.WriteSessionCookie(ctx, w, "", time.Time{})
	return nil
}
