package main

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/example/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDatabaseIsUsedAgain(t *testing.T) {
	testkit.EachDatabase(t, true, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		ann := s.visitor()
		ann.logIn()
		s.restart(testSecret)
		require.Contains(t, ann.get("/profile").body, "John Smith")
		require.Equal(t, http.StatusOK, ann.post("/token/refresh").StatusCode)
	})
}

// open starts the application on a database.
func open(t *testing.T, address string) error {
	db, err := openDatabase(t.Context(), address)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = newApp(t.Context(), gumroad.New("key", "secret", "https://app.example/callback"), db, &url.URL{Scheme: "https", Host: "app.example"}, testSecret, false)
	return err
}

// Replicas that start at once all find the tables.
func TestStartsAtOnce(t *testing.T) {
	testkit.EachDatabase(t, true, func(t *testing.T, address string) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				db, err := openDatabase(context.Background(), address)
				if assert.NoError(t, err) {
					assert.NoError(t, db.Close())
				}
			})
		}
		all.Wait()
	})
}

// A role needs no right to create tables that exist. Without the rights on them, the
// application does not start, and says which table it is.
func TestRoleWithFewRights(t *testing.T) {
	address := testkit.NewSchema(t)
	u, err := url.Parse(address)
	require.NoError(t, err)
	db := openTestDatabase(t, address)
	schema := u.Query().Get("search_path")
	role := schema + "_user"
	exec := func(statement string) {
		t.Helper()
		_, err := db.Exec(strings.NewReplacer("ROLE", role, "SCHEMA", schema).Replace(statement))
		require.NoError(t, err)
	}
	exec("CREATE USER ROLE PASSWORD 'hush'")
	exec("GRANT USAGE ON schema SCHEMA TO ROLE")
	t.Cleanup(func() {
		exec("DROP OWNED BY ROLE")
		exec("DROP USER ROLE")
	})
	query := u.Query()
	query.Set("user", role)
	query.Set("password", "hush")
	u.RawQuery = query.Encode()
	if u.User != nil {
		u.User = url.UserPassword(role, "hush")
	}
	require.ErrorContains(t, open(t, u.String()), "permission denied for table gumroad_sessions")
	exec("DROP TABLE gumroad_sessions")
	require.ErrorContains(t, open(t, u.String()), "permission denied for schema "+schema)
	require.NoError(t, open(t, address))
	for _, right := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
		exec("GRANT SELECT, INSERT, UPDATE, DELETE ON gumroad_accounts, gumroad_sessions TO ROLE")
		for _, table := range []string{"gumroad_sessions", "gumroad_accounts"} {
			exec("REVOKE " + right + " ON " + table + " FROM ROLE")
			require.ErrorContains(t, open(t, u.String()), "permission denied for table "+table, right)
			exec("GRANT " + right + " ON " + table + " TO ROLE")
		}
	}
	s := newTestSite(t, siteOptions{address: u.String()})
	ann := s.visitor()
	require.Equal(t, http.StatusOK, ann.logIn().StatusCode)
	require.Equal(t, http.StatusOK, ann.post("/token/refresh").StatusCode)
	require.Equal(t, http.StatusOK, ann.post("/disconnect").StatusCode)
}

// A database that can only be read is found at the start.
func TestReadOnlyPostgreSQL(t *testing.T) {
	address := testkit.NewSchema(t)
	require.ErrorContains(t, open(t, address+"&default_transaction_read_only=on"), "read-only transaction")
	require.NoError(t, open(t, address))
	require.ErrorContains(t, open(t, address+"&default_transaction_read_only=on"), "read-only transaction")
}

func TestFileIsTheOwners(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	for _, prefix := range []string{"", "//"} {
		path := filepath.Join(t.TempDir(), "a b?#%.db")
		openTestDatabase(t, "file:"+prefix+path)
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	openTestDatabase(t, "file:example.db")
	_, err := os.Stat("example.db")
	require.NoError(t, err)
}

func TestFileOfAnotherKind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("no database ", 100)), 0o600))
	_, err := openDatabase(context.Background(), "file:"+path)
	require.ErrorContains(t, err, "file is not a database")
}

// A database server that never answers must not block the start for ever.
func TestSilentServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	address := "postgres://ann:hush@" + listener.Addr().String() + "/x?sslmode=disable"
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err = openDatabase(ctx, address)
	require.Error(t, err)
	require.NoError(t, ctx.Err(), "it gives up by itself")
	require.NotContains(t, err.Error(), "hush")
}

// One replica leaves connections for others. SQLite has one writer.
func TestConnections(t *testing.T) {
	require.Equal(t, maxConnections, openTestDatabase(t, testkit.NewSchema(t)).Stats().MaxOpenConnections)
	require.Equal(t, 1, openTestDatabase(t, "").Stats().MaxOpenConnections)
	require.Equal(t, 1, openTestDatabase(t, testkit.NewFile(t)).Stats().MaxOpenConnections)
}
