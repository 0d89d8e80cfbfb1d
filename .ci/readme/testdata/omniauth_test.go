package main

import (
	"database/sql"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"
)

// The user presses the button on a page, and comes back to that page.
func TestLoginReturnsToThePage(t *testing.T) {
	server := gumroadtest.NewServer()
	defer server.Close()
	provider := server.Provider(baseURL + "/auth/gumroad/callback")
	goth.UseProviders(provider)
	app := newApp("a secret")
	for next, want := range map[string]string{
		"/orders?page=2&a=b%20c;d": "/orders?page=2&a=b%20c;d",
		"":                         "/",
		"https://evil.example":     "/",
		"/" + strings.Repeat("\\", 2) + "evil.example": "/",
	} {
		cookies := map[string]*http.Cookie{}
		visit := func(method, address string) *http.Response {
			r := httptest.NewRequest(method, address, strings.NewReader(url.Values{"next": {next}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for _, cookie := range cookies {
				r.AddCookie(cookie)
			}
			w := httptest.NewRecorder()
			app.ServeHTTP(w, r)
			for _, cookie := range w.Result().Cookies() {
				cookies[cookie.Name] = cookie
				if cookie.MaxAge < 0 {
					delete(cookies, cookie.Name)
				}
			}
			return w.Result()
		}
		callback, err := server.Authorize(visit("POST", baseURL+"/auth/gumroad").Header.Get("Location"))
		require.NoError(t, err)
		resp := visit("GET", callback)
		require.Equal(t, http.StatusSeeOther, resp.StatusCode)
		require.Equal(t, want, resp.Header.Get("Location"))
	}
}

// A user whom another library stored with user_id is found by UserID after one login.
func TestAdopt(t *testing.T) {
	db, err := sql.Open("sqlite", ":memory:")
	require.NoError(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	statements, err := os.ReadFile("page.sql")
	require.NoError(t, err)
	for _, statement := range []string{
		`CREATE TABLE users (name TEXT, gumroad_id TEXT)`,
		`INSERT INTO users VALUES ('John', 'G_-mnBf9b1j9A7a4ub4nFQ=='), ('Jane', 'another=='), ('6754923450134', '6754923450134')`,
		string(statements),
	} {
		_, err = db.Exec(statement)
		require.NoError(t, err)
	}
	user := goth.User{UserID: "6754923450134", RawData: map[string]any{"user": map[string]any{"user_id": "G_-mnBf9b1j9A7a4ub4nFQ=="}}}
	for range 2 {
		require.NoError(t, adopt(t.Context(), db, user))
		var name string
		require.NoError(t, db.QueryRow(`SELECT name FROM users WHERE gumroad_id = $1`, user.UserID).Scan(&name))
		require.Equal(t, "John", name)
	}
	require.NoError(t, adopt(t.Context(), db, goth.User{UserID: "7"}), "an answer without user_id")
	require.NoError(t, adopt(t.Context(), db, goth.User{UserID: "7", RawData: user.RawData}), "a user who has a UserID keeps it")
	var count int
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM users WHERE gumroad_id IS NULL`).Scan(&count))
	require.Equal(t, 2, count)
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM users WHERE gumroad_id = $1`, user.UserID).Scan(&count))
	require.Equal(t, 1, count)
}
