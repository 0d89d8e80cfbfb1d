package gumroadtest

import (
	"bytes"
	"cmp"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
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

// writePage writes the page of the template with this name.
func writePage(w http.ResponseWriter, status int, name string, data any) {
	var html bytes.Buffer
	if err := pages.ExecuteTemplate(&html, name, data); err != nil {
		panic(err) // the templates are our own
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(html.Bytes())
}
