package accounts

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/example/internal/testkit"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"
)

const testSecret = "a secret of thirty-two characters"

// room is a store with a test server for Gumroad. At the end of the test, it checks that
// no secret was logged.
type room struct {
	*Store
	t        *testing.T
	gumroad  *gumroadtest.Server
	provider *gumroad.Provider
	wire     *testkit.Wire
	log      *testkit.Buffer
}

func newRoom(t *testing.T, address string) *room {
	r := &room{t: t, gumroad: gumroadtest.NewServer(), log: testkit.CaptureLog(t)}
	t.Cleanup(r.gumroad.Close)
	r.provider = r.gumroad.Provider("https://app.example/auth/gumroad/callback")
	r.wire = &testkit.Wire{Next: r.provider.HTTPClient.Transport}
	r.provider.HTTPClient = &http.Client{Transport: r.wire}
	r.Store = r.open(t, address)
	t.Cleanup(func() {
		for _, secret := range r.wire.Found() {
			assert.NotContains(t, r.log.String(), secret, "the log has a secret")
		}
	})
	return r
}

// open returns another store, as another replica has it.
func (r *room) open(t *testing.T, address string) *Store {
	store, err := New(t.Context(), openDB(t, address), r.provider, testSecret)
	require.NoError(t, err)
	return store
}

