package main

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/markbates/goth"
)

//go:embed templates style.css icon.svg
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
	Scopes   []scope
	Account  *account
	Began    time.Time
	Products *productPage
	Problem  *problem
}

// scope is one that the application asks for.
type scope struct{ Name, Meaning string }

// asked is granted as well: Gumroad's users allow all of it or nothing.
var asked = []scope{
	{gumroad.ScopeViewProfile, "See your name, email, picture and products"},
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

// profile is what Gumroad told about a user.
type profile struct {
	ID, Name, Username, Bio, Email string
	Picture, Page                  string // addresses
	Fetched                        time.Time
}

func newProfile(user goth.User) profile {
	answer, _ := user.RawData["user"].(map[string]any)
	page, _ := answer["url"].(string)
	return profile{
		ID: user.UserID, Name: strings.TrimSpace(user.Name), Username: user.NickName, Bio: user.Description, Email: user.Email,
		Picture: user.AvatarURL, Page: page, Fetched: time.Now(),
	}
}

// json returns p as it is stored. JSON writes a NUL character, which PostgreSQL
// does not take as text, in another way.
func (p profile) json() string {
	data, _ := json.Marshal(p)
	return string(data)
}

// Title is what the user goes by.
func (p profile) Title() string {
	return cmp.Or(p.Name, p.Username, "Gumroad user "+p.ID)
}

// letter is the first letter or digit in a text, with its accents.
var letter = regexp.MustCompile(`[\pL\pN]\pM*`)

// Initial stands in for the picture.
func (p profile) Initial() string {
	return strings.ToUpper(letter.FindString(p.Title() + p.Username + p.ID))
}

// PictureURL returns the address of the picture if it is one to show, or "".
// html/template would refuse a picture that comes inside its address.
func (p profile) PictureURL() template.URL {
	if strings.HasPrefix(p.Picture, "https://") || strings.HasPrefix(p.Picture, "data:image/") {
		return template.URL(p.Picture)
	}
	return ""
}

// gumroadPage returns the address if it is one of Gumroad's, or nil.
func gumroadPage(address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || !strings.HasSuffix("."+u.Hostname(), ".gumroad.com") {
		return nil
	}
	return u
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
