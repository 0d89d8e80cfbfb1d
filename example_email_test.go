package gumroad_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/url"

	"github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
)

// ownEmail is the provider for a program that identifies users by email.
type ownEmail struct {
	*gumroad.Provider
	secret []byte
}

// FetchUser returns the user with an address made from the UserID. The address is
// the same at every login, and no other user can have it.
func (p ownEmail) FetchUser(session goth.Session) (goth.User, error) {
	user, err := p.Provider.FetchUser(session)
	if err != nil {
		return goth.User{}, err
	}
	mac := hmac.New(sha256.New, p.secret)
	mac.Write([]byte(user.UserID))
	user.Email = fmt.Sprintf("%x@gumroad.invalid", mac.Sum(nil)[:16])
	return user, nil
}

// A program that identifies users by email must not use Gumroad's addresses, because
// anyone can enter anyone's address at Gumroad. A provider that embeds Provider gives
// each user another one.
func Example_identifyByEmail() {
	server := gumroadtest.NewServer() // in place of Gumroad
	defer server.Close()
	provider := ownEmail{
		server.Provider("https://app.example/auth/gumroad/callback"),
		[]byte("32 random bytes that never change"),
	}

	accounts := map[string]string{} // by email
	logIn := func(gumroadUser gumroadtest.User) {
		session, _ := provider.BeginAuth("state")
		authURL, _ := session.GetAuthURL()
		callbackURL, _ := server.AuthorizeAs(gumroadUser, authURL)
		callback, _ := url.Parse(callbackURL)
		session.Authorize(provider, callback.Query())

		user, err := provider.FetchUser(session)
		if err != nil {
			fmt.Println("nobody is logged in:", err)
			return
		}
		if accounts[user.Email] == "" {
			accounts[user.Email] = fmt.Sprint("account ", len(accounts)+1)
		}
		fmt.Println(user.Name, "has", accounts[user.Email])
	}

	john := gumroadtest.User{ID: "6754923450134", Name: "John", Email: "john@example.com"}
	logIn(john)
	logIn(gumroadtest.User{ID: "1111111111111", Name: "Mallory", Email: john.Email})
	logIn(gumroadtest.User{ID: "2222222222222", Name: "Jane"}) // has no address
	logIn(gumroadtest.User{ID: "3333333333333", Name: "Ann"})  // neither
	logIn(john)
	server.Fail(gumroadtest.UserPath, gumroadtest.Fault{Status: 503})
	logIn(john)
	// Output:
	// John has account 1
	// Mallory has account 2
	// Jane has account 3
	// Ann has account 4
	// John has account 1
	// nobody is logged in: gumroad: fetching the user: Gumroad answered 503 Service Unavailable (try again later)
}