func openDB(t *testing.T, address string) *sql.DB {
	db, err := dial(address)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// dial opens the database at a DATABASE_URL.
func dial(address string) (*sql.DB, error) {
	path, isFile := strings.CutPrefix(address, "file:")
	if !isFile && address != "" {
		return sql.Open("pgx", address)
	}
	dsn := ":memory:"
	if isFile {
		u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "_pragma=busy_timeout(5000)&_txlock=immediate"}
		dsn = u.String()
	}
	db, err := sql.Open("sqlite", dsn)
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// authorize returns the user of a login at Gumroad that is not stored yet.
func (r *room) authorize() goth.User {
	session, err := r.provider.BeginAuth("state")
	require.NoError(r.t, err)
	authURL, err := session.GetAuthURL()
	require.NoError(r.t, err)
	callback, err := r.gumroad.Authorize(authURL)
	require.NoError(r.t, err)
	u, err := url.Parse(callback)
	require.NoError(r.t, err)
	_, err = session.Authorize(r.provider, u.Query())
	require.NoError(r.t, err)
	user, err := r.provider.FetchUser(session)
	require.NoError(r.t, err)
	return user
}

func (r *room) logIn() Account {
	account, err := r.LogIn(r.t.Context(), r.authorize())
	require.NoError(r.t, err)
	return account
}

// access returns the stored access token.
func (r *room) access(userID string) (token string) {
	account, err := r.Find(r.t.Context(), userID)
	require.NoError(r.t, err)
	tokens, err := r.Store.open(account)
	require.NoError(r.t, err)
	return tokens.Access
}

// living returns the access tokens that Gumroad issued and still accepts.
func (r *room) living() (tokens []string) {
	for _, token := range r.wire.AccessTokens() {
		if _, err := r.provider.FetchUser(&gumroad.Session{AccessToken: token}); err == nil {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// holds checks that the stored pair is the only one that lives, or that none is stored and
// none lives.
func (r *room) holds(userID string) {
	r.t.Helper()
	if _, err := r.Find(context.Background(), userID); errors.Is(err, ErrNoAccount) {
		require.Empty(r.t, r.living())
		return
	}
	require.Equal(r.t, []string{r.access(userID)}, r.living())
}

func (r *room) exec(statement string) {
	r.t.Helper()
	_, err := r.db.Exec(statement)
	require.NoError(r.t, err)
}

func TestLogIn(t *testing.T) {
	testkit.EachDatabase(t, false, func(t *testing.T, address string) {
		r := newRoom(t, address)
		_, err := r.Find(t.Context(), "6754923450134")
		require.ErrorIs(t, err, ErrNoAccount)
		first := r.logIn()
		found, err := r.Find(t.Context(), first.UserID)
		require.NoError(t, err)
		require.Equal(t, "John Smith", found.Name)
		require.Equal(t, "https://sailorjohn.gumroad.com", found.Page)
		require.Equal(t, first.Connection, found.Connection)
		require.True(t, found.Refreshed.IsZero())
		require.NoError(t, r.Refresh(t.Context(), first.UserID))
		second := r.logIn()
		require.Equal(t, first.Connection, second.Connection)
		require.True(t, second.Refreshed.IsZero())
		r.holds(first.UserID)
	})
}

func TestLoginWithoutIdentity(t *testing.T) {
	r := newRoom(t, "")
	for _, user := range []goth.User{{AccessToken: "token"}, {UserID: "42"}} {
		_, err := r.LogIn(t.Context(), user)
		require.ErrorContains(t, err, "no user id or no access token")
	}
}

func TestShortSecret(t *testing.T) {
	_, err := New(t.Context(), openDB(t, ""), &gumroad.Provider{}, strings.Repeat("x", 31))
	require.ErrorContains(t, err, "less than 32 bytes")
}

// Replicas that start at once all find the table.
func TestStartsAtOnce(t *testing.T) {
	testkit.EachDatabase(t, true, func(t *testing.T, address string) {
		r := newRoom(t, "")
		var all sync.WaitGroup
		for range 8 {
			db := openDB(t, address)
			all.Go(func() {
				_, err := New(context.Background(), db, r.provider, testSecret)
				assert.NoError(t, err)
			})
		}
		all.Wait()
	})
}

// A table of another program stays as it is. The error says what is missing.
func TestForeignTable(t *testing.T) {
	testkit.EachDatabase(t, false, func(t *testing.T, address string) {
		db := openDB(t, address)
		_, err := db.Exec("CREATE TABLE gumroad_accounts (user_id TEXT)")
		require.NoError(t, err)
		_, err = New(t.Context(), db, &gumroad.Provider{}, testSecret)
		require.ErrorContains(t, err, "accounts: writing to the table")
		require.ErrorContains(t, err, "connection")
	})
}

// The second refresh with the same refresh token would fail.
func TestRefreshesAtOnce(t *testing.T) {
	for name, fault := range map[string]gumroadtest.Fault{"answered at once": {}, "answered late": {Delay: 200 * time.Millisecond, After: true}} {
		testkit.EachDatabase(t, false, func(t *testing.T, address string) {
			t.Run(name, func(t *testing.T) {
				r := newRoom(t, address)
				user, old := r.logIn().UserID, r.wire.AccessTokens()[0]
				stores := []*Store{r.Store}
				if address != "" {
					stores = append(stores, r.open(t, address))
				}
				if fault.After {
					r.gumroad.Fail(gumroadtest.TokenPath, fault)
				}
				var all sync.WaitGroup
				for i := range 12 {
					store := stores[i%len(stores)]
					all.Go(func() {
						if i%3 == 0 {
							assert.NoError(t, store.Refetch(context.Background(), user))
						} else {
							assert.NoError(t, store.Refresh(context.Background(), user))
						}
					})
				}
				all.Wait()
				require.NotEqual(t, old, r.access(user))
				r.holds(user)
				require.NoError(t, r.Refresh(t.Context(), user), "its refresh token is alive too")
			})
		})
	}
}

// After several logins of one user at once, one pair of tokens is alive.
func TestLoginsAtOnce(t *testing.T) {
	testkit.EachDatabase(t, false, func(t *testing.T, address string) {
		r := newRoom(t, address)
		for range 5 {
			var all sync.WaitGroup
			for range 4 {
				user := r.authorize()
				all.Go(func() {
					_, err := r.LogIn(context.Background(), user)
					assert.NoError(t, err)
				})
			}
			all.Wait()
			r.holds("6754923450134")
			require.NoError(t, r.Disconnect(t.Context(), "6754923450134"))
		}
	})
}

// A slow answer of Gumroad blocks no other user, and not the user's next login.
func TestLoginWhileRefreshHangs(t *testing.T) {
	testkit.EachDatabase(t, false, func(t *testing.T, address string) {
		r := newRoom(t, address)
		john := r.gumroad.User()
		user := r.logIn().UserID
		refreshed := make(chan error, 1)
		release := r.wire.Hang(gumroadtest.TokenPath, func() { refreshed <- r.Refresh(context.Background(), user) })
		defer release()
		r.gumroad.SetUser(gumroadtest.User{ID: "1000000000002", Name: "Bob Bay"})
		bob := r.logIn().UserID
		require.NoError(t, r.Refresh(t.Context(), bob))
		r.gumroad.SetUser(john)
		second := r.logIn()
		release()
		require.NoError(t, <-refreshed, "the tokens of the login are good")
		found, err := r.Find(t.Context(), user)
		require.NoError(t, err)
		require.Equal(t, second.version, found.version, "they are the ones that are kept")
		require.ElementsMatch(t, []string{r.access(user), r.access(bob)}, r.living())
	})
}

// A disconnect waits for a refresh in progress. Otherwise it would revoke the old pair.
func TestDisconnectWhileRefreshHangs(t *testing.T) {
	testkit.EachDatabase(t, false, func(t *testing.T, address string) {
		r := newRoom(t, address)
		user := r.logIn().UserID
		refreshed, disconnected := make(chan error, 1), make(chan error, 1)
		release := r.wire.Hang(gumroadtest.TokenPath, func() { refreshed <- r.Refresh(context.Background(), user) })
		go func() { disconnected <- r.Disconnect(context.Background(), user) }()
		release()
		<-refreshed
		require.NoError(t, <-disconnected)
		r.holds(user)
	})
}

// A login during a disconnect brings new tokens. They are revoked too.
func TestLoginWhileDisconnectHangs(t *testing.T) {
	r := newRoom(t, "")
	user := r.logIn().UserID
	disconnected := make(chan error, 1)
	release := r.wire.Hang(gumroadtest.RevokePath, func() { disconnected <- r.Disconnect(context.Background(), user) })
	r.logIn()
	release()
	require.NoError(t, <-disconnected)
	r.holds(user)
}

// A row that disappears during a refresh leaves no tokens alive.
func TestRowDeletedWhileRefreshHangs(t *testing.T) {
	r := newRoom(t, "")
	user := r.logIn().UserID
	refreshed := make(chan error, 1)
	release := r.wire.Hang(gumroadtest.TokenPath, func() { refreshed <- r.Refresh(context.Background(), user) })
	r.exec("DELETE FROM gumroad_accounts")
	deleted := time.Now()
	release()
	require.ErrorIs(t, <-refreshed, ErrNoAccount)
	require.Less(t, time.Since(deleted), patience, "it does not wait for a row that is gone")
	r.holds(user)
}

// A request that waits for a lease ends with its context, and at the latest when a lease
// would have ended.
func TestWaitingEnds(t *testing.T) {
	r := newRoom(t, "")
	user := r.logIn().UserID
	refreshed := make(chan error, 1)
	release := r.wire.Hang(gumroadtest.TokenPath, func() { refreshed <- r.Refresh(context.Background(), user) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*poll)
	defer cancel()
	require.ErrorIs(t, r.Refresh(ctx, user), context.DeadlineExceeded)
	impatient := *r.Store
	impatient.wait = 2 * poll
	require.ErrorIs(t, impatient.Refresh(t.Context(), user), ErrBusy)
	release()
	require.NoError(t, <-refreshed)
}

// A browser may disconnect during a refresh or a login.
func TestContextCancelled(t *testing.T) {
	r := newRoom(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	user := r.logIn().UserID
	ended := make(chan error, 1)
	release := r.wire.Hang(gumroadtest.TokenPath, func() { ended <- r.Refresh(ctx, user) })
	cancel()
	release()
	require.NoError(t, <-ended)
	r.holds(user)
	_, err := r.LogIn(ctx, r.authorize())
	require.NoError(t, err)
	r.holds(user)
}

// After an error, the next request does not wait for the end of the lease.
func TestLeaseIsGivenBack(t *testing.T) {
	testkit.EachDatabase(t, false, func(t *testing.T, address string) {
		r := newRoom(t, address)
		user := r.logIn().UserID
		for path, do := range map[string]func(context.Context, string) error{gumroadtest.TokenPath: r.Refresh, gumroadtest.RevokePath: r.Disconnect} {
			r.gumroad.Fail(path, gumroadtest.Fault{Status: http.StatusServiceUnavailable})
			require.Error(t, do(t.Context(), user))
			var busy int
			require.NoError(t, r.db.QueryRow("SELECT busy_until FROM gumroad_accounts").Scan(&busy))
			require.Zero(t, busy)
		}
		r.holds(user)
	})
}

// A lease is longer than what is done with it, whatever the clocks.
func TestLeaseTime(t *testing.T) {
	require.GreaterOrEqual(t, lease, gumroad.RequestTimeout+patience+clocks)
	require.Equal(t, 10*time.Second, clocks)
}

// A lease that ends too late to be one is nobody's. One that was taken with a clock that
// is ten seconds ahead is somebody's.
func TestLeaseOfAnotherClock(t *testing.T) {
	testkit.EachDatabase(t, false, func(t *testing.T, address string) {
		r := newRoom(t, address)
		user := r.logIn().UserID
		r.wait = 2 * poll
		for ahead, free := range map[time.Duration]bool{clocks - time.Second: false, clocks + time.Second: true, 365 * 24 * time.Hour: true} {
			_, err := r.db.Exec("UPDATE gumroad_accounts SET busy_until = $1", time.Now().Add(lease+ahead).UnixMilli())
			require.NoError(t, err)
			if err := r.Refresh(t.Context(), user); free {
				require.NoError(t, err, ahead)
			} else {
				require.ErrorIs(t, err, ErrBusy, ahead)
			}
		}
	})
}

// A pair that Gumroad has issued is not lost to one failed write.
func TestFileLockedDuringRefresh(t *testing.T) {
	address := testkit.NewFile(t)
	r := newRoom(t, address)
	user := r.logIn().UserID
	other := openDB(t, address)
	refreshed := make(chan error, 1)
	release := r.wire.Hang(gumroadtest.TokenPath, func() { refreshed <- r.Refresh(context.Background(), user) })
	tx, err := other.Begin() // it locks the file
	require.NoError(t, err)
	unlocked := time.AfterFunc(5500*time.Millisecond, func() { tx.Rollback() }) // longer than the busy timeout
	defer unlocked.Stop()
	release()
	require.NoError(t, <-refreshed)
	r.holds(user)
}

func TestConnectionsEndDuringRefreshAndLogin(t *testing.T) {
	address := testkit.NewSchema(t)
	r := newRoom(t, address)
	user := r.logIn().UserID
	admin := openDB(t, address)
	endConnections := func() {
		_, err := admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database() AND query LIKE '%gumroad_accounts%'")
		require.NoError(t, err)
	}
	old, refreshed := r.access(user), make(chan error, 1)
	release := r.wire.Hang(gumroadtest.TokenPath, func() { refreshed <- r.Refresh(context.Background(), user) })
	endConnections()
	release()
	require.NoError(t, <-refreshed)
	require.NotEqual(t, old, r.access(user))
	r.holds(user)
	again := r.authorize()
	endConnections()
	_, err := r.LogIn(t.Context(), again)
	require.NoError(t, err)
	r.holds(user)
}

// A try that stored the pair and then failed is not tried as another pair.
func TestAnswerOfTheDatabaseLost(t *testing.T) {
	r := newRoom(t, "")
	account := r.logIn()
	calls := 0
	err := r.persist(t.Context(), func(context.Context) error {
		if calls++; calls == 1 {
			return errors.New("lost")
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 2, calls)
	r.holds(account.UserID)
}

// If the tokens cannot be stored, they are revoked.
func TestDatabaseFails(t *testing.T) {
	r := newRoom(t, "")
	r.patience = 3 * poll
	fresh := r.authorize()
	r.exec("CREATE TRIGGER t BEFORE INSERT ON gumroad_accounts BEGIN SELECT RAISE(FAIL, 'no room'); END")
	_, err := r.LogIn(t.Context(), fresh)
	require.ErrorContains(t, err, "no room")
	require.Empty(t, r.living())

	r.exec("DROP TRIGGER t")
	user := r.logIn().UserID
	r.exec("CREATE TRIGGER t BEFORE UPDATE OF tokens ON gumroad_accounts BEGIN SELECT RAISE(FAIL, 'no room'); END")
	require.ErrorContains(t, r.Refresh(t.Context(), user), "no room")
	require.Empty(t, r.living())

	r.exec("DROP TRIGGER t")
	r.logIn()
	for _, column := range []string{"profile", "busy_until"} {
		r.exec("CREATE TRIGGER t BEFORE UPDATE OF " + column + " ON gumroad_accounts BEGIN SELECT RAISE(FAIL, 'no room'); END")
		do := map[string]func(context.Context, string) error{"profile": r.Refetch, "busy_until": r.Refresh}[column]
		require.ErrorContains(t, do(t.Context(), user), "no room")
		r.exec("DROP TRIGGER t")
		r.holds(user)
	}

	r.exec("CREATE TRIGGER t BEFORE UPDATE OF busy_until ON gumroad_accounts WHEN NEW.busy_until = 0 BEGIN SELECT RAISE(FAIL, 'no room'); END")
	r.gumroad.Fail(gumroadtest.TokenPath, gumroadtest.Fault{Status: http.StatusServiceUnavailable})
	var refused *gumroad.Error
	require.ErrorAs(t, r.Refresh(t.Context(), user), &refused)
	require.Contains(t, r.log.String(), "Giving back the lease: ")
}

// A database that does not answer stops a request, but not for ever.
func TestDatabaseFrozen(t *testing.T) {
	address := testkit.NewSchema(t)
	r := newRoom(t, address)
	user := r.logIn().UserID
	r.patience = 200 * time.Millisecond
	tx, err := openDB(t, address).Begin()
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.Exec("LOCK TABLE gumroad_accounts")
	require.NoError(t, err)
	_, err = r.Find(context.Background(), user)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	err = r.change(context.Background(), "UPDATE gumroad_accounts SET profile = profile")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// Tokens that Gumroad refuses for good end the account. They are revoked first, since the
// refusal can be a mistake.
func TestRefusedForGood(t *testing.T) {
	refusal := gumroadtest.Fault{Status: http.StatusUnauthorized}
	gone := gumroadtest.Fault{Body: `{"success":false,"message":"The user was not found."}`}
	grant := gumroadtest.Fault{Status: http.StatusBadRequest, Body: `{"error":"invalid_grant"}`}
	for name, test := range map[string]struct {
		path  string
		fault gumroadtest.Fault
		do    func(r *room) func(context.Context, string) error
	}{
		"refetch":      {gumroadtest.UserPath, refusal, func(r *room) func(context.Context, string) error { return r.Refetch }},
		"user is gone": {gumroadtest.UserPath, gone, func(r *room) func(context.Context, string) error { return r.Refetch }},
		"refresh":      {gumroadtest.TokenPath, grant, func(r *room) func(context.Context, string) error { return r.Refresh }},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.EachDatabase(t, false, func(t *testing.T, address string) {
				r := newRoom(t, address)
				first := r.logIn()
				r.gumroad.Fail(test.path, test.fault)
				r.gumroad.Fail(gumroadtest.RevokePath, gumroadtest.Fault{Status: http.StatusServiceUnavailable})
				err := test.do(r)(t.Context(), first.UserID)
				require.Error(t, err)
				require.NotErrorIs(t, err, ErrRefused, "not while the tokens may be alive")
				r.holds(first.UserID)

				r.gumroad.Fail(test.path, test.fault)
				err = test.do(r)(t.Context(), first.UserID)
				require.ErrorIs(t, err, ErrRefused)
				var answer *gumroad.Error
				require.ErrorAs(t, err, &answer)
				_, err = r.Find(t.Context(), first.UserID)
				require.ErrorIs(t, err, ErrNoAccount)
				require.Empty(t, r.living())
				require.NotEqual(t, first.Connection, r.logIn().Connection)
				r.holds(first.UserID)
			})
		})
	}
}

// If the answer to a refresh is lost, the tokens are lost too.
func TestAnswerOfGumroadLost(t *testing.T) {
	r := newRoom(t, "")
	user := r.logIn().UserID
	r.gumroad.Fail(gumroadtest.TokenPath, gumroadtest.Fault{After: true})
	err := r.Refresh(t.Context(), user)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrRefused, "nobody knows yet")
	require.ErrorIs(t, r.Refresh(t.Context(), user), ErrRefused)
	r.logIn()
	require.NoError(t, r.Refresh(t.Context(), user))
}

// A refresh may replace the token while it is used.
func TestUseWhileRefreshed(t *testing.T) {
	r := newRoom(t, "")
	user := r.logIn().UserID
	var tokens []string
	require.NoError(t, r.Use(t.Context(), user, func(token string) error {
		if tokens = append(tokens, token); len(tokens) == 1 {
			require.NoError(t, r.Refresh(t.Context(), user))
			return gumroad.ErrUnauthorized
		}
		return nil
	}))
	require.Len(t, tokens, 2)
	require.Equal(t, r.access(user), tokens[1])
	other := errors.New("another error")
	require.Equal(t, other, r.Use(t.Context(), user, func(string) error { return other }))
}

// A disconnect may delete the account while the profile is fetched.
func TestDisconnectWhileRefetchHangs(t *testing.T) {
	r := newRoom(t, "")
	user := r.logIn().UserID
	refetched := make(chan error, 1)
	release := r.wire.Hang(gumroadtest.UserPath, func() { refetched <- r.Refetch(context.Background(), user) })
	r.exec("DELETE FROM gumroad_accounts")
	release()
	require.ErrorIs(t, <-refetched, ErrNoAccount)
}

// The profile never changes to another user's.
func TestRefetchGivesAnotherUser(t *testing.T) {
	r := newRoom(t, "")
	user := r.logIn().UserID
	r.gumroad.Fail(gumroadtest.UserPath, gumroadtest.Fault{Body: `{"success":true,"user":{"id":"1","name":"Mallory"}}`})
	require.ErrorContains(t, r.Refetch(t.Context(), user), "another user")
	found, err := r.Find(t.Context(), user)
	require.NoError(t, err)
	require.Equal(t, "John Smith", found.Name)
}

// After a disconnect, the next login has another connection. Until Gumroad confirms it,
// the account stays.
func TestDisconnect(t *testing.T) {
	testkit.EachDatabase(t, false, func(t *testing.T, address string) {
		r := newRoom(t, address)
		first := r.logIn()
		r.gumroad.Fail(gumroadtest.RevokePath, gumroadtest.Fault{Status: http.StatusServiceUnavailable})
		require.Error(t, r.Disconnect(t.Context(), first.UserID))
		r.holds(first.UserID)
		require.NoError(t, r.Disconnect(t.Context(), first.UserID))
		r.holds(first.UserID)
		for _, do := range []func(context.Context, string) error{r.Refresh, r.Refetch, r.Disconnect} {
			require.ErrorIs(t, do(t.Context(), first.UserID), ErrNoAccount)
		}
		require.NotEqual(t, first.Connection, r.logIn().Connection)
	})
}

// Tokens of another user's row, or of another secret, cannot be decrypted. A login
// replaces them.
func TestUnreadable(t *testing.T) {
	r := newRoom(t, "")
	john := r.logIn().UserID
	r.gumroad.SetUser(gumroadtest.User{ID: "1000000000002", Name: "Bob Bay"})
	bob := r.logIn().UserID
	_, err := r.db.Exec("UPDATE gumroad_accounts SET tokens = (SELECT tokens FROM gumroad_accounts WHERE user_id = $1) WHERE user_id = $2", john, bob)
	require.NoError(t, err)
	for _, do := range []func(context.Context, string) error{r.Refresh, r.Refetch, r.Disconnect} {
		require.ErrorIs(t, do(t.Context(), bob), ErrUnreadable)
	}
	other, err := New(t.Context(), r.db, r.provider, "another secret of 32 characters..")
	require.NoError(t, err)
	require.ErrorIs(t, other.Refresh(t.Context(), john), ErrUnreadable)
	r.logIn()
	require.Contains(t, r.log.String(), "The tokens of the previous login stay valid: ")
	require.NoError(t, r.Refresh(t.Context(), bob))
}

// If a server issues the same token twice, it is not revoked.
func TestSameTokensTwice(t *testing.T) {
	for name, second := range map[string]pair{"both tokens": {"a", "r"}, "the refresh token": {"b", "r"}, "no refresh token": {"a", ""}} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t, "")
			for _, tokens := range []pair{{"a", "r"}, second} {
				_, err := r.LogIn(t.Context(), goth.User{UserID: "42", AccessToken: tokens.Access, RefreshToken: tokens.Refresh})
				require.NoError(t, err)
			}
			require.Empty(t, r.gumroad.Requests())
		})
	}
	r := newRoom(t, "")
	for _, token := range []string{"a", "b"} { // without refresh tokens, two pairs are not the same
		_, err := r.LogIn(t.Context(), goth.User{UserID: "42", AccessToken: token})
		require.NoError(t, err)
	}
	require.Len(t, r.gumroad.Requests(), 1)
}

// A revocation that fails does not fail a login.
func TestRevocationFailsAtLogin(t *testing.T) {
	r := newRoom(t, "")
	r.logIn()
	r.gumroad.Fail(gumroadtest.RevokePath, gumroadtest.Fault{Status: http.StatusServiceUnavailable})
	r.logIn()
	require.Contains(t, r.log.String(), "A token that is no longer used stays valid: gumroad: ")
}

// PostgreSQL accepts neither NUL nor broken UTF-8 in a text.
func TestOddProfile(t *testing.T) {
	testkit.EachDatabase(t, false, func(t *testing.T, address string) {
		r := newRoom(t, address)
		account, err := r.LogIn(t.Context(), goth.User{UserID: "42", AccessToken: "a", Name: "Ann\x00 \xff"})
		require.NoError(t, err)
		found, err := r.Find(t.Context(), account.UserID)
		require.NoError(t, err)
		require.Equal(t, "Ann\x00 \ufffd", found.Name)
	})
}

// A replica that is killed during a refresh blocks the user only until its lease ends.
func TestKilled(t *testing.T) {
	testkit.EachDatabase(t, true, func(t *testing.T, address string) {
		r := newRoom(t, address)
		user := r.logIn().UserID
		old := r.access(user)
		r.gumroad.Fail(gumroadtest.TokenPath, gumroadtest.Fault{Delay: time.Hour, Status: http.StatusServiceUnavailable})
		data, err := json.Marshal(victim{address, r.gumroad.URL, r.gumroad.ClientID, r.gumroad.ClientSecret, user})
		require.NoError(t, err)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "ACCOUNTS_TEST_VICTIM="+string(data))
		child.Stderr = os.Stderr
		before := len(r.gumroad.Requests())
		require.NoError(t, child.Start())
		require.Eventually(t, func() bool { return len(r.gumroad.Requests()) > before }, 30*time.Second, time.Millisecond)
		require.NoError(t, child.Process.Kill())
		require.Error(t, child.Wait())

		var busy int64
		require.NoError(t, r.db.QueryRow("SELECT busy_until FROM gumroad_accounts").Scan(&busy))
		require.Positive(t, busy, "the lease is still there")
		require.NoError(t, r.Refresh(t.Context(), user))
		require.GreaterOrEqual(t, time.Now().UnixMilli(), busy, "it waited for the end of the lease")
		require.NotEqual(t, old, r.access(user))
		r.holds(user)
	})
}

// victim is the process that TestKilled kills during a refresh.
type victim struct{ Database, Gumroad, Key, Secret, User string }

func (v victim) run() error {
	db, err := dial(v.Database)
	if err != nil {
		return err
	}
	provider := gumroad.NewCustomisedURL(v.Key, v.Secret, "", v.Gumroad+gumroadtest.AuthorizePath, v.Gumroad+gumroadtest.TokenPath, v.Gumroad+gumroadtest.UserPath)
	store, err := New(context.Background(), db, provider, testSecret)
	if err != nil {
		return err
	}
	store.lease = 2 * time.Second
	return store.Refresh(context.Background(), v.User)
}

func TestMain(m *testing.M) {
	given := os.Getenv("ACCOUNTS_TEST_VICTIM")
	if given == "" {
		os.Exit(m.Run())
	}
	var v victim
	if err := json.Unmarshal([]byte(given), &v); err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stderr, v.run())
}
