// Package testkit has what the tests of the example and of its store share.
package testkit

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// EachDatabase runs a test on each kind of database, with a DATABASE_URL. If several
// programs share the database, it leaves out the one in memory.
func EachDatabase(t *testing.T, shared bool, test func(t *testing.T, address string)) {
	if !shared {
		t.Run("SQLite in memory", func(t *testing.T) { test(t, "") })
	}
	t.Run("SQLite", func(t *testing.T) { test(t, NewFile(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, NewSchema(t)) })
}

// NewFile returns the URL of an SQLite file that does not exist yet.
func NewFile(t *testing.T) string { return "file:" + filepath.Join(t.TempDir(), "test ?#%.db") }

var schemas atomic.Int64

// NewSchema returns the URL of an empty schema in the PostgreSQL database at
// TEST_DATABASE_URL.
func NewSchema(t *testing.T) string {
	server := os.Getenv("TEST_DATABASE_URL")
	if server == "" {
		t.Skip("TEST_DATABASE_URL is not set to the URL of a PostgreSQL database")
	}
	u, err := url.Parse(server)
	require.NoError(t, err)
	db, err := sql.Open("pgx", server)
	require.NoError(t, err)
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), schemas.Add(1))
	_, err = db.Exec("CREATE SCHEMA " + name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Exec("DROP SCHEMA " + name + " CASCADE")
		assert.NoError(t, err)
		db.Close()
	})
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	return u.String()
}
