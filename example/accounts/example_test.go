package accounts_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/example/accounts"
	"github.com/markbates/goth"
	_ "modernc.org/sqlite"
)

func Example() {
	ctx := context.Background()
	provider := gumroad.New("key", "secret", "https://app.example/auth/gumroad/callback")
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // SQLite has one writer, and each connection to memory is a database of its own
	store, err := accounts.New(ctx, db, provider, "32 random characters or more, kept")
	if err != nil {
		log.Fatal(err)
	}

	// In the callback, after gothic.CompleteUserAuth:
	user := goth.User{UserID: "6754923450134", Name: "John Smith", AccessToken: "access", RefreshToken: "refresh"}
	account, err := store.LogIn(ctx, user)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("A session holds", account.UserID, "and the account's Connection.")

	// In a later request, or in a nightly job:
	err = store.Use(ctx, account.UserID, func(accessToken string) error {
		fmt.Println("Ask Gumroad's API with", accessToken)
		return nil
	})
	if errors.Is(err, accounts.ErrNoAccount) || errors.Is(err, accounts.ErrRefused) || errors.Is(err, accounts.ErrUnreadable) {
		fmt.Println("The user must log in again.")
	}
	// Output:
	// A session holds 6754923450134 and the account's Connection.
	// Ask Gumroad's API with access
}
