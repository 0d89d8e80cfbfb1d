package main

import (
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
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/markbates/goth"
)

// accounts stores the users' profiles and tokens.
//
// Gumroad revokes a pair of tokens as soon as it is refreshed. If two requests
// refresh the same pair, the later one fails. So a request first takes a lease on the
// user's row (busy_until). It holds no transaction during the call to Gumroad, so a
// slow answer blocks no other user. If the program is killed, the lease expires. Each
// pair has a version. A new pair is stored only if the row still has the old version,
// so a request whose lease has expired does no harm.
type accounts struct {
	db       *database
	provider *gumroad.Provider
	box      cipher.AEAD
	lease    time.Duration
}

const (
	// leaseTime is longer than a refresh can take. The clocks of two replicas must
	// differ by less than 10 seconds.
	leaseTime = gumroad.RequestTimeout + 10*time.Second

	// pollTime is how long to wait before trying again to get the lease.
	pollTime = 50 * time.Millisecond
)

var (
	// errNotLoggedIn says that the session has ended, or that the account was
	// disconnected.
	errNotLoggedIn = errors.New("nobody is logged in")

	// errUnreadable says that the tokens were encrypted with another
	// SESSION_SECRET, or belong to another user.
	errUnreadable = errors.New("the stored tokens cannot be decrypted: was SESSION_SECRET changed?")

	// errReplaced says that the account has new tokens.
	errReplaced = errors.New("the tokens were replaced")
)

func newAccounts(db *database, provider *gumroad.Provider, secret string) *accounts {
	key, _ := hkdf.Key(sha256.New, []byte(secret), nil, "goth-gumroad example: tokens", 32) // no error with these lengths
	block, _ := aes.NewCipher(key)
	box, _ := cipher.NewGCMWithRandomNonce(block)
	return &accounts{db, provider, box, leaseTime}
}

// login is what a session holds.
type login struct {
	UserID     string
	Connection string // must be that of the account; a disconnect changes it
	Began      time.Time
}

// account is the stored data of a user. The tokens are encrypted.
type account struct {
	profile
	Refreshed time.Time // zero if never

	connection string
	version    string
	tokens     []byte
}

// pair is an access token and its refresh token.
type pair struct{ Access, Refresh string }

// seal encrypts the pair of a user.
func (s *accounts) seal(userID string, p pair) []byte {
	data, _ := json.Marshal(p)
	return s.box.Seal(nil, nil, data, []byte(userID))
}

// open decrypts the tokens of an account.
func (s *accounts) open(acc account) (p pair, err error) {
	data, err := s.box.Open(nil, nil, acc.tokens, []byte(acc.ID))
	if err != nil {
		return pair{}, fmt.Errorf("%w (%w)", errUnreadable, err)
	}
	return p, json.Unmarshal(data, &p)
}

// find returns the account of a login, or errNotLoggedIn.
func (s *accounts) find(ctx context.Context, who login) (account, error) {
	acc, err := s.read(ctx, who.UserID)
	if err == nil && acc.connection != who.Connection {
		return account{}, errNotLoggedIn
	}
	return acc, err
}

func (s *accounts) read(ctx context.Context, userID string) (account, error) {
	var acc account
	var profile []byte
	var refreshed int64
	err := s.db.QueryRowContext(ctx, `SELECT connection, version, tokens, profile, refreshed_at FROM gumroad_accounts WHERE user_id = $1`, userID).
		Scan(&acc.connection, &acc.version, &acc.tokens, &profile, &refreshed)
	if errors.Is(err, sql.ErrNoRows) {
		return account{}, errNotLoggedIn
	}
	if err == nil {
		err = json.Unmarshal(profile, &acc.profile)
	}
	if err != nil {
		return account{}, fmt.Errorf("reading the account: %w", err)
	}
	acc.ID = userID // the profile may be copied from another row
	if refreshed != 0 {
		acc.Refreshed = time.Unix(refreshed, 0)
	}
	return acc, nil
}

// logIn stores a user who has just logged in. Gumroad's tokens do not expire, so logIn
// revokes those of the previous login, or the new ones if it cannot store them.
func (s *accounts) logIn(ctx context.Context, user goth.User) (login, error) {
	kept := pair{user.AccessToken, user.RefreshToken}
	sealed, profile := s.seal(user.UserID, kept), newProfile(user).json()
	for {
		before, err := s.read(ctx, user.UserID)
		done := false
		switch {
		case errors.Is(err, errNotLoggedIn):
			before.connection = rand.Text()
			done, err = s.db.change(ctx, `INSERT INTO gumroad_accounts (user_id, connection, version, busy_until, tokens, profile, refreshed_at)
				VALUES ($1, $2, $3, 0, $4, $5, 0) ON CONFLICT DO NOTHING`, user.UserID, before.connection, rand.Text(), sealed, profile)
		case err == nil:
			// This also ends a lease, since its pair is no longer used.
			done, err = s.db.change(ctx, `UPDATE gumroad_accounts SET version = $1, busy_until = 0, tokens = $2, profile = $3, refreshed_at = 0
				WHERE user_id = $4 AND version = $5`, rand.Text(), sealed, profile, user.UserID, before.version)
		}
		if err != nil {
			s.revoke(ctx, kept, pair{})
			return login{}, fmt.Errorf("storing the account: %w", err)
		}
		if !done {
			continue // another request was faster
		}
		if before.version == "" {
			// There was no previous login.
		} else if old, err := s.open(before); err != nil {
			log.Print("The tokens of the previous login stay valid: ", err)
		} else {
			s.revoke(ctx, old, kept)
		}
		return login{user.UserID, before.connection, time.Now()}, nil
	}
}

