package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
	"github.com/stretchr/testify/require"
)

// The second refresh with the same refresh token would fail.
func TestRefreshesAtOnce(t *testing.T) {
	for name, delay := range map[string]time.Duration{"answered at once": 0, "answered late": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			eachDatabase(t, true, func(t *testing.T, address string) {
				s := newTestSite(t, siteOptions{address: address, copies: 2})
				testRefreshesAtOnce(t, s, delay)
			})
			t.Run("SQLite in memory", func(t *testing.T) { testRefreshesAtOnce(t, newTestSite(t), delay) })
		})
	}
}

func testRefreshesAtOnce(t *testing.T, s *testSite, delay time.Duration) {
	ann := s.visitor()
	ann.logIn()
	old := s.accessToken()
	if delay != 0 {
		s.gumroad.Fail(gumroadtest.TokenPath, gumroadtest.Fault{Delay: delay, After: true})
	}
	var all sync.WaitGroup
	statuses := make([]int, 12)
	for i := range statuses {
		path := []string{"/token/refresh", "/token/refresh", "/profile/refetch"}[i%3]
		all.Go(func() { statuses[i] = ann.post(path).StatusCode })
	}
	all.Wait()
	for _, status := range statuses {
		require.Equal(t, http.StatusOK, status)
	}
	require.NotEqual(t, old, s.accessToken())
	require.False(t, s.alive(old))
	require.True(t, s.alive(s.accessToken()), "the pair that is stored is the one that lives")
	require.Equal(t, 1, livingTokens(s))
	require.Equal(t, http.StatusOK, ann.post("/token/refresh").StatusCode, "its refresh token too")
}

// livingTokens counts the access tokens that Gumroad issued and still accepts.
func livingTokens(s *testSite) int {
	count := 0
	for _, secret := range s.secrets.accessTokens() {
		if s.alive(secret) {
			count++
		}
	}
	return count
}

// hang makes the next request to the endpoint wait until release is called, and
// returns when the request has arrived.
func hang(s *testSite, path string, start func()) (release func()) {
	stop := make(chan bool)
	arrived := s.secrets.hold(path, stop)
	go start()
	<-arrived
	return sync.OnceFunc(func() { close(stop) })
}

// A slow answer of Gumroad blocks no other user, and not the user's next login.
func TestLoginWhileRefreshHangs(t *testing.T) {
	eachDatabase(t, false, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		ann, bob := s.visitor(), s.visitor()
		ann.logIn()
		refreshed := make(chan answer, 1)
		release := hang(s, gumroadtest.TokenPath, func() { refreshed <- ann.post("/token/refresh") })
		defer release()

		john := s.gumroad.User()
		s.gumroad.SetUser(gumroadtest.User{ID: "1000000000002", Name: "Bob Bay"})
		require.Contains(t, bob.logIn().body, "Bob Bay")
		s.gumroad.SetUser(john)
		require.Contains(t, s.visitor().logIn().body, "John Smith", "the same user in another browser")
		require.Equal(t, http.StatusOK, ann.get("/profile").StatusCode)

		release()
		require.Equal(t, http.StatusOK, (<-refreshed).StatusCode, "the tokens of the login are good")
		require.Contains(t, ann.get("/profile").body, "Not yet", "they are the ones that are kept")
		require.Equal(t, 2, livingTokens(s), "Bob's and John's")
	})
}

// A disconnect waits for a refresh in progress. Otherwise it would revoke the old pair.
func TestDisconnectWhileRefreshHangs(t *testing.T) {
	eachDatabase(t, false, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		ann := s.visitor()
		ann.logIn()
		refreshed, disconnected := make(chan answer, 1), make(chan answer, 1)
		release := hang(s, gumroadtest.TokenPath, func() { refreshed <- ann.post("/token/refresh") })
		go func() { disconnected <- ann.post("/disconnect") }()
		release()
		<-refreshed
		require.Contains(t, (<-disconnected).body, "You are disconnected")
		require.Zero(t, livingTokens(s))
	})
}

