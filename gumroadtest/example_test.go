package gumroadtest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/gorilla/sessions"
	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
	"github.com/markbates/goth/gothic"
)

// newApp returns the application under test.
func newApp() http.Handler {
	store := sessions.NewCookieStore([]byte("a key of the test, 32 bytes long"))
	store.Options = &sessions.Options{Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	gothic.Store = store
	app := http.NewServeMux()
	app.HandleFunc("GET /auth/gumroad", func(w http.ResponseWriter, r *http.Request) {
		gothic.BeginAuthHandler(w, gothic.GetContextWithProvider(r, "gumroad"))
	})
	app.HandleFunc("GET /auth/gumroad/callback", func(w http.ResponseWriter, r *http.Request) {
		user, err := gothic.CompleteUserAuth(w, gothic.GetContextWithProvider(r, "gumroad"))
		if err != nil {
			http.Error(w, "The login failed.", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, "Hello, %s!", user.Name)
	})
	return app
}

// This is the test of an application's login, without a browser and without an
// account at Gumroad.
func Example() {
	server := gumroadtest.NewServer()
	defer server.Close()
	app := httptest.NewServer(newApp())
	defer app.Close()
	goth.UseProviders(server.Provider(app.URL + "/auth/gumroad/callback"))

	for _, authorize := range []bool{true, false} {
		server.AutoAnswer(authorize)
		page, _ := server.Client().Get(app.URL + "/auth/gumroad") // follows all redirects
		text, _ := io.ReadAll(page.Body)
		fmt.Println(page.StatusCode, string(text))
	}
	// Output:
	// 200 Hello, John Smith!
	// 403 The login failed.
}

// A test can make Gumroad fail, and can look at the requests.
func ExampleServer_Fail() {
	server := gumroadtest.NewServer()
	defer server.Close()
	provider := server.Provider("https://app.example/callback")
	server.Fail(gumroadtest.TokenPath, gumroadtest.Fault{Status: 503, Body: "down for maintenance"})

	_, err := provider.RefreshToken("a refresh token")
	fmt.Println(err)
	for _, request := range server.Requests() {
		fmt.Println(request.Method, request.Path, request.Form.Get("grant_type"))
	}
	// Output:
	// gumroad: refreshing the token: Gumroad answered 503 Service Unavailable (try again later)
	// POST /oauth/token refresh_token
}

// A test sets the user who is logged in at Gumroad.
func ExampleServer_SetUser() {
	server := gumroadtest.NewServer()
	defer server.Close()
	provider := server.Provider("https://app.example/callback")
	server.SetUser(gumroadtest.User{ID: "1234567890123", Username: "janedoe", Name: "Jane Doe"})

	session, _ := provider.BeginAuth("state")
	authURL, _ := session.GetAuthURL()
	callbackURL, _ := server.Authorize(authURL)
	callback, _ := http.NewRequest("GET", callbackURL, nil)
	session.Authorize(provider, callback.URL.Query())
	user, _ := provider.FetchUser(session)
	fmt.Println(user.UserID, user.NickName, user.Name, user.Email == "")
	// Output: 1234567890123 janedoe Jane Doe true
}

// An application keeps the public scopes of the day on which it was registered. One
// of 2025 does not have the scope account, which is younger.
func ExampleServer_SetApplication() {
	server := gumroadtest.NewServer()
	defer server.Close()
	app := server.Application()
	app.Scopes = []string{gumroad.ScopeViewProfile, gumroad.ScopeEditProducts}
	server.SetApplication(app)

	session, _ := server.Provider("https://app.example/callback", gumroad.ScopeAccount).BeginAuth("state")
	authURL, _ := session.GetAuthURL()
	_, err := server.Authorize(authURL)
	fmt.Println(err)
	// Output: gumroadtest: opening the authorization page: invalid_scope: The requested scope is invalid, unknown, or malformed. (the scope "account" is not allowed; allowed are ["view_profile" "edit_products"])
}

// A request says why the server refused it.
func ExampleServer_Requests() {
	server := gumroadtest.NewServer()
	defer server.Close()
	server.Provider("https://app.example/callback").RefreshToken("a refresh token")
	for _, request := range server.Requests() {
		fmt.Println(request.Method, request.Path, request.Status, request.Reason)
	}
	// Output: POST /oauth/token 400 the refresh token is unknown
}

// Tests that share a server log in different users.
func ExampleServer_AuthorizeAs() {
	server := gumroadtest.NewServer()
	defer server.Close()
	provider := server.Provider("https://app.example/callback")
	for _, name := range []string{"Ann", "Bob"} {
		session, _ := provider.BeginAuth("state")
		authURL, _ := session.GetAuthURL()
		callbackURL, _ := server.AuthorizeAs(gumroadtest.User{Name: name}, authURL)
		callback, _ := http.NewRequest("GET", callbackURL, nil)
		session.Authorize(provider, callback.URL.Query())
		user, _ := provider.FetchUser(session)
		fmt.Println(user.Name)
	}
	// Output:
	// Ann
	// Bob
}