// use calls ask with the user's access token. If Gumroad refuses the token because
// a refresh has replaced it, use calls ask again with the new one.
func (s *accounts) use(ctx context.Context, who login, ask func(accessToken string) error) error {
	for {
		acc, err := s.find(ctx, who)
		if err != nil {
			return err
		}
		tokens, refused := s.open(acc)
		if refused == nil {
			refused = ask(tokens.Access)
		}
		if !errors.Is(refused, gumroad.ErrUnauthorized) {
			return refused
		}
		// A refresh may be in progress. Wait for its end.
		err = s.exclusive(ctx, who, acc.version, func(context.Context, account, pair) error { return refused })
		if !errors.Is(err, errReplaced) {
			return err
		}
	}
}

// refetch gets the user's profile from Gumroad and stores it.
func (s *accounts) refetch(ctx context.Context, who login) error {
	return s.use(ctx, who, func(accessToken string) error {
		user, err := s.provider.FetchUser(&gumroad.Session{AccessToken: accessToken})
		if err != nil {
			return err
		}
		if user.UserID != who.UserID {
			return errors.New("gumroad: fetching the profile again: Gumroad returned another user")
		}
		_, err = s.db.change(ctx, `UPDATE gumroad_accounts SET profile = $1 WHERE user_id = $2 AND connection = $3`,
			newProfile(user).json(), who.UserID, who.Connection)
		return err
	})
}

// refresh exchanges the user's tokens for new ones. If another request does so while
// this one waits, refresh returns nil.
func (s *accounts) refresh(ctx context.Context, who login) error {
	acc, err := s.find(ctx, who)
	if err != nil {
		return err
	}
	err = s.exclusive(ctx, who, acc.version, func(ctx context.Context, acc account, old pair) error {
		token, err := s.provider.RefreshToken(old.Refresh)
		if err != nil {
			return err
		}
		fresh := pair{token.AccessToken, token.RefreshToken}
		stored, err := s.db.change(ctx, `UPDATE gumroad_accounts SET version = $1, busy_until = 0, tokens = $2, refreshed_at = $3
			WHERE user_id = $4 AND version = $5`, rand.Text(), s.seal(acc.ID, fresh), time.Now().Unix(), acc.ID, acc.version)
		if !stored {
			// A login or a disconnect was faster, or the database failed.
			now, _ := s.read(ctx, acc.ID)
			kept, _ := s.open(now)
			s.revoke(ctx, fresh, kept)
		}
		return err
	})
	if errors.Is(err, errReplaced) {
		_, err = s.find(ctx, who)
	}
	return err
}

// disconnect revokes the user's tokens, and then deletes the account. If Gumroad does
// not confirm the revocation, the account stays, so that the user can try again.
// The next login creates an account with a new connection, so all sessions end.
func (s *accounts) disconnect(ctx context.Context, who login) error {
	for {
		err := s.exclusive(ctx, who, "", func(ctx context.Context, acc account, tokens pair) error {
			if err := s.provider.RevokeToken(ctx, tokens.Access); err != nil {
				return err
			}
			deleted, err := s.db.change(ctx, `DELETE FROM gumroad_accounts WHERE user_id = $1 AND version = $2`, acc.ID, acc.version)
			if err == nil && !deleted {
				return errReplaced // by a login
			}
			return err
		})
		if !errors.Is(err, errReplaced) {
			return err
		}
	}
}

// exclusive takes the lease on the user's tokens and calls do, which may make one
// request to Gumroad. It waits while another request has the lease. If the account
// no longer has the given version, exclusive returns errReplaced. An empty version
// means any. If do fails and the version has changed, it returns errReplaced too.
func (s *accounts) exclusive(ctx context.Context, who login, version string, do func(context.Context, account, pair) error) error {
	waiting, cancel := context.WithTimeout(ctx, s.lease+time.Second)
	defer cancel()
	for {
		acc, err := s.find(waiting, who)
		if err != nil {
			return err
		}
		if version != "" && acc.version != version {
			return errReplaced
		}
		now := time.Now()
		until := now.Add(s.lease).UnixMilli()
		mine, err := s.db.change(waiting, `UPDATE gumroad_accounts SET busy_until = $1 WHERE user_id = $2 AND version = $3 AND busy_until < $4`,
			until, acc.ID, acc.version, now.UnixMilli())
		if err != nil {
			return err
		}
		if !mine {
			select {
			case <-time.After(pollTime):
				continue
			case <-waiting.Done():
				return fmt.Errorf("gumroad: waiting for another request that uses the tokens: %w", waiting.Err())
			}
		}

		// The rest must be done even if the browser disconnects.
		ctx := context.WithoutCancel(ctx)
		tokens, err := s.open(acc)
		if err == nil {
			err = do(ctx, acc, tokens)
		}
		if err == nil {
			return nil
		}
		if _, err := s.db.change(ctx, `UPDATE gumroad_accounts SET busy_until = 0 WHERE user_id = $1 AND version = $2 AND busy_until = $3`,
			acc.ID, acc.version, until); err != nil {
			log.Print("Releasing the lease: ", err)
		}
		if found, _ := s.find(ctx, who); found.version != acc.version {
			return errReplaced
		}
		return err
	}
}

// revoke revokes a pair that is no longer used. It does nothing if the pair shares a
// token with the pair kept, since a server may issue the same token twice.
func (s *accounts) revoke(ctx context.Context, old, kept pair) {
	if old.Access == kept.Access || (old.Refresh != "" && old.Refresh == kept.Refresh) {
		return
	}
	if err := s.provider.RevokeToken(ctx, old.Access); err != nil {
		log.Print("A token that is no longer used stays valid: ", err)
	}
}
