package main

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
)

// sailor is a picture for the user of the test server, whose own is nowhere.
//
//go:embed sailor.svg
var sailor []byte

// newTestGumroad returns the Gumroad of a start without a key. Its user has a
// picture and 23 products.
func newTestGumroad() *gumroadtest.Server {
	test := gumroadtest.NewServer()
	test.SetApplication(gumroadtest.Application{Name: "Example", Confidential: true})
	user := test.User()
	user.Picture = "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(sailor)
	test.SetUser(user)
	test.Handle("GET /products", pagesOfProducts(23), gumroad.ScopeViewProfile)
	return test
}

// pagesOfProducts answers as Gumroad's API does, with ten products a page.
func pagesOfProducts(count int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		key := r.URL.Query().Get("page_key")
		first, err := strconv.Atoi(key)
		if key != "" && (err != nil || first < 0 || first >= count) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"status":400,"error":"Invalid page_key."}`)
			return
		}
		answer := productPage{Success: true}
		for i := first; i < min(first+10, count); i++ {
			answer.Products = append(answer.Products, product{
				Name: fmt.Sprint("Knot of the day, no. ", i+1), Price: "$1", Published: i%7 != 6,
				Address: fmt.Sprint("https://sailorjohn.gumroad.com/l/knot", i+1),
			})
		}
		if first+10 < count {
			answer.Next = fmt.Sprint(first + 10)
		}
		json.NewEncoder(w).Encode(answer)
	}
}
