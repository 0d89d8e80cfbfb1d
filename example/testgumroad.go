package main

import (
	"cmp"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
)

// sailor is the picture of the test server's user.
//
//go:embed sailor.svg
var sailor []byte

// newTestGumroad returns the test server that is used without a key, and its provider.
// Its user has a picture and 23 products. The browser reaches it below the application's
// own URL, so one port is enough.
func newTestGumroad(mux *http.ServeMux, base *url.URL, callback string) (*gumroadtest.Server, *gumroad.Provider) {
	test := gumroadtest.NewServer()
	app := test.Application()
	app.Name = "Example"
	test.SetApplication(app)
	user := test.User()
	user.Picture = "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(sailor)
	test.SetUser(user)
	test.Handle("GET /products", http.HandlerFunc(listProducts), asked.Scope)

	mux.Handle("/gumroad/", http.StripPrefix("/gumroad", test))
	provider := test.Provider(callback, asked.Scope)
	provider.AuthURL = base.String() + "/gumroad" + gumroadtest.AuthorizePath
	return test, provider
}

// listProducts answers as Gumroad's API does, with ten products per page.
func listProducts(w http.ResponseWriter, r *http.Request) {
	const count = 23
	first, err := strconv.Atoi(cmp.Or(r.FormValue("page_key"), "0"))
	if err != nil || first < 0 || first >= count {
		http.Error(w, `{"status":400,"error":"Invalid page_key."}`, http.StatusBadRequest)
		return
	}
	answer := productPage{Success: true}
	for n := first + 1; n <= min(first+10, count); n++ {
		answer.Products = append(answer.Products, product{
			Name: fmt.Sprint("Knot of the day, no. ", n), Price: "$1", Published: n%7 != 0,
			URL: fmt.Sprint("https://sailorjohn.gumroad.com/l/knot", n),
		})
	}
	if first+10 < count {
		answer.Next = strconv.Itoa(first + 10)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(answer)
}