// A login during a disconnect brings new tokens. They are revoked too.
func TestLoginWhileDisconnectHangs(t *testing.T) {
	s := newTestSite(t)
	ann, bob := s.visitor(), s.visitor()
	ann.logIn()
	disconnected := make(chan answer, 1)
	release := hang(s, gumroadtest.RevokePath, func() { disconnected <- ann.post("/disconnect") })
	require.Equal(t, http.StatusOK, bob.logIn().StatusCode)
	release()
	require.Contains(t, (<-disconnected).body, "You are disconnected")
	require.Equal(t, http.StatusUnauthorized, bob.get("/profile").StatusCode)
	require.Zero(t, livingTokens(s))
}

// A request that waits for a lease ends when the browser disconnects.
func TestTurnEndsWithTheRequest(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	who := s.login()
	refreshed := make(chan answer, 1)
	release := hang(s, gumroadtest.TokenPath, func() { refreshed <- ann.post("/token/refresh") })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.app.accounts.refresh(ctx, who), context.Canceled)
	s.app.accounts.lease = -time.Second + 500*time.Millisecond
	require.ErrorIs(t, s.app.accounts.refresh(context.Background(), who), context.DeadlineExceeded, "nobody waits for longer than a lease")
	require.Contains(t, s.visitorWith(ann.session()).post("/token/refresh").body, "Gumroad is unavailable")
	s.app.accounts.lease = leaseTime
	release()
	require.Equal(t, http.StatusOK, (<-refreshed).StatusCode)
}

// A browser may disconnect during a refresh.
func TestBrowserGoesAwayAtRefresh(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	old, who := s.accessToken(), s.login()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	release := hang(s, gumroadtest.TokenPath, func() { ended <- s.app.accounts.refresh(ctx, who) })
	cancel()
	release()
	require.NoError(t, <-ended)
	require.NotEqual(t, old, s.accessToken(), "the new tokens are kept")
	require.Equal(t, http.StatusOK, ann.post("/token/refresh").StatusCode)
}

// After an error, the next refresh does not wait for the end of the lease.
func TestLeaseIsGivenBack(t *testing.T) {
	eachDatabase(t, false, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		ann := s.visitor()
		ann.logIn()
		for path, endpoint := range map[string]string{"/token/refresh": gumroadtest.TokenPath, "/disconnect": gumroadtest.RevokePath} {
			s.gumroad.Fail(endpoint, gumroadtest.Fault{Status: http.StatusServiceUnavailable})
			require.Equal(t, http.StatusBadGateway, ann.post(path).StatusCode)
			var busy int
			require.NoError(t, s.app.accounts.db.QueryRow("SELECT busy_until FROM gumroad_accounts").Scan(&busy))
			require.Zero(t, busy)
		}
		require.Equal(t, http.StatusOK, ann.post("/token/refresh").StatusCode)
	})
}

// leaseOfChild is the lease of the copy that is killed.
const leaseOfChild = 2 * time.Second

// A copy that is killed during a refresh blocks the user only until its lease ends.
func TestKilledCopy(t *testing.T) {
	eachDatabase(t, true, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		ann := s.visitor()
		ann.logIn()
		old, who := s.accessToken(), s.login()
		// The process dies before Gumroad does anything.
		s.gumroad.Fail(gumroadtest.TokenPath, gumroadtest.Fault{Delay: time.Hour, Status: http.StatusServiceUnavailable})
		data, err := json.Marshal(childConfig{address, s.gumroad.URL, s.gumroad.ClientID, s.gumroad.ClientSecret, who})
		require.NoError(t, err)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "EXAMPLE_TEST_CHILD="+string(data))
		child.Stderr = os.Stderr
		before := len(s.gumroad.Requests())
		require.NoError(t, child.Start())
		require.Eventually(t, func() bool { return len(s.gumroad.Requests()) > before }, 30*time.Second, time.Millisecond)
		require.NoError(t, child.Process.Kill())
		require.Error(t, child.Wait())

		var busy int64
		require.NoError(t, s.app.accounts.db.QueryRow("SELECT busy_until FROM gumroad_accounts").Scan(&busy))
		require.Positive(t, busy, "the lease is still there")
		require.Equal(t, old, s.accessToken())
		require.Equal(t, http.StatusOK, ann.post("/token/refresh").StatusCode)
		require.GreaterOrEqual(t, time.Now().UnixMilli(), busy, "it waited for the end of the lease")
		require.NotEqual(t, old, s.accessToken())
		require.Equal(t, 1, livingTokens(s))
	})
}

type childConfig struct {
	Database, Gumroad, Key, Secret string
	Who                            login
}

