package gumroadtest

import (
	"bytes"
	"cmp"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	gumroad "github.com/gumroad/goth-gumroad"
)

//go:embed page.html
var pageHTML string

var pages = template.Must(template.New("").Parse(pageHTML))

// authorizationPage is the page on which the user authorizes or denies.
type authorizationPage struct {
	Application string
	User        User
	Scopes      []scope
	Form        url.Values
}

// scope is a scope and its meaning.
type scope struct{ Name, Meaning string }

// Fields are the names of the parameters that the buttons send, in Doorkeeper's
// order.
func (authorizationPage) Fields() []string {
	return []string{"client_id", "redirect_uri", "state", "response_type", "scope", "code_challenge", "code_challenge_method"}
}

// Title is the name to show.
func (p authorizationPage) Title() string {
	return cmp.Or(p.User.Name, p.User.Username, p.User.Email, p.User.ID)
}

// Picture returns the user's picture if it is a data: URL, or "".
func (p authorizationPage) Picture() template.URL {
	if strings.HasPrefix(p.User.Picture, "data:image/") {
		return template.URL(p.User.Picture)
	}
	return ""
}

// letter matches a letter or a digit, with its accents.
var letter = regexp.MustCompile(`[\pL\pN]\pM*`)

// Initial is shown if there is no picture.
func (p authorizationPage) Initial() string {
	return strings.ToUpper(letter.FindString(p.Title() + p.User.ID))
}

// errorPage is the page that says what is wrong with a request.
type errorPage struct{ Description string }

// inWords holds the meaning of each documented scope.
var inWords = map[string]string{
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

// describe adds the meaning of each scope, if it is documented.
func describe(names []string) []scope {
	var scopes []scope
	for _, name := range names {
		scopes = append(scopes, scope{name, inWords[name]})
	}
	return scopes
}

func writePage(w http.ResponseWriter, status int, page any) {
	name := "authorize"
	if _, failed := page.(errorPage); failed {
		name = "error"
	}
	var html bytes.Buffer
	if err := pages.ExecuteTemplate(&html, name, page); err != nil {
		panic(err) // the templates are our own
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// There is no form-action, since browsers also apply it to the redirect after
	// the form.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'")
	w.WriteHeader(status)
	w.Write(html.Bytes())
}
