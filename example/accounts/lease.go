package accounts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
)

const (
	// patience is how long the database is tried again before a new pair of tokens is
	// given up, and the longest time that a statement may take.
	patience = 8 * time.Second

	// clocks is how much the clocks of two programs may differ.
	clocks = 10 * time.Second

	// lease is as long as a refresh can take.
	lease = gumroad.RequestTimeout + patience + clocks

	// poll is how long to wait before trying again.
	poll = 50 * time.Millisecond
)

// ErrBusy means that another request was using the user's tokens all the time, because
// Gumroad is slow. Try again later.
var ErrBusy = errors.New("accounts: another request is using the user's tokens")

// errReplaced means that the account has other tokens than expected.
var errReplaced = errors.New("accounts: the tokens were replaced")

// exclusive takes the lease on a user's tokens and calls do, which may make one request to
// Gumroad. It waits while another request has the lease. If the account gets other tokens
// meanwhile, it returns errReplaced, and if the account is deleted, ErrNoAccount.
func (s *Store) exclusive(ctx context.Context, account Account, do func(context.Context, pair) error) error {
	for giveUp := time.Now().Add(s.wait); ; {
		// A lease that ends too late to be one was taken by a clock that was wrong.
		now := time.Now()
		until := now.Add(s.lease).UnixMilli()
		err := s.change(ctx, `UPDATE gumroad_accounts SET busy_until = $1 WHERE user_id = $2 AND version = $3 AND (busy_until < $4 OR busy_until > $5)`,
			until, account.UserID, account.version, now.UnixMilli(), now.Add(s.lease+clocks).UnixMilli())
		if err == nil {
			return s.leased(context.WithoutCancel(ctx), account, until, do)
		}
		if !errors.Is(err, errReplaced) {
			return err
		}
		if err := s.unchanged(ctx, account); err != nil {
			return err
		}
		if now.After(giveUp) {
			return ErrBusy
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return fmt.Errorf("accounts: waiting for another request that uses the tokens: %w", ctx.Err())
		}
	}
}

// unchanged returns errReplaced or ErrNoAccount if the account no longer has its tokens.
func (s *Store) unchanged(ctx context.Context, account Account) error {
	now, err := s.Find(ctx, account.UserID)
	if err == nil && now.version != account.version {
		return errReplaced
	}
	return err
}

// leased calls do and gives the lease back if do fails. If Gumroad refused the tokens for
// good, leased ends the account. It revokes the tokens first, because the refusal can be a
// mistake, and nobody could revoke them later.
func (s *Store) leased(ctx context.Context, account Account, until int64, do func(context.Context, pair) error) error {
	tokens, err := s.open(account)
	if err == nil {
		err = do(ctx, tokens)
	}
	if err == nil {
		return nil
	}
	if changed := s.unchanged(ctx, account); errors.Is(changed, errReplaced) || errors.Is(changed, ErrNoAccount) {
		return changed
	}
	if refused(err) {
		ended := s.end(ctx, account, tokens)
		if ended == nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		err = ended
	}
	if err := s.change(ctx, `UPDATE gumroad_accounts SET busy_until = 0 WHERE user_id = $1 AND version = $2 AND busy_until = $3`,
		account.UserID, account.version, until); err != nil {
		log.Print("Giving back the lease: ", err)
	}
	return err
}

// persist calls store until it returns no error or ErrNoAccount, within the time that the
// lease leaves for it. A pair of tokens that Gumroad has issued must not be lost because a
// connection to the database ended, or a file was locked for a moment.
func (s *Store) persist(ctx context.Context, store func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	for last := error(nil); ; time.Sleep(poll) {
		err := store(ctx)
		if err == nil || errors.Is(err, ErrNoAccount) {
			return err
		}
		if ctx.Err() != nil {
			return cmp.Or(last, err) // the last one says why, not only that time is over
		}
		last = err
	}
}
