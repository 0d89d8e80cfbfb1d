package main

import (
	"cmp"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
)

// sailor is the picture of the test server's user.
//
//go:embed sailor.svg
var sailor []byte

// newTestGumroad returns the test server that is used without a key. Its user has a
// picture and 23 products.
func newTestGumroad() *gumroadtest.Server {
	test := gumroadtest.NewServer()
	test.SetApplication(gumroadtest.Application{Name: "Example", Confidential: true})
	user := test.User()
	user.Picture = "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(sailor)
	test.SetUser(user)
	test.Handle("GET /products", http.HandlerFunc(listProducts), gumroad.ScopeViewProfile)
	return test
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
			Address: fmt.Sprint("https://sailorjohn.gumroad.com/l/knot", n),
		})
	}
	if first+10 < count {
		answer.Next = strconv.Itoa(first + 10)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(answer)
}
