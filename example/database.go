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

const (
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

// openDatabase opens the database at a DATABASE_URL: PostgreSQL, or an SQLite file, which
// it creates if it does not exist. An empty URL means SQLite in memory. The caller must
// call Close once.
func openDatabase(ctx context.Context, address string) (*database, error) {
	db := &database{}
	path, isFile := strings.CutPrefix(address, "file:")
	switch {
	case strings.HasPrefix(address, "postgres://"), strings.HasPrefix(address, "postgresql://"):
		cfg, err := pgx.ParseConfig(address)
		if err != nil {
			return nil, fmt.Errorf("reading DATABASE_URL: %w", err)
		}
		cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, connectTimeout)
		if !strings.Contains(address, "default_query_exec_mode=") {
			// By default, pgx prepares statements, which belong to one connection.
			// A pooler such as pgbouncer changes it with each transaction.
			cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
		}
		db.DB = stdlib.OpenDB(*cfg)
		db.SetMaxOpenConns(maxConnections)
		db.sessions = postgresstore.NewWithConfig(db.DB, postgresstore.Config{CleanUpInterval: cleanUpTime, TableName: sessionTable})
	case address == "" || (isFile && path != ""):
		dsn, err := sqliteDSN(path)
		if err == nil {
			db.DB, err = sql.Open("sqlite", dsn)
		}
		if err != nil {
			return nil, fmt.Errorf("opening the database: %w", err)
		}
		// In memory, a second connection would be a second database. On disk, the
		// connections would wait for each other, and under load too long.
		db.SetMaxOpenConns(1)
		db.sessions = sqlite3store.NewWithConfig(db.DB, sqlite3store.Config{CleanUpInterval: cleanUpTime, TableName: sessionTable})
	default:
		return nil, errors.New("DATABASE_URL must be the URL of a PostgreSQL database, such as postgres://user:password@host/name, or file: and a path, such as file:/var/lib/example/example.db")
	}

	if err := createSessions(ctx, db.DB); err != nil {
		db.Close()
		return nil, fmt.Errorf("opening the database: sessions: %w", err)
	}
	return db, nil
}

// sqliteDSN returns SQLite's name of a file. If the file does not exist, it creates one
// that only its owner can read. An empty path means memory.
func sqliteDSN(path string) (string, error) {
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
	// first and locked later, it could not wait for another program.
	u := url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(path), "/"), RawQuery: "_pragma=busy_timeout(5000)&_txlock=immediate"}
	return u.String(), nil
}

func (db *database) Close() error {
	db.sessions.StopCleanup()
	return db.DB.Close()
}
