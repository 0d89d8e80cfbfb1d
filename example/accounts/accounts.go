// Package accounts keeps the users who log in with Gumroad, and their tokens, in a table
// of an SQLite or PostgreSQL database. It is meant to be copied. It needs the provider and
// an open database, and no web application, so a nightly job can use it as well.
//
// Gumroad revokes a pair of tokens as soon as it is refreshed, so the later of two
// refreshes at once would fail. [Store.Refresh] and [Store.Disconnect] therefore take a
// lease on the user's row first. While they ask Gumroad, no transaction is open and no
// other user waits. If the program is killed, the lease ends by itself. A new pair is stored
// only over the pair that it replaces, so a lease that ended too early does no harm.
//
// All methods may be called at the same time, also by several programs that share a
// database and a secret, if their clocks differ by less than ten seconds.
package accounts

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/markbates/goth"
)

// Table is the table of the accounts, for SQLite and PostgreSQL. [New] creates it.
const Table = `CREATE TABLE IF NOT EXISTS gumroad_accounts (
	user_id      TEXT PRIMARY KEY,
	connection   TEXT NOT NULL,   -- random; new when the account is created
	version      TEXT NOT NULL,   -- random; new with every pair of tokens
	busy_until   BIGINT NOT NULL, -- the end of the lease, in Unix milliseconds
	tokens       BYTEA NOT NULL,  -- both tokens, encrypted
	profile      TEXT NOT NULL,   -- JSON
	refreshed_at BIGINT NOT NULL  -- in Unix seconds; 0 means never
)`

// After each of these errors, the user must log in again.
var (
	// ErrNoAccount means that the user never logged in, or was disconnected.
	ErrNoAccount = errors.New("accounts: the user has no account")

	// ErrRefused means that Gumroad no longer accepts the user's tokens. The account
	// was deleted. The error also wraps Gumroad's answer.
	ErrRefused = errors.New("accounts: Gumroad no longer accepts the user's tokens")

	// ErrUnreadable means that the tokens were encrypted with another secret, or for
	// another user. A new login replaces them.
	ErrUnreadable = errors.New("accounts: the user's tokens cannot be decrypted; was the secret changed?")
)

// Store keeps the accounts. Create it with [New].
type Store struct {
	db       *sql.DB
	provider *gumroad.Provider
	box      cipher.AEAD
	lease    time.Duration
	wait     time.Duration // for a lease
	patience time.Duration // for the database
}

// Account is what the store keeps of a user, without the tokens.
type Account struct {
	// UserID is the user's id at Gumroad.
	UserID string

	// Connection is random. Only the first login after a disconnect changes it, so a
	// session whose Connection is another one has ended.
	Connection string

	// Profile is the profile when it was last fetched.
	Profile

	// Refreshed is when the tokens were last refreshed. It is zero after a login.
	Refreshed time.Time

	version string
	tokens  []byte
}

// Profile is what the store keeps of a profile at Gumroad.
type Profile struct {
	Name, Username, Bio string
	Email               string // may be unconfirmed, so it never identifies a user
	Picture, Page       string // URLs
	Fetched             time.Time
}

// New returns a store in db, and creates the table if it does not exist. It returns an
// error if the table cannot be written to. The tokens are encrypted with a key that is
// derived from secret, which must be random and have at least 32 bytes.
func New(ctx context.Context, db *sql.DB, provider *gumroad.Provider, secret string) (*Store, error) {
	if len(secret) < 32 {
		return nil, errors.New("accounts: the secret has less than 32 bytes")
	}
	box, err := newBox(secret)
	if err == nil {
		err = CreateTable(ctx, db, Table,
			`INSERT INTO gumroad_accounts (user_id, connection, version, busy_until, tokens, profile, refreshed_at) VALUES ('', '', '', 0, '', '', 0)`,
			`UPDATE gumroad_accounts SET version = 'x' WHERE user_id = '' AND connection = ''`,
			`DELETE FROM gumroad_accounts WHERE user_id = ''`)
	}
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return &Store{db, provider, box, lease, lease + time.Second, patience}, nil
}

// CreateTable creates a table if it does not exist, and returns an error if the statements
// of try fail in it. They run in a transaction, which is rolled back. An error of create
// alone does not matter: a program may have no right to create a table that is there
// already, and of several that start at once, PostgreSQL lets only one create it.
func CreateTable(ctx context.Context, db *sql.DB, create string, try ...string) error {
	_, notCreated := db.ExecContext(ctx, create)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, statement := range try {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("writing to the table: %w", errors.Join(err, notCreated))
		}
	}
	return nil
}

// pair is an access token and its refresh token.
type pair struct{ Access, Refresh string }

