package main

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	gumroad "github.com/gumroad/goth-gumroad"
)

//go:embed templates style.css icon.svg
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"utc": func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
	"iso": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}).ParseFS(files, "templates/*.html"))

// view is what a page shows. It has no room for a token.
type view struct {
	Title   string
	Notice  string
	Test    bool
	Scopes  []scope
	Profile *profile
	Problem *problem
}

// scope is one that the application asks for.
type scope struct{ Name, Meaning string }

// asked is granted as well: Gumroad's users allow all of it or nothing.
var asked = []scope{
	{gumroad.ScopeViewProfile, "See your name, bio, picture, email address and products"},
}

// notices and farewells say what was done, by what stands in the address after
// it, on the profile and on the start page.
var (
	notices = map[string]string{
		"fetched":   "This is your profile as Gumroad has it now.",
		"refreshed": "There is a new token. Gumroad revoked the old one.",
	}
	farewells = map[string]string{
		"disconnected": "You are disconnected. Gumroad revoked the token, and nothing is kept here.",
		"loggedout":    "You are logged out.",
	}
)

// profile is what the pages may show of a login.
type profile struct {
	ID, Name, Username, Bio, Email string
	Picture                        template.URL
	Page                           *url.URL // at Gumroad, or nil
	Began, Fetched, Refreshed      time.Time
}

// profileOf returns the profile of who is logged in, or nil if nobody is.
func profileOf(l login) *profile {
	if l.User.UserID == "" {
		return nil
	}
	p := &profile{
		ID:        l.User.UserID,
		Name:      strings.TrimSpace(l.User.Name),
		Bio:       l.User.Description,
		Email:     l.User.Email,
		Began:     l.Began,
		Fetched:   l.Fetched,
		Refreshed: l.Refreshed,
	}
	if u, err := url.Parse(l.Page); err == nil && u.Scheme == "https" && strings.HasSuffix("."+u.Hostname(), ".gumroad.com") {
		p.Page = u
	}
	// The nickname is the Twitter handle where there is no username.
	if p.Page != nil && (p.Page.Host == l.User.NickName+".gumroad.com" || p.Page.Host+p.Page.Path == "gumroad.com/"+l.User.NickName) {
		p.Username = l.User.NickName
	}
	// html/template would refuse a picture that comes inside its address.
	if strings.HasPrefix(l.User.AvatarURL, "https://") || strings.HasPrefix(l.User.AvatarURL, "data:image/") {
		p.Picture = template.URL(l.User.AvatarURL)
	}
	return p
}

// Title is what the user goes by.
func (p profile) Title() string {
	return cmp.Or(p.Name, p.Username, "Gumroad user "+p.ID)
}

// Initial stands in for the picture.
func (p profile) Initial() string {
	first, _ := utf8.DecodeRuneInString(p.Title())
	return strings.ToUpper(string(first))
}

// render answers with a page. It is complete before anything is sent, so that
// nobody gets half of one.
func (a *app) render(w http.ResponseWriter, status int, name string, v view) {
	v.Test = a.test
	var html bytes.Buffer
	if err := templates.ExecuteTemplate(&html, name, v); err != nil {
		log.Print(err)
		http.Error(w, "This page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(html.Bytes())
}

// serveFile answers with a file that is the same for everyone.
func serveFile(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=300")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		http.ServeFileFS(w, r, files, name)
	}
}
