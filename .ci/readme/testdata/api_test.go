package main

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/markbates/goth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newServer returns a test server and a valid access token.
func newServer(t *testing.T, scopes ...string) (*gumroadtest.Server, *gumroad.Provider, string) {
	server := gumroadtest.NewServer()
	t.Cleanup(server.Close)
	provider := server.Provider("https://app.example/auth/gumroad/callback", scopes...)
	session, err := provider.BeginAuth("state")
	require.NoError(t, err)
	authURL, err := session.GetAuthURL()
	require.NoError(t, err)
	callbackURL, err := server.Authorize(authURL)
	require.NoError(t, err)
	callback, err := url.Parse(callbackURL)
	require.NoError(t, err)
	token, err := session.Authorize(provider, callback.Query())
	require.NoError(t, err)
	return server, provider, token
}

// pages answers with the page of each page key.
func pages(answers map[string]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, answers[r.FormValue("page_key")])
	})
}

func names(entries []map[string]any) (all []any) {
	for _, entry := range entries {
		all = append(all, entry["name"])
	}
	return all
}

func TestListReadsEveryPageOnce(t *testing.T) {
	for name, pageKeys := range map[string][3]string{
		"the last page has no key":    {"two", "three", ""},
		"a page names itself":         {"two", "three", "three"},
		"a page names an earlier one": {"two", "three", "two"},
	} {
		t.Run(name, func(t *testing.T) {
			server, _, token := newServer(t)
			page := func(name, next string) string {
				return fmt.Sprintf(`{"success":true,"products":[{"name":%q}],"next_page_key":%q}`, name, next)
			}
			server.Handle("GET /products", pages(map[string]string{
				"": page("a", pageKeys[0]), "two": page("b", pageKeys[1]), "three": page("c", pageKeys[2]),
			}), "view_profile")
			before := len(server.Requests())
			products, err := list(t.Context(), server.Client(), token, "/products", "products")
			require.NoError(t, err)
			require.Equal(t, []any{"a", "b", "c"}, names(products))
			require.Len(t, server.Requests(), before+3)
		})
	}
}

