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

// asked is what the application asks for. It is also what the user granted: at
// Gumroad, users grant all scopes or none.
var asked = []scope{
	{gumroad.ScopeViewProfile, "See your name, email, picture and products"},
}

// notices are shown on the profile, and farewells on the start page. The key is the
// parameter done in the address.
var (
	notices = map[string]string{
		"fetched":   "Your profile is up to date.",
		"refreshed": "The token was refreshed. Gumroad revoked the old one.",
	}
	farewells = map[string]string{
		"disconnected": "You are disconnected. Gumroad revoked the token. This application deleted your profile.",
		"loggedout":    "You are logged out.",
	}
)

// profile is what the application keeps of a user's profile at Gumroad.
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

// json returns p as it is stored. It escapes the NUL character, which PostgreSQL
// does not accept in text.
func (p profile) json() string {
	data, _ := json.Marshal(p)
	return string(data)
}

// Title is the name to show.
func (p profile) Title() string {
	return cmp.Or(p.Name, p.Username, "Gumroad user "+p.ID)
}

// letter matches a letter or a digit, with its accents.
var letter = regexp.MustCompile(`[\pL\pN]\pM*`)

// Initial is shown if there is no picture.
func (p profile) Initial() string {
	return strings.ToUpper(letter.FindString(p.Title() + p.Username + p.ID))
}

// PictureURL returns the address of the picture, or "" if it is not safe to show. It
// has the type template.URL, since html/template refuses data: addresses.
func (p profile) PictureURL() template.URL {
	if strings.HasPrefix(p.Picture, "https://") || strings.HasPrefix(p.Picture, "data:image/") {
		return template.URL(p.Picture)
	}
	return ""
}

// gumroadPage returns the address if it is at Gumroad, or nil.
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
	v.Test = a.test
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