// TestMain is also the copy that TestKilledCopy kills.
func TestMain(m *testing.M) {
	given := os.Getenv("EXAMPLE_TEST_CHILD")
	if given == "" {
		os.Exit(m.Run())
	}
	var c childConfig
	if err := json.Unmarshal([]byte(given), &c); err != nil {
		panic(err)
	}
	db, err := openDatabase(context.Background(), c.Database)
	if err != nil {
		panic(err)
	}
	provider := gumroad.NewCustomisedURL(c.Key, c.Secret, "", c.Gumroad+gumroadtest.AuthorizePath, c.Gumroad+gumroadtest.TokenPath, c.Gumroad+gumroadtest.UserPath)
	accounts := newAccounts(db, provider, testSecret)
	accounts.lease = leaseOfChild
	fmt.Fprintln(os.Stderr, accounts.refresh(context.Background(), c.Who))
}

// If the answer to a refresh is lost, the tokens are lost too. The user must log in
// again, and can.
func TestLostAnswer(t *testing.T) {
	eachDatabase(t, false, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		ann := s.visitor()
		ann.logIn()
		s.gumroad.Fail(gumroadtest.TokenPath, gumroadtest.Fault{After: true})
		page := ann.post("/token/refresh")
		require.Equal(t, http.StatusBadGateway, page.StatusCode)
		require.Contains(t, page.body, "Gumroad is unavailable")
		page = ann.post("/token/refresh")
		require.Equal(t, http.StatusUnauthorized, page.StatusCode)
		require.Contains(t, page.body, "Gumroad no longer accepts this login")
		require.Equal(t, http.StatusUnauthorized, ann.get("/profile").StatusCode)
		require.Equal(t, http.StatusOK, ann.logIn().StatusCode)
		require.Equal(t, http.StatusOK, ann.post("/token/refresh").StatusCode)
	})
}

// Disconnect ends the user's logins in every browser and at every copy.
func TestDisconnectEndsAllLogins(t *testing.T) {
	eachDatabase(t, true, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address, copies: 2})
		ann, phone := s.visitor(), s.visitor()
		ann.logIn()
		phone.logIn()
		token, old := s.accessToken(), ann.session()
		require.Contains(t, ann.post("/disconnect").body, "You are disconnected")
		require.False(t, s.alive(token))
		require.Empty(t, ann.session(), "the cookie is taken away")
		ann.logIn()
		for range 2 { // once at each copy
			require.Equal(t, http.StatusUnauthorized, phone.get("/profile").StatusCode, "what has ended does not come back")
			require.Equal(t, http.StatusOK, ann.get("/profile").StatusCode)
		}
		phone.setCookie(s.app.sessions.Cookie.Name, old)
		require.Equal(t, http.StatusUnauthorized, phone.get("/profile").StatusCode)
	})
}

// After several logins of one user at once, one pair of tokens is valid.
func TestLoginsAtOnce(t *testing.T) {
	eachDatabase(t, false, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		var all sync.WaitGroup
		visitors := make([]*visitor, 4)
		for i := range visitors {
			visitors[i] = s.visitor()
			callback := s.authorize(visitors[i].begin())
			all.Go(func() { visitors[i].follow(callback) })
		}
		all.Wait()
		require.Equal(t, 1, livingTokens(s))
		require.True(t, s.alive(s.accessToken()))
		for _, v := range visitors {
			require.Equal(t, http.StatusOK, v.get("/profile").StatusCode)
		}
	})
}