// newBox returns what encrypts the tokens. Its key is not the secret itself, because an
// application uses the secret for its cookies as well.
func newBox(secret string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "goth-gumroad: tokens", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal encrypts the tokens of a user. The user's id is part of the encryption, so tokens
// that are copied to another user's row cannot be decrypted.
func (s *Store) seal(userID string, tokens pair) []byte {
	data, _ := json.Marshal(tokens) // two strings, which never fail
	return s.box.Seal(nil, nil, data, []byte(userID))
}

// open decrypts the tokens of an account.
func (s *Store) open(account Account) (tokens pair, err error) {
	data, err := s.box.Open(nil, nil, account.tokens, []byte(account.UserID))
	if err == nil {
		err = json.Unmarshal(data, &tokens)
	}
	if err != nil {
		return pair{}, fmt.Errorf("%w (%w)", ErrUnreadable, err)
	}
	return tokens, nil
}

// LogIn stores a user who has just logged in, and returns the account. Gumroad's tokens do
// not expire, so LogIn then revokes those of the previous login. If it cannot store the new
// ones, it revokes them and returns an error. It goes on when ctx is cancelled.
func (s *Store) LogIn(ctx context.Context, user goth.User) (Account, error) {
	if user.UserID == "" || user.AccessToken == "" {
		return Account{}, errors.New("accounts: the login has no user id or no access token")
	}
	ctx = context.WithoutCancel(ctx)
	fresh := pair{user.AccessToken, user.RefreshToken}
	now := Account{UserID: user.UserID, Profile: newProfile(user), version: rand.Text(), tokens: s.seal(user.UserID, fresh)}
	var replaced []Account
	err := s.persist(ctx, func(ctx context.Context) error {
		before, err := s.Find(ctx, user.UserID)
		switch {
		case errors.Is(err, ErrNoAccount):
			now.Connection = rand.Text()
			return s.change(ctx, `INSERT INTO gumroad_accounts (user_id, connection, version, busy_until, tokens, profile, refreshed_at)
				VALUES ($1, $2, $3, 0, $4, $5, 0) ON CONFLICT DO NOTHING`, now.UserID, now.Connection, now.version, now.tokens, now.json())
		case err != nil:
			return err
		}
		now.Connection = before.Connection
		if before.version == now.version {
			return nil // an earlier try has stored it, although it returned an error
		}
		replaced = append(replaced, before)
		// This also ends a lease, because its tokens are no longer used.
		return s.change(ctx, `UPDATE gumroad_accounts SET version = $1, busy_until = 0, tokens = $2, profile = $3, refreshed_at = 0
			WHERE user_id = $4 AND version = $5`, now.version, now.tokens, now.json(), now.UserID, before.version)
	})
	if err != nil {
		s.revoke(ctx, fresh, pair{})
		return Account{}, err
	}
	for _, before := range replaced {
		if old, err := s.open(before); err != nil {
			log.Print("The tokens of the previous login stay valid: ", err)
		} else {
			s.revoke(ctx, old, fresh)
		}
	}
	return now, nil
}

func newProfile(user goth.User) Profile {
	answer, _ := user.RawData["user"].(map[string]any)
	page, _ := answer["url"].(string)
	return Profile{
		Name: strings.TrimSpace(user.Name), Username: user.NickName, Bio: user.Description, Email: user.Email,
		Picture: user.AvatarURL, Page: page, Fetched: time.Now(),
	}
}

// json returns the profile as it is stored. JSON escapes the NUL character, which
// PostgreSQL does not accept in a text.
func (p Profile) json() string {
	data, _ := json.Marshal(p)
	return string(data)
}

// Find returns the account of a user, or [ErrNoAccount].
func (s *Store) Find(ctx context.Context, userID string) (Account, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	account := Account{UserID: userID}
	var profile []byte
	var refreshed int64
	err := s.db.QueryRowContext(ctx, `SELECT connection, version, tokens, profile, refreshed_at FROM gumroad_accounts WHERE user_id = $1`, userID).
		Scan(&account.Connection, &account.version, &account.tokens, &profile, &refreshed)
	if errors.Is(err, sql.ErrNoRows) {
		return Account{}, ErrNoAccount
	} else if err == nil {
		err = json.Unmarshal(profile, &account.Profile)
	}
	if err != nil {
		return Account{}, fmt.Errorf("accounts: reading the account: %w", err)
	}
	if refreshed != 0 {
		account.Refreshed = time.Unix(refreshed, 0)
	}
	return account, nil
}

// Use calls ask with the user's access token. If ask returns [gumroad.ErrUnauthorized]
// because a refresh has replaced the token, Use calls it again with the new one. If Gumroad
// no longer accepts the token, Use ends the account as [Store.Disconnect] does, and returns
// [ErrRefused]. It returns any other error of ask as it is.
func (s *Store) Use(ctx context.Context, userID string, ask func(accessToken string) error) error {
	for {
		account, err := s.Find(ctx, userID)
		if err != nil {
			return err
		}
		tokens, err := s.open(account)
		if err != nil {
			return err
		}
		if err = ask(tokens.Access); err == nil || !refused(err) {
			return err
		}
		// A refresh may be in progress. The lease waits for its end.
		err = s.exclusive(ctx, account, func(context.Context, pair) error { return err })
		if !errors.Is(err, errReplaced) {
			return err
		}
	}
}

// Refetch gets the user's profile from Gumroad and stores it. Its errors are those of
// [Store.Use] and [gumroad.Provider.FetchUser].
func (s *Store) Refetch(ctx context.Context, userID string) error {
	return s.Use(ctx, userID, func(accessToken string) error {
		user, err := s.provider.FetchUser(&gumroad.Session{AccessToken: accessToken})
		if err != nil {
			return err
		}
		if user.UserID != userID {
			return errors.New("accounts: fetching the profile again: Gumroad returned another user")
		}
		err = s.change(ctx, `UPDATE gumroad_accounts SET profile = $1 WHERE user_id = $2`, newProfile(user).json(), userID)
		if errors.Is(err, errReplaced) {
			return ErrNoAccount // a disconnect was faster
		}
		return err
	})
}

// Refresh exchanges the user's tokens for new ones. If another request does so while this
// one waits, Refresh returns nil and leaves the tokens as they are. If Gumroad no longer
// accepts them, Refresh ends the account as [Store.Disconnect] does, and returns
// [ErrRefused]. Refresh goes on when ctx is cancelled, once it has asked Gumroad.
func (s *Store) Refresh(ctx context.Context, userID string) error {
	account, err := s.Find(ctx, userID)
	if err != nil {
		return err
	}
	err = s.exclusive(ctx, account, func(ctx context.Context, old pair) error {
		token, err := s.provider.RefreshToken(old.Refresh)
		if err != nil {
			return err
		}
		fresh := pair{token.AccessToken, token.RefreshToken}
		now := Account{version: rand.Text(), tokens: s.seal(userID, fresh)}
		kept := now
		err = s.persist(ctx, func(ctx context.Context) error {
			err := s.change(ctx, `UPDATE gumroad_accounts SET version = $1, busy_until = 0, tokens = $2, refreshed_at = $3
				WHERE user_id = $4 AND version = $5`, now.version, now.tokens, time.Now().Unix(), userID, account.version)
			if errors.Is(err, errReplaced) { // by a login, by a disconnect, or by an earlier try
				kept, err = s.Find(ctx, userID)
			}
			return err
		})
		if err == nil && kept.version == now.version {
			return nil
		}
		other, _ := s.open(kept)
		s.revoke(ctx, fresh, other)
		return cmp.Or(err, errReplaced)
	})
	if errors.Is(err, errReplaced) {
		return nil
	}
	return err
}

// Disconnect revokes the user's tokens at Gumroad and then deletes the account. If
// Gumroad does not confirm the revocation, Disconnect returns an error and keeps the
// account, so that the user can try again.
func (s *Store) Disconnect(ctx context.Context, userID string) error {
	for {
		account, err := s.Find(ctx, userID)
		if err != nil {
			return err
		}
		err = s.exclusive(ctx, account, func(ctx context.Context, tokens pair) error { return s.end(ctx, account, tokens) })
		if !errors.Is(err, errReplaced) {
			return err
		}
	}
}

// end revokes the tokens of an account and deletes it. The caller has the lease.
func (s *Store) end(ctx context.Context, account Account, tokens pair) error {
	if err := s.provider.RevokeToken(ctx, tokens.Access); err != nil {
		return err
	}
	return s.change(ctx, `DELETE FROM gumroad_accounts WHERE user_id = $1 AND version = $2`, account.UserID, account.version)
}

// refused reports whether Gumroad will not accept these tokens at the next try either.
func refused(err error) bool {
	var answer *gumroad.Error
	return errors.Is(err, gumroad.ErrUnauthorized) ||
		errors.As(err, &answer) && (answer.Code == "invalid_grant" || answer.Description == "The user was not found.")
}

// revoke revokes a pair that is no longer used, unless it shares a token with the pair
// kept, because a server may issue the same token twice.
func (s *Store) revoke(ctx context.Context, old, kept pair) {
	if old.Access == kept.Access || old.Refresh != "" && old.Refresh == kept.Refresh {
		return
	}
	if err := s.provider.RevokeToken(ctx, old.Access); err != nil {
		log.Print("A token that is no longer used stays valid: ", err)
	}
}

// change runs a statement that must change a row. If it changes none, change returns
// errReplaced.
func (s *Store) change(ctx context.Context, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	result, err := s.db.ExecContext(ctx, statement, args...)
	if err != nil {
		return fmt.Errorf("accounts: writing the account: %w", err)
	}
	if rows, err := result.RowsAffected(); err != nil || rows == 0 {
		return cmp.Or(err, errReplaced)
	}
	return nil
}
