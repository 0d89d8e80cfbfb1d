// Package gumroadtest is Gumroad in memory: a server that an application's own
// tests can log in to, and a person in a browser as well, without an account.
//
// It is as strict as Gumroad, and answers with the same statuses, codes and
// descriptions, after recordings of the engine that Gumroad runs (Doorkeeper
// 5.7.1). A test starts it with [NewServer], registers [Server.Provider] with
// goth, and presses the button on the authorization page with
// [Server.Authorize] or [Server.Deny].
//
// What it leaves out:
//
//	the device flow, client_credentials, introspection   404 or unsupported_grant_type
//	registering applications, more than one of them      SetApplication replaces the one
//	response_mode                                        the callback always gets a query
//	the API beside /v2/user                              404
//	the rate limit (429), Gumroad's own faults           Fail answers with them
//	a login form                                         SetUser's user is always logged in
//	email and display_name for the scope account         not answered, as recorded; of late Gumroad does
//	the user for the scope edit_profile alone            403, as Gumroad answers; the recorded engine let it in
package gumroadtest

import (
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
)

// The paths of the endpoints, below [Server.URL]; [Server.Fail] and
// [Request.Path] have them.
const (
	AuthorizePath = "/oauth/authorize"
	TokenPath     = "/oauth/token"
	RevokePath    = "/oauth/revoke"
	UserPath      = "/v2/user"
)

// Server is a Gumroad with one application, to which one user is logged in at a
// time. Make it with [NewServer]. It is safe for concurrent use.
type Server struct {
	// URL is the address of the server on loopback, without a slash at the end.
	URL string

	// ClientID and ClientSecret are the credentials of the application.
	ClientID     string
	ClientSecret string

	listener *httptest.Server
	closed   chan struct{}
	close    sync.Once
	now      func() time.Time

	mu       sync.Mutex
	app      Application
	user     string // the id of who is logged in
	users    map[string]User
	grants   map[string]*grant // by code
	tokens   map[string]*token // by access token and by refresh token
	faults   map[string][]Fault
	requests []Request
}

// Application is what is registered at Gumroad.
type Application struct {
	// Name is shown on the authorization page.
	Name string

	// RedirectURIs are the addresses that the browser may be sent back to.
	// [Server.Provider] adds its callback URL.
	RedirectURIs []string

	// Scopes are what the application may ask for. Where it is empty, they are
	// Gumroad's public scopes, as they are for a new application.
	Scopes []string

	// Confidential is whether the application must send its secret. To one that
	// is, a user grants the same scopes a second time without seeing the page.
	Confidential bool
}

// publicScopes are what Gumroad grants to a new application: the documented
// ones and two more.
var publicScopes = []string{
	gumroad.ScopeViewProfile, gumroad.ScopeEditProfile, gumroad.ScopeEditProducts, gumroad.ScopeEditEmails,
	gumroad.ScopeViewSales, gumroad.ScopeViewPayouts, gumroad.ScopeViewTaxData, gumroad.ScopeMarkSalesAsShipped,
	gumroad.ScopeEditSales, gumroad.ScopeAccount, "ifttt", "revenue_share",
}

// NewServer starts a Gumroad on loopback, with a confidential application and
// with John Smith logged in. It panics if it cannot listen. The caller should
// call Close when finished.
func NewServer() *Server {
	s := &Server{
		ClientID:     random(),
		ClientSecret: random(),
		closed:       make(chan struct{}),
		now:          time.Now,
		users:        map[string]User{},
		grants:       map[string]*grant{},
		tokens:       map[string]*token{},
		faults:       map[string][]Fault{},
	}
	s.SetApplication(Application{Name: "Test application", Confidential: true})
	s.SetUser(User{
		ID:            "6754923450134",
		Name:          "John Smith",
		Username:      "sailorjohn",
		Email:         "johnsmith@gumroad.com",
		Bio:           "a sailor, a tailor",
		Picture:       "https://public-files.gumroad.com/john.png",
		TwitterHandle: "sailor_john",
		Products:      []string{"knots", "ropes"},
	})
	s.listener = httptest.NewServer(s)
	s.URL = s.listener.URL
	return s
}

// Close stops the server, with the answers that a [Fault] still holds back. It
// may be called more than once.
func (s *Server) Close() {
	s.close.Do(func() { close(s.closed) })
	s.listener.Close()
}

// Provider returns a provider that logs in to this server, and registers its
// callback URL with the application. Without scopes it asks for view_profile,
// as [gumroad.New] does.
func (s *Server) Provider(callbackURL string, scopes ...string) *gumroad.Provider {
	s.mu.Lock()
	s.app.RedirectURIs = append(slices.Clip(s.app.RedirectURIs), callbackURL)
	s.mu.Unlock()
	return gumroad.NewCustomisedURL(s.ClientID, s.ClientSecret, callbackURL,
		s.URL+AuthorizePath, s.URL+TokenPath, s.URL+UserPath, scopes...)
}

// SetApplication replaces what is registered at Gumroad, but for the client's
// credentials. Tokens and codes stay good.
func (s *Server) SetApplication(app Application) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app = app
	if len(app.Scopes) == 0 {
		s.app.Scopes = publicScopes
	}
}

// Request is a request that came in.
type Request struct {
	Method string
	Path   string
	Header http.Header
	Form   url.Values // what the query and the body held
}

// maxRequests keeps a server that runs for long from filling the memory.
const maxRequests = 10_000

// Requests returns the requests that came in over HTTP, the oldest first, and at
// most the last 10,000. What Authorize and Deny do is not among them.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := slices.Clone(s.requests)
	for i, r := range requests {
		requests[i].Header = r.Header.Clone()
		requests[i].Form = url.Values(http.Header(r.Form).Clone())
	}
	return requests
}

// ServeHTTP answers as Gumroad does, so that a program can have the server under
// an address of its own; [http.StripPrefix] must take off what stands before
// the path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if path == "/api/v2/user" {
		path = UserPath
	}
	form := readForm(r)
	s.mu.Lock()
	if len(s.requests) == maxRequests {
		s.requests = slices.Delete(s.requests, 0, maxRequests/10)
	}
	s.requests = append(s.requests, Request{Method: r.Method, Path: path, Header: r.Header.Clone(), Form: maps.Clone(form)})
	s.mu.Unlock()

	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	w.Header().Set("Referrer-Policy", "strict-origin-when-cross-origin")
	if s.answerFault(w, r, path) {
		return
	}

	method := r.Method
	if method == http.MethodPost && strings.EqualFold(form.Get("_method"), "delete") {
		method = http.MethodDelete
	}
	switch method + " " + path {
	case "GET " + AuthorizePath:
		s.serveAuthorizationPage(w, form)
	case "POST " + AuthorizePath:
		s.serveDecision(w, form, s.approve)
	case "DELETE " + AuthorizePath:
		s.serveDecision(w, form, s.deny)
	case "POST " + TokenPath:
		s.serveToken(w, r, form)
	case "POST " + RevokePath:
		s.serveRevocation(w, r, form)
	case "GET " + TokenPath + "/info":
		s.serveTokenInfo(w, r, form)
	case "GET " + UserPath:
		s.serveUser(w, r, form)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// random returns what Doorkeeper's codes, tokens and credentials look like: 43
// characters that need no escaping.
func random() string {
	var bytes [32]byte
	rand.Read(bytes[:])
	return base64.RawURLEncoding.EncodeToString(bytes[:])
}
