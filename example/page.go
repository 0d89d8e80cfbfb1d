package main

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	gumroad "github.com/gumroad/goth-gumroad"
)

//go:embed templates style.css icon.svg back.js
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"utc":         func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
	"iso":         func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"gumroadPage": gumroadPage,
}).ParseFS(files, "templates/*.html"))

// view is what a page shows.
type view struct {
	Title    string
	Notice   string
	Test     bool
	Asked    scope
	Me       *user // nil if nobody is logged in
	Products *productPage
	Problem  *problem
}

// scope is one of Gumroad's scopes, and what it means to a user.
type scope struct{ Scope, Meaning string }

// asked is what the application asks for. It is also what the user granted: at
// Gumroad, users grant all or nothing.
var asked = scope{gumroad.ScopeViewProfile, "See your name, email, picture and products"}

// notices are shown on the pages with these URLs, to which a handler redirects.
var notices = map[string]string{
	"/profile?done=fetched":   "Your profile is up to date.",
	"/profile?done=refreshed": "The access was refreshed. The old key no longer works.",
	"/?done=disconnected":     "You are disconnected. Gumroad ended this app's access. This app deleted your profile.",
	"/?done=loggedout":        "You are logged out.",
}

// visible matches a text that a reader sees, unlike one of blanks or invisible characters.
var visible = regexp.MustCompile(`[\pL\pN\pP\pS]`)

// Title is the name to show.
func (u user) Title() string {
	if visible.MatchString(u.Name) {
		return u.Name
	}
	return cmp.Or(u.Username, "Gumroad user "+u.UserID)
}

// Size is the class of the title's size. The longest word should fit on a phone.
func (u user) Size() string {
	longest := 0
	for _, word := range strings.Fields(u.Title()) {
		longest = max(longest, utf8.RuneCountInString(word))
	}
	switch {
	case longest > 20:
		return "longest"
	case longest > 11, utf8.RuneCountInString(u.Title()) > 24:
		return "long"
	}
	return ""
}

// letter matches a letter or a digit, with its accents.
var letter = regexp.MustCompile(`[\pL\pN]\pM*`)

// Initial is shown if there is no picture. For a name without letters it is a dot.
func (u user) Initial() string {
	return strings.ToUpper(cmp.Or(letter.FindString(u.Title()), "•"))
}

// PictureURL returns the URL of the picture, or "" if it is not safe to show. It
// has the type template.URL, since html/template refuses data: URLs.
func (u user) PictureURL() template.URL {
	if strings.HasPrefix(u.Picture, "https://") || strings.HasPrefix(u.Picture, "data:image/") {
		return template.URL(u.Picture)
	}
	return ""
}

// gumroadPage returns the URL if it is at Gumroad, or nil.
func gumroadPage(address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || !strings.HasSuffix("."+u.Hostname(), ".gumroad.com") {
		return nil
	}
	return u
}

// render answers with a page. It builds the whole page before it sends anything, so
// that nobody gets half of one.
func (a *app) render(w http.ResponseWriter, status int, name string, v view) {
	v.Test, v.Asked = a.test, asked
	var html bytes.Buffer
	if err := templates.ExecuteTemplate(&html, name, v); err != nil {
		log.Print(err)
		http.Error(w, "This page could not be shown.", http.StatusInternalServerError)
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
