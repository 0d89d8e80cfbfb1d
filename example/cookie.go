package main

import (
	"crypto/sha512"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/sessions"
)

// gumroadTime is how long a user may take to log in at Gumroad.
const gumroadTime = 15 * time.Minute

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
// the store of the README: a signed and encrypted cookie. All replicas with the same
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
