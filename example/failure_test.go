package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gumroad/goth-gumroad/example/internal/testkit"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Disconnect ends the user's logins in every browser and at every copy.
func TestDisconnectEndsAllLogins(t *testing.T) {
	testkit.EachDatabase(t, true, func(t *testing.T, address string) {
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

// Nobody can log in or use a token with the content of the database.
func TestNoSecretInDatabase(t *testing.T) {
	testkit.EachDatabase(t, true, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		ann := s.visitor()
		ann.logIn()
		ann.post("/token/refresh")
		found := append(s.wire.Found(), ann.session(), testSecret)
		require.Greater(t, len(found), 5)
		s.db.DB.Close() // reading an open file would take away its locks
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

// After a change of SESSION_SECRET, users log in again.
func TestAnotherSecret(t *testing.T) {
	testkit.EachDatabase(t, true, func(t *testing.T, address string) {
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
			require.Contains(t, s.log.String(), "was the secret changed?")
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
			t.Run(name+" without "+table, func(t *testing.T) {
				s := newTestSite(t)
				ann := s.visitor()
				ann.logIn()
				_, err := s.db.Exec("DROP TABLE " + table)
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

// If a login cannot be stored, the page does not blame the user. The log says where it
// happened.
func TestDatabaseFailsAtCallback(t *testing.T) {
	for _, table := range []string{"gumroad_accounts", "gumroad_sessions"} {
		s := newTestSite(t)
		ann := s.visitor()
		callback := s.authorize(ann.begin())
		_, err := s.db.Exec("DROP TABLE " + table)
		require.NoError(t, err)
		page := ann.follow(callback)
		require.Equal(t, http.StatusInternalServerError, page.StatusCode)
		require.Contains(t, page.body, "Something went wrong here")
		require.Contains(t, s.log.String(), "GET /auth/gumroad/callback: ")
		require.Contains(t, s.log.String(), table)
		require.Empty(t, ann.session())
	}
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
			_, err := s.db.Exec("CREATE TRIGGER t BEFORE DELETE ON gumroad_sessions BEGIN SELECT RAISE(FAIL, 'no room'); END")
			require.NoError(t, err)
			page := end(s, ann)
			require.Equal(t, http.StatusInternalServerError, page.StatusCode)
			require.Contains(t, page.body, "Something went wrong here")
			require.Contains(t, s.log.String(), "no room")
		})
	}
}

// If the disk is full, it is not Gumroad that failed.
func TestDatabaseFailsAtDisconnect(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	_, err := s.db.Exec("CREATE TRIGGER t BEFORE DELETE ON gumroad_accounts BEGIN SELECT RAISE(FAIL, 'no room'); END")
	require.NoError(t, err)
	page := ann.post("/disconnect")
	require.Equal(t, http.StatusInternalServerError, page.StatusCode)
	require.Contains(t, page.body, "Something went wrong here")
	require.Contains(t, s.log.String(), "no room")
}

// A user whose session cannot be read can log in again.
func TestSpoiledSession(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	_, err := s.db.Exec("UPDATE gumroad_sessions SET data = 'x'")
	require.NoError(t, err)
	require.Contains(t, ann.get("/").body, "Continue with Gumroad")
	require.Contains(t, ann.get("/profile").body, "You are not logged in")
	require.Contains(t, s.log.String(), "A session cannot be read")
	require.Equal(t, http.StatusOK, ann.logIn().StatusCode)
}

// Nobody asks the database for a visitor without a session.
func TestDatabaseDownWithoutSession(t *testing.T) {
	s := newTestSite(t)
	require.NoError(t, s.db.DB.Close())
	page := s.visitor().get("/")
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, page.body, "Continue with Gumroad")
	require.Equal(t, http.StatusSeeOther, s.visitor().post("/auth/gumroad").StatusCode)
	require.Equal(t, http.StatusUnauthorized, s.visitor().get("/profile").StatusCode)
}

// A request that the browser has given up is no error of the application.
func TestBrowserGivesUp(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	for path, method := range map[string]string{"/profile": "GET", "/products": "GET", "/token/refresh": "POST", "/disconnect": "POST"} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		req := httptest.NewRequestWithContext(ctx, method, s.url+path, nil)
		req.AddCookie(&http.Cookie{Name: s.app.sessions.Cookie.Name, Value: ann.session()})
		s.app.ServeHTTP(httptest.NewRecorder(), req)
	}
	require.Empty(t, s.log.String())
	require.Equal(t, http.StatusOK, ann.get("/profile").StatusCode)
}

// Many people log in at once.
func TestManyLogins(t *testing.T) {
	testkit.EachDatabase(t, true, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		turns := make(chan int)
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				for n := range turns {
					ann := s.visitor()
					user := gumroadtest.User{ID: fmt.Sprint(1_000_000 + n), Name: fmt.Sprint("Visitor ", n)}
					callback, err := s.gumroad.AuthorizeAs(user, ann.post("/auth/gumroad").Header.Get("Location"))
					if assert.NoError(t, err) {
						assert.Contains(t, ann.follow(callback).body, user.Name)
					}
				}
			})
		}
		for n := range 200 {
			turns <- n
		}
		close(turns)
		all.Wait()
		require.Empty(t, s.log.String())
	})
}

// What Gumroad refuses for good ends the login in every browser, and leaves no token.
func TestTokenRefusedEndsAllLogins(t *testing.T) {
	s := newTestSite(t)
	ann, phone := s.visitor(), s.visitor()
	ann.logIn()
	phone.logIn()
	token := s.accessToken()
	s.gumroad.Fail(gumroadtest.UserPath, gumroadtest.Fault{Status: http.StatusUnauthorized}) // by mistake
	page := ann.post("/profile/refetch")
	require.Equal(t, http.StatusUnauthorized, page.StatusCode)
	require.Contains(t, page.body, "Gumroad no longer accepts this login")
	require.Empty(t, ann.session())
	require.Equal(t, http.StatusUnauthorized, phone.get("/profile").StatusCode)
	require.False(t, s.alive(token))
	ann.logIn()
	require.Equal(t, http.StatusUnauthorized, phone.get("/profile").StatusCode, "what has ended does not come back")
}