func TestListKeepsTheQueryOfThePath(t *testing.T) {
	server, _, token := newServer(t, "view_sales")
	server.Handle("GET /sales", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"success":true,"sales":[{"name":%q}],"next_page_key":"a+b/=&"}`, r.FormValue("product_id")+" "+r.FormValue("page_key"))
	}), "view_sales")
	sales, err := list(t.Context(), server.Client(), token, "/sales?product_id=a%3D%3D", "sales")
	require.NoError(t, err)
	require.Equal(t, []any{"a== ", "a== a+b/=&"}, names(sales))
}

func TestProducts(t *testing.T) {
	server, _, token := newServer(t)
	server.Handle("GET /products", pages(map[string]string{
		"":    `{"success":true,"products":[{"id":"1","name":"Knots","price":500,"NAME":"no"}],"next_page_key":"two"}`,
		"two": `{"success":true,"products":[{"id":"2","name":null}]}`,
	}), "view_profile")
	all, err := products(t.Context(), server.Client(), token)
	require.NoError(t, err)
	require.Equal(t, []product{{"1", "Knots", 500}, {"2", "", 0}}, all)
	server.Fail("/v2/products", gumroadtest.Fault{Status: 503})
	all, err = products(t.Context(), server.Client(), token)
	require.Error(t, err)
	require.Empty(t, all)
}

func TestSendTellsErrorsApart(t *testing.T) {
	for _, test := range []struct {
		name, body string
		status     int
		want       error
	}{
		{"not found", `{"success":false,"message":"The product was not found."}`, 200, errNotFound},
		{"not found with 404", `{"success":false,"message":"The product was not found."}`, 404, errNotFound},
		{"a page of a proxy with 404", `<h1>Not Found</h1>`, 404, nil},
		{"a page of a proxy with 200", `<h1>Please log in</h1>`, 200, nil},
		{"success in capitals", `{"SUCCESS":true,"products":[]}`, 200, nil},
		{"success that is not a boolean", `{"success":"true","products":[]}`, 200, nil},
		{"a cut answer", `{"success":true,"products":[`, 200, nil},
		{"a number that nothing holds", `{"success":true,"products":[],"x":1e999}`, 200, nil},
		{"a missing scope", ``, 403, nil},
		{"a missing scope, with its name", `{"success":false,"message":"This endpoint requires the edit_profile scope."}`, 403, nil},
		{"a 401 of a proxy", `<h1>Unauthorized</h1>`, 401, nil},
		{"too many requests", `Retry later`, 429, nil},
		{"a failure", `{"success":false}`, 500, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, _, token := newServer(t)
			server.Handle("GET /products", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			}), "view_profile")
			_, err := list(t.Context(), server.Client(), token, "/products", "products")
			require.Error(t, err)
			t.Log(err)
			require.NotErrorIs(t, err, gumroad.ErrUnauthorized)
			if test.want == nil {
				require.NotErrorIs(t, err, errNotFound)
			} else {
				require.ErrorIs(t, err, test.want)
			}
			require.NotContains(t, err.Error(), "nil")
			require.NotContains(t, err.Error(), token)
		})
	}
	t.Run("a revoked token", func(t *testing.T) {
		server, provider, token := newServer(t)
		server.Handle("GET /products", pages(nil), "view_profile")
		require.NoError(t, provider.RevokeToken(t.Context(), token))
		_, err := list(t.Context(), server.Client(), token, "/products", "products")
		require.ErrorIs(t, err, gumroad.ErrUnauthorized)
	})
}

// shop is a seller's product with license keys, and the application that lets its buyers in.
type shop struct {
	*members
	server  *gumroadtest.Server
	answers map[string]string // what Gumroad says about each key
}

const known = `"success":true,"uses":0`

func newShop(t *testing.T) *shop {
	server, _, _ := newServer(t)
	db, err := sql.Open("sqlite", ":memory:")
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	_, err = db.Exec(licenses)
	require.NoError(t, err)
	users := newStore("a secret", 60)
	s := &shop{&members{users, db, server.Client(), "product"}, server, map[string]string{}}
	server.Handle("POST /licenses/verify", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := s.answers[r.PostFormValue("license_key")]
		if !ok || r.PostFormValue("product_id") != "product" || r.PostFormValue("increment_uses_count") != "false" {
			w.WriteHeader(http.StatusNotFound)
			answer = `"success":false,"message":"That license does not exist for the provided product."`
		}
		fmt.Fprintf(w, "{%s}", answer)
	}), gumroadtest.NoToken)
	return s
}

func (s *shop) purchase(key, fields string) { s.answers[key] = known + `,"purchase":{` + fields + `}` }

func (s *shop) assertEnters(t *testing.T, want bool, userID, key string) {
	t.Helper()
	ok, err := s.enter(t.Context(), userID, key)
	assert.NoError(t, err)
	assert.Equal(t, want, ok, "%s enters with %s", userID, key)
}

func (s *shop) assertMember(t *testing.T, want bool, userID string) {
	t.Helper()
	ok, err := s.isMember(t.Context(), userID)
	assert.NoError(t, err)
	assert.Equal(t, want, ok, "%s is a member", userID)
}

// aDayPasses makes the last check of every license older than a day.
func (s *shop) aDayPasses(t *testing.T) {
	_, err := s.db.Exec(`UPDATE licenses SET checked_at = checked_at - 86401`)
	require.NoError(t, err)
}

func TestOnlyTheBuyerEnters(t *testing.T) {
	s := newShop(t)
	s.purchase("key", `"id":"p1","purchaser_id":"buyer"`)
	s.assertEnters(t, false, "thief", "key")
	s.assertMember(t, false, "thief")
	s.assertEnters(t, true, "buyer", "key")
	s.assertMember(t, true, "buyer")
	s.assertEnters(t, false, "thief", "key")
	s.assertMember(t, true, "buyer")
	s.assertEnters(t, false, "buyer", "another key")
}

func TestAGuestsPurchaseIsForWhoComesFirst(t *testing.T) {
	for _, buyer := range []string{``, `,"purchaser_id":null`, `,"purchaser_id":""`} {
		s := newShop(t)
		s.purchase("key", `"id":"p1"`+buyer)
		s.assertEnters(t, true, "first", "key")
		s.purchase("KEY", `"id":"p1"`+buyer)
		s.assertEnters(t, false, "second", "KEY")
		s.assertMember(t, false, "second")
		s.assertEnters(t, true, "first", "key")
		s.assertMember(t, true, "first")
	}
}

func TestTheBuyerTakesOverFromAThief(t *testing.T) {
	s := newShop(t)
	s.purchase("key", `"id":"p1"`)
	s.assertEnters(t, true, "thief", "key")
	s.purchase("key", `"id":"p1","purchaser_id":"buyer"`) // the guest signed up
	s.aDayPasses(t)
	s.assertMember(t, false, "thief")
	s.assertEnters(t, true, "buyer", "key")
	s.assertMember(t, true, "buyer")
	s.assertMember(t, false, "thief")
}

func TestAnImportedCustomerEnters(t *testing.T) {
	s := newShop(t)
	s.answers["key"] = known + `,"imported_customer":{"id":"p1","email":"john@example.com"}`
	s.purchase("other", `"id":"p1"`)
	s.assertEnters(t, true, "first", "key")
	s.assertEnters(t, false, "second", "key")
	s.assertEnters(t, true, "second", "other")
}

func TestAPurchaseThatGivesNoAccess(t *testing.T) {
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for fields, want := range map[string]bool{
		`"refunded":true`:                                        false,
		`"refunded":"true"`:                                      false,
		`"refunded":true,"REFUNDED":false`:                       false,
		`"REFUNDED":false,"refunded":true`:                       false,
		`"chargebacked":true`:                                    false,
		`"chargebacked":true,"ChargeBacked":false`:               false,
		`"subscription_ended_at":"2020-01-01T00:00:00Z"`:         false,
		`"subscription_failed_at":"2020-01-01T00:00:00Z"`:        false,
		`"subscription_failed_at":"` + future + `"`:              false,
		`"subscription_cancelled_at":"2020-01-01T00:00:00.123Z"`: false,
		`"subscription_cancelled_at":"soon"`:                     false,
		`"subscription_cancelled_at":7`:                          false,
		`"purchaser_id":"another","PURCHASER_ID":"user"`:         false,
		`"purchaser_id":7`:                                       false,
		`"refunded":false,"chargebacked":false,"subscription_ended_at":null,"subscription_failed_at":null,"subscription_cancelled_at":null`: true,
		`"subscription_cancelled_at":"` + future + `"`: true,
		`"Refunded":true`: true,
	} {
		s := newShop(t)
		s.purchase("key", `"id":"p1",`+fields)
		t.Log(fields)
		s.assertEnters(t, want, "user", "key")
		s.assertMember(t, want, "user")
	}
	for _, answer := range []string{
		known + `,"imported_customer":{"id":"i1"},"purchase":{"id":"p1","refunded":true}`,
		known, known + `,"purchase":null`, known + `,"purchase":{}`, known + `,"imported_customer":{}`, `"Success":true,"purchase":{"id":"p1"}`,
	} {
		s := newShop(t)
		s.answers["key"] = answer
		ok, _ := s.enter(t.Context(), "user", "key")
		assert.False(t, ok, answer)
	}
}

func TestGumroadIsAskedOnceADay(t *testing.T) {
	s := newShop(t)
	s.purchase("key", `"id":"p1","purchaser_id":"buyer"`)
	s.assertEnters(t, true, "buyer", "key")
	asked := len(s.server.Requests())
	s.purchase("key", `"id":"p1","purchaser_id":"buyer","refunded":true`)
	s.assertMember(t, true, "buyer")
	assert.Len(t, s.server.Requests(), asked)
	s.aDayPasses(t)
	s.assertMember(t, false, "buyer")
	s.purchase("key", `"id":"p1","purchaser_id":"buyer"`)
	s.assertMember(t, true, "buyer")
	s.assertMember(t, true, "buyer")
	assert.Len(t, s.server.Requests(), asked+2)
}

func TestMembersPage(t *testing.T) {
	s := newShop(t)
	s.purchase("key", `"id":"p1","purchaser_id":"buyer"`)
	cookie := func(userID string) *http.Cookie {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		session, _ := s.users.(*sessions.CookieStore).New(r, "app-user")
		session.Values["id"] = userID
		require.NoError(t, session.Save(r, w))
		return w.Result().Cookies()[0]
	}
	visit := func(userID, key string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/members", nil)
		if key != "" {
			r = httptest.NewRequest("POST", "/members", strings.NewReader(url.Values{"license_key": {key}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if userID != "" {
			r.AddCookie(cookie(userID))
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	for _, key := range []string{"", "key"} {
		w := visit("", key)
		assert.Equal(t, http.StatusSeeOther, w.Code, "nobody is logged in")
		assert.Equal(t, "/", w.Header().Get("Location"))
	}
	assert.NotContains(t, visit("buyer", "").Body.String(), "You are a member.")
	assert.Contains(t, visit("buyer", "").Body.String(), `name="license_key"`)
	assert.Contains(t, visit("thief", "key").Body.String(), "This license key does not give you access.")
	assert.Contains(t, visit("buyer", " key\n").Body.String(), "You are a member.")
	assert.Contains(t, visit("buyer", "").Body.String(), "You are a member.")
	assert.Equal(t, "no-store", visit("buyer", "").Header().Get("Cache-Control"))
	assert.NotContains(t, visit("thief", "").Body.String(), "You are a member.")

	s.aDayPasses(t)
	s.server.Fail("/v2/licenses/verify", gumroadtest.Fault{Status: 503})
	text := visit("buyer", "").Body.String()
	assert.Contains(t, text, "cannot be checked now")
	assert.NotContains(t, text, "You are a member.")
}

// The whole program: a buyer logs in, types the key, and comes back later.
func TestMembersInTheProgram(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("GUMROAD_PRODUCT_ID", "product")
	server := gumroadtest.NewServer()
	defer server.Close()
	defer func(before http.RoundTripper) { http.DefaultTransport = before }(http.DefaultTransport)
	http.DefaultTransport = server.Client().Transport
	server.Handle("POST /licenses/verify", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("product_id") == "product" && r.PostFormValue("license_key") == "key" {
			fmt.Fprintf(w, `{%s,"purchase":{"id":"p1","purchaser_id":%q}}`, known, server.User().ID)
		}
	}), gumroadtest.NoToken)
	app := httptest.NewServer(newApp("a secret"))
	defer app.Close()
	goth.UseProviders(server.Provider(app.URL + "/auth/gumroad/callback"))
	server.AutoAnswer(true)

	browser := server.Client()
	text := func(resp *http.Response, err error) string {
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
	assert.Contains(t, text(browser.Get(app.URL+"/members")), "Log in with Gumroad")
	assert.Contains(t, text(browser.Post(app.URL+"/auth/gumroad", "", nil)), "You are logged in.")
	assert.Contains(t, text(browser.Get(app.URL+"/members")), "License key")
	assert.Contains(t, text(browser.PostForm(app.URL+"/members", url.Values{"license_key": {"key"}})), "You are a member.")
	assert.Contains(t, text(browser.Get(app.URL+"/members")), "You are a member.")
}

func TestSubscribers(t *testing.T) {
	server, _, token := newServer(t, "view_sales")
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	server.Handle("GET /products/{id}/subscribers", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != "0ss_D7==" || r.FormValue("paginated") != "true" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"success":true,"subscribers":[
			{"user_id":"1","ended_at":null,"failed_at":null,"cancelled_at":null},
			{"user_id":"2","cancelled_at":%q},
			{"user_id":"3","cancelled_at":"2020-01-01T00:00:00Z"},
			{"user_id":"4","ended_at":"2020-01-01T00:00:00Z"},
			{"user_id":"5","failed_at":"2020-01-01T00:00:00Z"},
			{"user_id":null}, {"USER_ID":"6"}, {"user_id":""}, 7]}`, future)
	}), "view_sales")
	userIDs, err := subscribers(t.Context(), server.Client(), token, "0ss_D7==")
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"1": true, "2": true}, userIDs)
}
