package gumroadtest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	"github.com/gorilla/sessions"
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
			http.Error(w, err.Error(), http.StatusForbidden)
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

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // Authorize presses the button of the next page
	}}
	login, _ := browser.Get(app.URL + "/auth/gumroad")
	callbackURL, _ := server.Authorize(login.Header.Get("Location")) // or Deny
	profile, _ := browser.Get(callbackURL)
	text, _ := io.ReadAll(profile.Body)
	fmt.Println(profile.StatusCode, string(text))
	// Output: 200 Hello, John Smith!
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
