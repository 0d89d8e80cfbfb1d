package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alexedwards/scs/postgresstore"
	"github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

// tables are the same for SQLite and PostgreSQL. Their names begin with gumroad_,
// since other programs may use the same database.
const tables = `
CREATE TABLE IF NOT EXISTS gumroad_accounts (
	user_id      TEXT PRIMARY KEY,
	connection   TEXT NOT NULL,   -- random; every session must match it; a disconnect changes it
	version      TEXT NOT NULL,   -- random; each pair of tokens has a new one
	busy_until   BIGINT NOT NULL, -- when the lease on the tokens ends, in Unix milliseconds
	tokens       BYTEA NOT NULL,  -- encrypted
	profile      TEXT NOT NULL,   -- JSON
	refreshed_at BIGINT NOT NULL  -- in Unix seconds; 0 means never
);
CREATE TABLE IF NOT EXISTS gumroad_sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
CREATE INDEX IF NOT EXISTS gumroad_sessions_expiry ON gumroad_sessions (expiry);`

const (
	sessionTable   = "gumroad_sessions"
	cleanUpTime    = 5 * time.Minute // between deletions of ended sessions
	connectTimeout = 3 * time.Second // if DATABASE_URL names none
	maxConnections = 10              // of one replica to PostgreSQL
)

// database holds the accounts and the sessions.
type database struct {
	*sql.DB
	sessions interface {
		scs.Store
		StopCleanup()
	}
}

// openDatabase opens the database at a DATABASE_URL, and creates missing tables. An
// address that begins with postgres:// means PostgreSQL. One that begins with file:
// is the path of an SQLite file, which is created if it does not exist. An empty
// address means an SQLite database in memory. The caller must call Close once.
func openDatabase(ctx context.Context, address string) (*database, error) {
	db, lock := &database{}, ""
	path, isFile := strings.CutPrefix(address, "file:")
	switch {
	case strings.HasPrefix(address, "postgres://"), strings.HasPrefix(address, "postgresql://"):
		cfg, err := pgx.ParseConfig(address)
		if err != nil {
			return nil, fmt.Errorf("reading DATABASE_URL: %w", err)
		}
		cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, connectTimeout)
		db.DB = stdlib.OpenDB(*cfg)
		db.SetMaxOpenConns(maxConnections)
		db.sessions = postgresstore.NewWithConfig(db.DB, postgresstore.Config{CleanUpInterval: cleanUpTime, TableName: sessionTable})
		// Without the lock, two replicas that start at once would both create the
		// tables, and one would fail.
		lock = "SELECT pg_advisory_xact_lock(6754923450134);"
	case address == "" || (isFile && path != ""):
		dsn, err := sqliteAddress(path)
		if err == nil {
			db.DB, err = sql.Open("sqlite", dsn)
		}
		if err != nil {
			return nil, fmt.Errorf("opening the database: %w", err)
		}
		if address == "" {
			db.SetMaxOpenConns(1) // a second connection would be a second database
		}
		db.sessions = sqlite3store.NewWithConfig(db.DB, sqlite3store.Config{CleanUpInterval: cleanUpTime, TableName: sessionTable})
	default:
		return nil, errors.New("DATABASE_URL must be an address of PostgreSQL, such as postgres://user:password@host/name, or file: and a path, such as file:/var/lib/example/example.db")
	}

	if err := db.createTables(ctx, lock); err != nil {
		db.Close()
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	return db, nil
}

// createTables creates the tables if they do not exist. If they exist, the role
// needs no right to create tables.
func (db *database) createTables(ctx context.Context, lock string) error {
	if err := db.PingContext(ctx); err != nil || db.haveTables(ctx) == nil {
		return err
	}
	// PostgreSQL runs statements that are sent together in one transaction.
	if _, err := db.ExecContext(ctx, lock+tables); err != nil {
		return fmt.Errorf("creating the tables: %w", err)
	}
	return db.haveTables(ctx)
}

// sqliteAddress returns SQLite's address of a file. If the file does not exist, it
// creates one that only its owner can read. An empty path means memory.
func sqliteAddress(path string) (string, error) {
	if path == "" {
		return ":memory:", nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = file.Close()
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	// With _txlock=immediate, a transaction locks the file when it begins. If it read
	// first and locked later, it could not wait for another transaction.
	u := url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(path), "/"), RawQuery: "_pragma=busy_timeout(5000)&_txlock=immediate"}
	return u.String(), nil
}

func (db *database) haveTables(ctx context.Context) error {
	_, err := db.ExecContext(ctx, `SELECT user_id, connection, version, busy_until, tokens, profile, refreshed_at FROM gumroad_accounts WHERE 1=0`)
	if err == nil {
		_, err = db.ExecContext(ctx, `SELECT token, data, expiry FROM gumroad_sessions WHERE 1=0`)
	}
	return err
}

// change reports whether the statement changed a row.
func (db *database) change(ctx context.Context, statement string, args ...any) (bool, error) {
	result, err := db.ExecContext(ctx, statement, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

func (db *database) Close() error {
	db.sessions.StopCleanup()
	return db.DB.Close()
}