// If a server issues the same token twice, it is not revoked.
func TestSamePairTwice(t *testing.T) {
	for name, body := range map[string]string{
		"both tokens":       `{"access_token":"ACCESS","refresh_token":"REFRESH","token_type":"Bearer"}`,
		"the refresh token": `{"access_token":"another","refresh_token":"REFRESH","token_type":"Bearer"}`,
		"no refresh token":  `{"access_token":"ACCESS","token_type":"Bearer"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			ann := s.visitor()
			ann.logIn()
			first := s.tokens()
			s.gumroad.Fail(gumroadtest.TokenPath, gumroadtest.Fault{Body: strings.NewReplacer("ACCESS", first.Access, "REFRESH", first.Refresh).Replace(body)})
			s.gumroad.Fail(gumroadtest.UserPath, gumroadtest.Fault{Body: `{"success":true,"user":{"id":"6754923450134"}}`})
			require.Equal(t, http.StatusOK, ann.logIn().StatusCode)
			require.True(t, s.alive(first.Access))
		})
	}
}

// Without refresh tokens, two pairs are not the same.
func TestSecondLoginWithoutRefreshToken(t *testing.T) {
	s := newTestSite(t)
	user := goth.User{UserID: "42", AccessToken: "first"}
	_, err := s.app.accounts.logIn(context.Background(), user)
	require.NoError(t, err)
	user.AccessToken = "second"
	_, err = s.app.accounts.logIn(context.Background(), user)
	require.NoError(t, err)
	require.Equal(t, []string{"first"}, s.revoked())
}

func TestRevocationFailsAtSecondLogin(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	s.gumroad.Fail(gumroadtest.RevokePath, gumroadtest.Fault{Status: http.StatusServiceUnavailable})
	require.Equal(t, http.StatusOK, ann.logIn().StatusCode, "the login goes through")
	require.Contains(t, s.log.String(), "A token that is no longer used stays valid: gumroad: ")
}

// Nobody can log in or use a token with the content of the database.
func TestNoSecretInDatabase(t *testing.T) {
	eachDatabase(t, true, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		ann := s.visitor()
		ann.logIn()
		ann.post("/token/refresh")
		found := append(s.secrets.found(), ann.session(), testSecret)
		require.Greater(t, len(found), 5)
		s.app.accounts.db.DB.Close() // reading an open file would take away its locks
		dump := dumpOf(t, address)
		require.Contains(t, dump, "John Smith", "it is the right dump")
		for _, secret := range found {
			require.NotContains(t, dump, secret)
		}
	})
}

func dumpOf(t *testing.T, address string) string {
	if path, isFile := strings.CutPrefix(address, "file:"); isFile {
		all, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
		require.NoError(t, err)
		var data []byte
		for _, name := range all {
			part, err := os.ReadFile(name)
			require.NoError(t, err)
			data = append(data, part...)
		}
		return string(data)
	}
	db := openTestDatabase(t, address)
	var dump strings.Builder
	for _, table := range []string{"gumroad_accounts", "gumroad_sessions"} {
		rows, err := db.Query("SELECT * FROM " + table)
		require.NoError(t, err)
		for rows.Next() {
			columns, err := rows.Columns()
			require.NoError(t, err)
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			require.NoError(t, rows.Scan(values...))
			for _, value := range values {
				if bytes, isBytes := (*value.(*any)).([]byte); isBytes {
					dump.Write(bytes)
				} else {
					fmt.Fprintln(&dump, *value.(*any))
				}
			}
		}
		require.NoError(t, rows.Err())
	}
	return dump.String()
}

// Tokens that were copied to another user's row cannot be used.
func TestRowOfAnotherUser(t *testing.T) {
	eachDatabase(t, false, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		ann, mallory := s.visitor(), s.visitor()
		ann.logIn()
		s.gumroad.SetUser(gumroadtest.User{ID: "666", Name: "Mallory"})
		mallory.logIn()
		_, err := s.app.accounts.db.Exec(`UPDATE gumroad_accounts SET tokens = (SELECT tokens FROM gumroad_accounts WHERE user_id = '6754923450134'),
			profile = (SELECT profile FROM gumroad_accounts WHERE user_id = '6754923450134') WHERE user_id = '666'`)
		require.NoError(t, err)
		for _, path := range []string{"/token/refresh", "/profile/refetch", "/disconnect"} {
			page := mallory.post(path)
			require.Equal(t, http.StatusUnauthorized, page.StatusCode, path)
			require.Contains(t, page.body, "Please log in again")
			mallory.logIn()
			_, err := s.app.accounts.db.Exec(`UPDATE gumroad_accounts SET tokens = (SELECT tokens FROM gumroad_accounts WHERE user_id = '6754923450134') WHERE user_id = '666'`)
			require.NoError(t, err)
		}
	})
}

// After a change of SESSION_SECRET, users log in again.
func TestAnotherSecret(t *testing.T) {
	eachDatabase(t, true, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		for _, path := range []string{"/token/refresh", "/profile/refetch", "/disconnect"} {
			s.restart(testSecret)
			ann := s.visitor()
			ann.logIn()
			s.restart("another secret of 32 characters..")
			require.Equal(t, http.StatusOK, ann.get("/profile").StatusCode)
			page := ann.post(path)
			require.Equal(t, http.StatusUnauthorized, page.StatusCode)
			require.Contains(t, page.body, "Please log in again")
			require.Contains(t, s.log.String(), "SESSION_SECRET")
			require.Empty(t, ann.session())
			require.Equal(t, http.StatusOK, ann.logIn().StatusCode)
			require.Contains(t, s.log.String(), "The tokens of the previous login stay valid", "they cannot be revoked")
			require.NotContains(t, s.log.String(), "A token that is no longer used")
			require.Equal(t, http.StatusOK, ann.post(path).StatusCode)
		}
	})
}

// If the database fails, a page says so, and the log has the reason.
func TestDatabaseFails(t *testing.T) {
	tests := map[string]struct{ method, path string }{
		"start": {"GET", "/"}, "profile": {"GET", "/profile"}, "products": {"GET", "/products"}, "refresh": {"POST", "/token/refresh"},
		"refetch": {"POST", "/profile/refetch"}, "log out": {"POST", "/logout"},
	}
	for name, test := range tests {
		for _, table := range []string{"gumroad_accounts", "gumroad_sessions"} {
			if table == "gumroad_accounts" && test.path == "/logout" {
				continue // which does not need it
			}
			t.Run(name+" without "+table, func(t *testing.T) {
				s := newTestSite(t)
				ann := s.visitor()
				ann.logIn()
				_, err := s.app.accounts.db.Exec("DROP TABLE " + table)
				require.NoError(t, err)
				page := ann.do(test.method, s.url+test.path, nil)
				require.Equal(t, http.StatusInternalServerError, page.StatusCode)
				require.Contains(t, page.body, "Something went wrong here")
				require.Contains(t, s.log.String(), table)
				require.NotEmpty(t, ann.session(), "still logged in, when the database works again")
			})
		}
	}
}

// If the tokens of a login cannot be stored, they are revoked. The page does not
// blame the user.
func TestDatabaseFailsAtCallback(t *testing.T) {
	for _, statement := range []string{
		"DROP TABLE gumroad_accounts",
		"CREATE TRIGGER t BEFORE INSERT ON gumroad_accounts BEGIN SELECT RAISE(FAIL, 'no room for gumroad_accounts'); END",
	} {
		s := newTestSite(t)
		ann := s.visitor()
		callback := s.authorize(ann.begin())
		_, err := s.app.accounts.db.Exec(statement)
		require.NoError(t, err)
		page := ann.follow(callback)
		require.Equal(t, http.StatusInternalServerError, page.StatusCode)
		require.Contains(t, page.body, "Something went wrong here")
		require.Contains(t, s.log.String(), "gumroad_accounts")
		require.Zero(t, livingTokens(s))
	}
	s := newTestSite(t)
	ann := s.visitor()
	callback := s.authorize(ann.begin())
	_, err := s.app.accounts.db.Exec("DROP TABLE gumroad_sessions")
	require.NoError(t, err)
	page := ann.follow(callback)
	require.Equal(t, http.StatusInternalServerError, page.StatusCode)
	require.Contains(t, page.body, "Something went wrong here")
	require.Empty(t, ann.session())
}

func TestDatabaseFailsAtRefresh(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	_, err := s.app.accounts.db.Exec("CREATE TRIGGER t BEFORE UPDATE OF tokens ON gumroad_accounts BEGIN SELECT RAISE(FAIL, 'no room'); END")
	require.NoError(t, err)
	page := ann.post("/token/refresh")
	require.Equal(t, http.StatusInternalServerError, page.StatusCode)
	require.Contains(t, page.body, "Something went wrong here")
	require.Contains(t, s.log.String(), "no room")
	require.Zero(t, livingTokens(s), "tokens that are not kept are revoked")
}

func TestDatabaseFailsAtRefetch(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	_, err := s.app.accounts.db.Exec("CREATE TRIGGER t BEFORE UPDATE OF profile ON gumroad_accounts BEGIN SELECT RAISE(FAIL, 'no room'); END")
	require.NoError(t, err)
	require.Equal(t, http.StatusInternalServerError, ann.post("/profile/refetch").StatusCode)
	require.Contains(t, s.log.String(), "no room")
}

func TestDatabaseFailsAtLease(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	old := s.accessToken()
	_, err := s.app.accounts.db.Exec("CREATE TRIGGER t BEFORE UPDATE OF busy_until ON gumroad_accounts BEGIN SELECT RAISE(FAIL, 'no room'); END")
	require.NoError(t, err)
	require.Equal(t, http.StatusInternalServerError, ann.post("/token/refresh").StatusCode)
	require.Contains(t, s.log.String(), "no room")
	require.True(t, s.alive(old), "Gumroad was not asked")

	_, err = s.app.accounts.db.Exec(`DROP TRIGGER t;
		CREATE TRIGGER t BEFORE UPDATE OF busy_until ON gumroad_accounts WHEN NEW.busy_until = 0 BEGIN SELECT RAISE(FAIL, 'no room'); END`)
	require.NoError(t, err)
	s.gumroad.Fail(gumroadtest.TokenPath, gumroadtest.Fault{Status: http.StatusServiceUnavailable})
	require.Equal(t, http.StatusBadGateway, ann.post("/token/refresh").StatusCode)
	require.Contains(t, s.log.String(), "Releasing the lease: ")
}

// If a session cannot be ended, the page does not say that it has ended.
func TestDatabaseFailsAtEndOfSession(t *testing.T) {
	for name, end := range map[string]func(s *testSite, ann *visitor) answer{
		"log out":    func(_ *testSite, ann *visitor) answer { return ann.post("/logout") },
		"disconnect": func(_ *testSite, ann *visitor) answer { return ann.post("/disconnect") },
		"new login":  func(_ *testSite, ann *visitor) answer { return ann.logIn() },
		"revoked": func(s *testSite, ann *visitor) answer {
			require.NoError(s.t, s.provider.RevokeToken(context.Background(), s.accessToken()))
			return ann.post("/token/refresh")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			ann := s.visitor()
			ann.logIn()
			_, err := s.app.accounts.db.Exec("CREATE TRIGGER t BEFORE DELETE ON gumroad_sessions BEGIN SELECT RAISE(FAIL, 'no room'); END")
			require.NoError(t, err)
			page := end(s, ann)
			require.Equal(t, http.StatusInternalServerError, page.StatusCode)
			require.Contains(t, page.body, "Something went wrong here")
			require.Contains(t, s.log.String(), "no room")
		})
	}
}

// After a disconnect, a refresh finds no account.
func TestDisconnectedWhileRefreshHangs(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	who := s.login()
	for _, path := range []string{gumroadtest.TokenPath, productsPath} {
		ended := make(chan answer, 1)
		release := hang(s, path, func() {
			if path == productsPath {
				ended <- ann.get("/products")
			} else {
				ended <- ann.post("/token/refresh")
			}
		})
		_, err := s.app.accounts.db.Exec("DELETE FROM gumroad_accounts")
		require.NoError(t, err)
		require.NoError(t, s.provider.RevokeToken(context.Background(), s.secrets.accessTokens()[len(s.secrets.accessTokens())-1]))
		release()
		page := <-ended
		require.Equal(t, http.StatusUnauthorized, page.StatusCode)
		require.Contains(t, page.body, "You are not logged in")
		require.ErrorIs(t, s.app.accounts.refresh(context.Background(), who), errNotLoggedIn)
		require.Zero(t, livingTokens(s))
		ann.logIn()
	}
}

func TestDatabaseFailsAtDisconnect(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	_, err := s.app.accounts.db.Exec("CREATE TRIGGER t BEFORE DELETE ON gumroad_accounts BEGIN SELECT RAISE(FAIL, 'no room'); END")
	require.NoError(t, err)
	page := ann.post("/disconnect")
	require.Equal(t, http.StatusBadGateway, page.StatusCode)
	require.Contains(t, page.body, "You may still be connected")
	require.Contains(t, s.log.String(), "no room")
}

// A user whose session cannot be read can log in again.
func TestSpoiledSession(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	_, err := s.app.accounts.db.Exec("UPDATE gumroad_sessions SET data = 'x'")
	require.NoError(t, err)
	require.Contains(t, ann.get("/").body, "Continue with Gumroad")
	require.Contains(t, ann.get("/profile").body, "You are not logged in")
	require.Contains(t, s.log.String(), "A session cannot be read")
	require.Equal(t, http.StatusOK, ann.logIn().StatusCode)
}
