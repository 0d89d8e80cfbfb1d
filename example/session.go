package main

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/sessions"
	"github.com/markbates/goth"
)

const (
	// gumroadTime is how long a user may take at Gumroad.
	gumroadTime = 15 * time.Minute

	// loginTime is how long a user stays logged in.
	loginTime = 7 * 24 * time.Hour
)

// newGothicStore returns what gothic keeps a login in while the user is at
// Gumroad: a cookie, signed and encrypted, which every copy of the application
// can read that has the same secret.
func newGothicStore(secret string, secure bool) sessions.Store {
	if secret == "" {
		secret = rand.Text()
	}
	keys := sha512.Sum512([]byte(secret))
	cookies := sessions.NewCookieStore(keys[:32], keys[32:])
	cookies.Options = &sessions.Options{
		Path:     "/auth/",
		HttpOnly: true,
		Secure:   secure,
		SameSite: http.SameSiteLaxMode, // Strict would not come back from Gumroad
	}
	cookies.MaxAge(int(gumroadTime.Seconds()))
	if secure {
		cookies.Options.Path = "/"
		return hostStore{cookies}
	}
	return cookies
}

// hostStore is a CookieStore whose cookies a neighbouring host cannot set, so that
// nobody is led into finishing somebody else's login. https only.
type hostStore struct{ *sessions.CookieStore }

func (s hostStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return s.CookieStore.Get(r, hostPrefix+name)
}

func (s hostStore) New(r *http.Request, name string) (*sessions.Session, error) {
	return s.CookieStore.New(r, hostPrefix+name)
}

// hostPrefix is what browsers let no other host begin a cookie's name with.
const hostPrefix = "__Host-"

// account is what is kept of a user. It holds the tokens, so it stays on the
// server.
type account struct {
	User      goth.User
	Page      string // the address of the user's page at Gumroad
	Fetched   time.Time
	Refreshed time.Time // zero if never
}

// newAccount returns what is kept of a user that Gumroad has just told us of.
func newAccount(user goth.User) account {
	answer, _ := user.RawData["user"].(map[string]any)
	page, _ := answer["url"].(string)
	user.RawData = nil // it names each product of the user
	return account{User: user, Page: page, Fetched: time.Now()}
}

// login is an account and since when a browser is logged in to it.
type login struct {
	account
	Began time.Time
}

// store keeps accounts, by Gumroad's user id, and who is logged in to them. A
// database belongs behind it: then they outlive the program, and all copies of
// it share them.
type store interface {
	// LogIn keeps the account in place of what there was of the same user,
	// which it returns, and logs in to it under a new id that nobody can guess.
	LogIn(ctx context.Context, a account) (id string, before account, err error)

	// Login returns the login with this id, or errNoLogin.
	Login(ctx context.Context, id string) (login, error)

	// Update lets change work on the account, and keeps the result if change
	// returns no error. Whatever changes one account takes turns: Gumroad
	// revokes a token pair the moment it is refreshed, so that of two at once
	// the later one fails. In a database this is SELECT … FOR UPDATE.
	Update(ctx context.Context, id string, change func(*account) error) error

	// LogOut ends this login, if there is one.
	LogOut(ctx context.Context, id string) error

	// Forget lets end work on the account, and deletes it with all its logins
	// if end returns no error.
	Forget(ctx context.Context, id string, end func(account) error) error
}

// errNoLogin says that nobody is logged in under this id, or not any more.
var errNoLogin = errors.New("nobody is logged in")

// memory is a store for one copy of the application.
type memory struct {
	mu     sync.Mutex
	logins map[string]memoryLogin
	users  map[string]*memoryUser
}

type memoryLogin struct {
	user    *memoryUser
	began   time.Time
	expires time.Time
}

type memoryUser struct {
	turn    chan struct{} // has room for whoever changes the account; comes before mu
	account account       // guarded by mu
}

// take waits for the user's turn, as long as ctx lets it.
func (u *memoryUser) take(ctx context.Context) (release func(), err error) {
	select {
	case u.turn <- struct{}{}:
		return func() { <-u.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func newMemory() *memory {
	return &memory{logins: map[string]memoryLogin{}, users: map[string]*memoryUser{}}
}

func (m *memory) LogIn(ctx context.Context, a account) (string, account, error) {
	m.mu.Lock()
	user := m.users[a.User.UserID]
	if user == nil {
		user = &memoryUser{turn: make(chan struct{}, 1)}
		m.users[a.User.UserID] = user
	}
	m.mu.Unlock()
	release, err := user.take(ctx)
	if err != nil {
		return "", account{}, err
	}
	defer release()

	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for id, l := range m.logins {
		if now.After(l.expires) {
			delete(m.logins, id)
		}
	}
	id := rand.Text()
	m.logins[id] = memoryLogin{user: user, began: now, expires: now.Add(loginTime)}
	before := user.account
	user.account = a
	return id, before, nil
}

func (m *memory) Login(_ context.Context, id string) (login, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, found := m.logins[id]
	if !found || time.Now().After(l.expires) {
		return login{}, errNoLogin
	}
	return login{account: l.user.account, Began: l.began}, nil
}

func (m *memory) Update(ctx context.Context, id string, change func(*account) error) error {
	return m.inTurn(ctx, id, func(user *memoryUser, a account) error {
		if err := change(&a); err != nil {
			return err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		user.account = a
		return nil
	})
}

func (m *memory) LogOut(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.logins, id)
	return nil
}

func (m *memory) Forget(ctx context.Context, id string, end func(account) error) error {
	return m.inTurn(ctx, id, func(user *memoryUser, a account) error {
		if err := end(a); err != nil {
			return err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		maps.DeleteFunc(m.logins, func(_ string, l memoryLogin) bool { return l.user == user })
		user.account = account{} // the turn stays, for whoever waits for it
		return nil
	})
}

// inTurn calls do with the account as it is once nobody else works on it.
func (m *memory) inTurn(ctx context.Context, id string, do func(*memoryUser, account) error) error {
	m.mu.Lock()
	user := m.logins[id].user
	m.mu.Unlock()
	if user == nil {
		return errNoLogin
	}
	release, err := user.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	l, err := m.Login(ctx, id) // it may be over by now
	if err != nil {
		return err
	}
	return do(user, l.account)
}
