package main

import (
	"context"
	"database/sql"
	"errors"
	"log"
	"net/http"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gumroad/goth-gumroad/example/accounts"
)

// loginTime is how long a user stays logged in.
const loginTime = 7 * 24 * time.Hour

// A session holds the user's id and the account's Connection, which a disconnect ends.
const (
	sessionTable = "gumroad_sessions"
	sessionDDL   = `CREATE TABLE IF NOT EXISTS gumroad_sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)`
)

// createSessions creates the table of the sessions for scs, and tries to write to it.
func createSessions(ctx context.Context, db *sql.DB) error {
	return accounts.CreateTable(ctx, db, sessionDDL,
		`INSERT INTO gumroad_sessions (token, data, expiry) VALUES ('', '', CURRENT_TIMESTAMP)`,
		`UPDATE gumroad_sessions SET data = '' WHERE token = ''`,
		`DELETE FROM gumroad_sessions WHERE token = ''`)
}

// newSessions returns the sessions of the logged-in browsers. The cookie holds a random id,
// and the database only its hash, with which nobody can log in.
//
// A session is written only at the login, since a later write could restore one that
// another request has just ended. So IdleTimeout and LoadAndSave are not used.
func newSessions(store scs.Store, base *url.URL) *scs.SessionManager {
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

// user is who sent a request. It is nil if nobody is logged in.
type user struct {
	accounts.Account
	Began time.Time // of the login
}

// loadSession returns the request's context with its session, and the user. Without a
// session, it does not ask the database.
func (a *app) loadSession(r *http.Request) (context.Context, *user, error) {
	var id string
	if cookie, err := r.Cookie(a.sessions.Cookie.Name); err == nil {
		id = cookie.Value
	}
	ctx, err := a.sessions.Load(r.Context(), id)
	if err != nil {
		return nil, nil, err
	}
	userID := a.sessions.GetString(ctx, "user")
	if userID == "" {
		return ctx, nil, nil
	}
	account, err := a.accounts.Find(ctx, userID)
	if errors.Is(err, accounts.ErrNoAccount) || err == nil && account.Connection != a.sessions.GetString(ctx, "connection") {
		return ctx, nil, nil
	}
	if err != nil {
		return ctx, nil, err
	}
	return ctx, &user{account, a.sessions.Deadline(ctx).Add(-loginTime)}, nil
}

// beginSession begins a session with a new random id.
func (a *app) beginSession(ctx context.Context, w http.ResponseWriter, account accounts.Account) error {
	if err := a.sessions.RenewToken(ctx); err != nil {
		return err
	}
	a.sessions.Put(ctx, "user", account.UserID)
	a.sessions.Put(ctx, "connection", account.Connection)
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
