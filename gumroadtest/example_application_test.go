package gumroadtest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gorilla/sessions"
	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
	"github.com/markbates/goth/gothic"
)

// newShop returns the application under test, as it runs in production. It shows
// the user's products.
func newShop(baseURL, key, secret string) http.Handler {
	provider := gumroad.New(key, secret, baseURL+"/auth/gumroad/callback")
	goth.UseProviders(provider)
	store := sessions.NewCookieStore([]byte("a key of the test, 32 bytes long"))
	store.Options = &sessions.Options{Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	gothic.Store = store
	var user goth.User // stands for a session and a database

	shop := http.NewServeMux()
	shop.HandleFunc("POST /auth/gumroad", func(w http.ResponseWriter, r *http.Request) {
		authURL, err := gothic.GetAuthURL(w, gothic.GetContextWithProvider(r, "gumroad"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, authURL, http.StatusSeeOther)
	})
	shop.HandleFunc("GET /auth/gumroad/callback", func(w http.ResponseWriter, r *http.Request) {
		var err error
		if user, err = gothic.CompleteUserAuth(w, gothic.GetContextWithProvider(r, "gumroad")); err != nil {
			http.Error(w, "The login failed.", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, "Hello, %s!", user.Name)
	})
	shop.HandleFunc("GET /products", func(w http.ResponseWriter, r *http.Request) {
		for path := "/v2/products"; path != ""; {
			request, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, "https://api.gumroad.com"+path, nil)
			request.Header.Set("Authorization", "Bearer "+user.AccessToken)
			response, err := provider.Client().Do(request)
			if err != nil {
				http.Error(w, "Gumroad is unavailable.", http.StatusBadGateway)
				return
			}
			var page struct {
				Products    []struct{ Name string }
				NextPageURL string `json:"next_page_url"`
			}
			err = json.NewDecoder(response.Body).Decode(&page)
			response.Body.Close()
			if err != nil {
				http.Error(w, "Gumroad is unavailable.", http.StatusBadGateway)
				return
			}
			for _, product := range page.Products {
				fmt.Fprintln(w, product.Name)
			}
			path = page.NextPageURL
		}
	})
	shop.HandleFunc("POST /refresh", func(w http.ResponseWriter, r *http.Request) {
		token, err := provider.RefreshToken(user.RefreshToken)
		var refused *gumroad.Error
		switch {
		case errors.As(err, &refused) && refused.Code == "invalid_grant":
			http.Error(w, "Please log in again.", http.StatusUnauthorized)
		case err != nil:
			http.Error(w, "Please try again.", http.StatusBadGateway)
		default:
			user.AccessToken, user.RefreshToken = token.AccessToken, token.RefreshToken
		}
	})
	return shop
}

// This test is for a whole application. The application needs no change for it. The
// application logs a user in, lists two pages of products, and loses a refresh
// response.
func Example_application() {
	server := gumroadtest.NewServer()
	defer server.Close()
	// The application uses http.DefaultTransport, which reaches the server now.
	defer func(before http.RoundTripper) { http.DefaultTransport = before }(http.DefaultTransport)
	http.DefaultTransport = server.Client().Transport

	app := httptest.NewUnstartedServer(nil)
	baseURL := "http://" + app.Listener.Addr().String()
	app.Config.Handler = newShop(baseURL, server.ClientID, server.ClientSecret)
	app.Start()
	defer app.Close()
	server.SetApplication(gumroadtest.Application{RedirectURIs: []string{baseURL + "/auth/gumroad/callback"}})
	server.Handle("GET /products", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("page_key") == "" {
			io.WriteString(w, `{"success":true,"products":[{"name":"Knots"}],"next_page_key":"k2","next_page_url":"/v2/products?page_key=k2"}`)
		} else {
			io.WriteString(w, `{"success":true,"products":[{"name":"Ropes"}]}`)
		}
	}), gumroad.ScopeViewProfile)

	server.AutoAnswer(true)
	browser := server.Client()
	visit := func(method, path string) {
		request, _ := http.NewRequest(method, baseURL+path, nil)
		response, _ := browser.Do(request)
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Println(response.StatusCode, strings.Fields(string(body)))
	}

	visit("POST", "/auth/gumroad") // ends on the page after the login
	visit("GET", "/products")

	// Gumroad refreshes the token, but the response is lost. The old refresh token
	// is used up.
	server.Fail(gumroadtest.TokenPath, gumroadtest.Fault{After: true})
	visit("POST", "/refresh")
	visit("POST", "/refresh")
	// Output:
	// 200 [Hello, John Smith!]
	// 200 [Knots Ropes]
	// 502 [Please try again.]
	// 401 [Please log in again.]
}
