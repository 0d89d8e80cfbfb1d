package gumroad_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
)

// An application registers the provider once. gothic's handlers do the rest.
func ExampleNew() {
	goth.UseProviders(gumroad.New(
		os.Getenv("GUMROAD_KEY"), os.Getenv("GUMROAD_SECRET"),
		"https://app.example/auth/gumroad/callback",
		gumroad.ScopeViewProfile, gumroad.ScopeViewSales,
	))

	provider, err := goth.GetProvider("gumroad")
	fmt.Println(provider.Name(), err)
	// Output: gumroad <nil>
}

// loggedIn returns the session of a user who has pressed "Authorize".
func loggedIn(server *gumroadtest.Server, provider *gumroad.Provider) *gumroad.Session {
	session, _ := provider.BeginAuth("state")
	authURL, _ := session.GetAuthURL()
	callbackURL, _ := server.Authorize(authURL)
	callback, _ := url.Parse(callbackURL)
	if _, err := session.Authorize(provider, callback.Query()); err != nil {
		panic(err)
	}
	return session.(*gumroad.Session)
}

// If the user presses "Deny", Authorize returns ErrAccessDenied.
func ExampleSession_Authorize_denied() {
	server := gumroadtest.NewServer() // in place of Gumroad
	defer server.Close()
	provider := server.Provider("https://app.example/auth/gumroad/callback")

	session, _ := provider.BeginAuth("state")
	authURL, _ := session.GetAuthURL()
	callbackURL, _ := server.Deny(authURL)
	callback, _ := url.Parse(callbackURL)

	_, err := session.Authorize(provider, callback.Query())
	fmt.Println(errors.Is(err, gumroad.ErrAccessDenied))
	fmt.Println(err)
	// Output:
	// true
	// gumroad: completing the login: the callback says access_denied (the user said no, and may start again)
}

// Store the new tokens before you do anything else. The old ones no longer work.
func ExampleProvider_RefreshToken() {
	server := gumroadtest.NewServer() // in place of Gumroad
	defer server.Close()
	provider := server.Provider("https://app.example/auth/gumroad/callback")
	stored := loggedIn(server, provider)

	token, err := provider.RefreshToken(stored.RefreshToken)
	if err != nil {
		fmt.Println(err)
		return
	}
	old := *stored
	stored.AccessToken, stored.RefreshToken = token.AccessToken, token.RefreshToken

	user, err := provider.FetchUser(stored)
	fmt.Println(user.Name, err)
	_, err = provider.FetchUser(&old)
	fmt.Println(errors.Is(err, gumroad.ErrUnauthorized))
	// Output:
	// John Smith <nil>
	// true
}

// A user closes the account. Revoking either token revokes both.
func ExampleProvider_RevokeToken() {
	server := gumroadtest.NewServer() // in place of Gumroad
	defer server.Close()
	provider := server.Provider("https://app.example/auth/gumroad/callback")
	stored := loggedIn(server, provider)

	fmt.Println(provider.RevokeToken(context.Background(), stored.AccessToken))

	_, err := provider.RefreshToken(stored.RefreshToken)
	var refused *gumroad.Error
	fmt.Println(errors.As(err, &refused) && refused.Code == "invalid_grant")
	// Output:
	// <nil>
	// true
}
