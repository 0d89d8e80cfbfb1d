package gumroadtest

import (
	_ "embed"
	"html/template"
	"net/http"

	gumroad "github.com/gumroad/goth-gumroad"
)

//go:embed page.html
var pageHTML string

var pages = template.Must(template.New("").Parse(pageHTML))

// meanings holds the meaning of each documented scope.
var meanings = map[string]string{
	gumroad.ScopeViewProfile:        "See your name, email, picture and products",
	gumroad.ScopeEditProfile:        "Change the name and the bio in your profile",
	gumroad.ScopeEditProducts:       "See and change your products, variants, offer codes and files",
	gumroad.ScopeEditEmails:         "See and change emails to your audience, and see your workflows",
	gumroad.ScopeViewSales:          "See your sales",
	gumroad.ScopeViewPayouts:        "See your payouts",
	gumroad.ScopeViewTaxData:        "See your tax forms and your annual earnings",
	gumroad.ScopeMarkSalesAsShipped: "Mark your sales as shipped",
	gumroad.ScopeEditSales:          "Refund sales, revoke and restore access, and resend receipts",
	gumroad.ScopeAccount:            "Do nearly everything in your account",
}

// writePage writes the page of the template with this name.
func writePage(w http.ResponseWriter, status int, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		panic(err) // the templates are our own
	}
}
