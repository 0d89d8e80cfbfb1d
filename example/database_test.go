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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Replicas that start at once all find the tables.
func TestStartsAtOnce(t *testing.T) {
	eachDatabase(t, true, func(t *testing.T, address string) {
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

func TestDatabaseIsUsedAgain(t *testing.T) {
	eachDatabase(t, true, func(t *testing.T, address string) {
		s := newTestSite(t, siteOptions{address: address})
		ann := s.visitor()
		ann.logIn()
		s.restart(testSecret)
		require.Contains(t, ann.get("/profile").body, "John Smith")
		require.Equal(t, http.StatusOK, ann.post("/token/refresh").StatusCode)
	})
}

// A table of another program stays as it is. The error says what is missing.
func TestForeignTable(t *testing.T) {
	for table, missing := range map[string]string{"gumroad_accounts": "connection", "gumroad_sessions": "token"} {
		eachDatabase(t, true, func(t *testing.T, address string) {
			db := openTestDatabase(t, address)
			_, err := db.Exec("DROP TABLE " + table)
			require.NoError(t, err)
			_, err = db.Exec("CREATE TABLE " + table + " (user_id TEXT, expiry BIGINT)")
			require.NoError(t, err)
			_, err = openDatabase(context.Background(), address)
			require.ErrorContains(t, err, "opening the database")
			require.ErrorContains(t, err, missing)
		})
	}
}

// A role that may not create tables can use existing ones.
func TestRoleThatMakesNoTables(t *testing.T) {
	address := newSchema(t)
	db := openTestDatabase(t, address)
	u, err := url.Parse(address)
	require.NoError(t, err)
	schema := u.Query().Get("search_path")
	role := schema + "_user"
	for _, statement := range []string{
		"CREATE ROLE " + role + " LOGIN PASSWORD 'hush'",
		"GRANT USAGE ON SCHEMA " + schema + " TO " + role,
	} {
		_, err := db.Exec(statement)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		_, err := db.Exec("DROP OWNED BY " + role)
		assert.NoError(t, err)
		_, err = db.Exec("DROP ROLE " + role)
		assert.NoError(t, err)
	})
	query := u.Query()
	query.Set("user", role)
	query.Set("password", "hush")
	u.RawQuery = query.Encode()
	if u.User != nil {
		u.User = url.UserPassword(role, "hush")
	}
	_, err = openDatabase(context.Background(), u.String())
	require.ErrorContains(t, err, "creating the tables")
	require.ErrorContains(t, err, "permission denied", "it has no rights in the tables yet")
	_, err = db.Exec("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA " + schema + " TO " + role)
	require.NoError(t, err)
	s := newTestSite(t, siteOptions{address: u.String()})
	ann := s.visitor()
	require.Equal(t, http.StatusOK, ann.logIn().StatusCode)
	require.Equal(t, http.StatusOK, ann.post("/token/refresh").StatusCode)
	require.Equal(t, http.StatusOK, ann.post("/disconnect").StatusCode)
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

// One replica leaves connections for others. A database in memory has one connection.
func TestConnections(t *testing.T) {
	db := openTestDatabase(t, newSchema(t))
	require.Equal(t, maxConnections, db.Stats().MaxOpenConnections)
	require.Equal(t, 1, openTestDatabase(t, "").Stats().MaxOpenConnections)
	require.Zero(t, openTestDatabase(t, newFile(t)).Stats().MaxOpenConnections)
}
