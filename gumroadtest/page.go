package gumroadtest

import (
	"bytes"
	"cmp"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"

	gumroad "github.com/gumroad/goth-gumroad"
)

//go:embed page.html
var pageHTML string

var pages = template.Must(template.New("").Parse(pageHTML))

// authorizationPage is the page on which the user authorizes or denies.
type authorizationPage struct {
	Application string
	User        User
	Scopes      []string
	Form        url.Values
}

// Fields are the names of the parameters that the buttons send, in Doorkeeper's
// order.
func (authorizationPage) Fields() []string {
	return []string{"client_id", "redirect_uri", "state", "response_type", "response_mode", "scope", "code_challenge", "code_challenge_method"}
}

// Title is the name to show.
func (p authorizationPage) Title() string {
	return cmp.Or(p.User.Name, p.User.Username, p.User.Email, p.User.ID)
}

// Meaning returns the meaning of a scope, if it is documented.
func (authorizationPage) Meaning(scope string) string { return meanings[scope] }

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
	var html bytes.Buffer
	if err := pages.ExecuteTemplate(&html, name, data); err != nil {
		panic(err) // the templates are our own
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// There is no form-action, since browsers also apply it to the redirect after
	// the form.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'")
	w.WriteHeader(status)
	w.Write(html.Bytes())
}
