// Package gumroadtest provides an in-memory Gumroad server for tests. It also works
// with a browser.
//
// [NewServer] starts a server. A test registers [Server.Provider] with goth, or gives
// the program's own provider the HTTP client of [Server.Client]. [Server.Authorize]
// and [Server.Deny] press the buttons of the authorization page, [Server.Handle] adds
// endpoints of Gumroad's API, [Server.Fail] makes endpoints fail, and
// [Server.Requests] returns what the program sent and why the server refused it.
//
// Use one server for each test. Tests that run in parallel on one server share
// everything but the user of [Server.AuthorizeAs].
//
// A request that the server accepts is meant to be one that Gumroad accepts. The
// statuses, error codes and descriptions come from recordings of Doorkeeper 5.7.1,
// which Gumroad runs, and parameters are read as Rails reads them. The server
// differs from Gumroad as follows:
//
//   - It has one application, which is not confidential, and no login form. The
//     user of [Server.SetUser] is logged in.
//   - Its API has only /v2/user until Handle adds more. It has no rate limit.
//   - The device flow, dynamic registration, introspection, token/info, the grant
//     type client_credentials, the response mode form_post and the redirect URI
//     urn:ietf:wg:oauth:2.0:oob are missing, and requests for them are refused.
//   - It refuses nested parameters, such as scope[]=a, at the OAuth endpoints, a
//     semicolon in a query, credentials for HTTP Basic that are not padded base64,
//     and some redirect URIs that only Ruby can parse.
//   - It does not check the length of parameters, or the characters of a code
//     verifier. The header X-HTTP-Method-Override has no effect.
package gumroadtest

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The paths of the endpoints below [Server.URL], for [Server.Fail] and
// [Request.Path].
const (
	AuthorizePath = "/oauth/authorize"
	TokenPath     = "/oauth/token"
	RevokePath    = "/oauth/revoke"
	UserPath      = "/v2/user"
)

// Server is an in-memory Gumroad server. Create it with [NewServer], or else its
// methods panic. A Server is safe for concurrent use.
type Server struct {
	// URL is the URL of the server, without a slash at the end.
	URL string

	// ClientID and ClientSecret are the credentials of the application. A test
	// may change them before its first request.
	ClientID, ClientSecret string

	listener  *httptest.Server
	transport *http.Transport
	endpoint  *http.ServeMux

	mu        sync.Mutex
	advanced  time.Duration // by Advance
	app       Application
	callbacks []string // the callback URLs of Provider
	user      string   // the id of the logged-in user
	users     map[string]User
	auto      button            // what AutoAnswer presses, or nil
	grants    map[string]*grant // by code
	tokens    map[string]*token // by access token and by refresh token
	faults    map[string][]Fault
	requests  []*Request
}

// NewServer starts an in-memory Gumroad server on the loopback interface. Its
// application is not confidential, and John Smith is logged in. NewServer panics if
// it cannot listen. The caller should call Close when finished.
func NewServer() *Server {
	s := &Server{
		ClientID: random(), ClientSecret: random(),
		endpoint: http.NewServeMux(),
		users:    map[string]User{}, grants: map[string]*grant{}, tokens: map[string]*token{}, faults: map[string][]Fault{},
	}
	s.transport = &http.Transport{DialContext: s.dial(false), DialTLSContext: s.dial(true)}
	s.listener = httptest.NewUnstartedServer(s)
	// Without this endpoint, ServeMux would answer 405 to a wrong method.
	s.endpoint.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no endpoint %s %s; if Gumroad's API has it, call Handle for it", r.Method, r.URL.Path))
	})
	for _, method := range []string{"GET ", "POST ", "DELETE "} { // the page and its buttons
		s.endpoint.HandleFunc(method+AuthorizePath, s.serveAuthorization)
	}
	s.endpoint.HandleFunc("POST "+TokenPath, s.serveToken)
	s.endpoint.HandleFunc("POST "+RevokePath, s.serveRevocation)
	s.Handle("GET /user", http.HandlerFunc(serveUser), mayRead...)
	s.SetApplication(Application{Name: "Test application"})
	s.SetUser(User{
		ID: "6754923450134", Name: "John Smith", Username: "sailorjohn", Email: "johnsmith@gumroad.com",
		Bio: "a sailor, a tailor", Picture: "https://public-files.gumroad.com/john.png",
		TwitterHandle: "sailor_john", Products: []string{"knots", "ropes"},
	})
	s.listener.Start()
	s.URL = s.listener.URL
	return s
}

// Close stops the server. It ends requests in progress and waits for their handlers
// to return. It may be called more than once.
func (s *Server) Close() {
	s.lock()()
	s.listener.Listener.Close()         // first, or else a client repeats on a new connection what Close ends
	s.listener.CloseClientConnections() // which ends the contexts of their requests
	s.transport.CloseIdleConnections()
	s.listener.Close()
}

// lock locks the server and returns the function that unlocks it.
func (s *Server) lock() (unlock func()) {
	if s.listener == nil {
		panic("gumroadtest: this Server was not made by NewServer")
	}
	s.mu.Lock()
	return s.mu.Unlock
}

// Advance moves the clock of the server forward by d. An authorization code expires
// after ten minutes, so Advance(10*time.Minute) ends all codes at once. Access
// tokens and refresh tokens never expire.
func (s *Server) Advance(d time.Duration) {
	defer s.lock()()
	s.advanced += d
}

// now returns the time of the server's clock. The caller holds s.mu.
func (s *Server) now() time.Time { return time.Now().Add(s.advanced) }

// ServeHTTP answers a request as Gumroad does. With it, a program can serve the
// server at a fixed URL, or below a prefix that [http.StripPrefix] removes.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/v2/") {
		http.StripPrefix("/api", s).ServeHTTP(w, r)
		return
	}
	received := &Request{Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone()}
	r = r.WithContext(r.Context()) // a copy
	err := readParameters(r)
	received.Form = url.Values(http.Header(r.Form).Clone())
	unlock := s.lock()
	s.requests = append(s.requests, received)
	var fault Fault
	if waiting := s.faults[received.Path]; len(waiting) > 0 {
		fault, s.faults[received.Path] = waiting[0], waiting[1:]
	}
	unlock()

	var endpoint http.Handler = s.endpoint
	if err != nil {
		endpoint = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusBadRequest, err.Error()) })
	}
	answer := fault.answer(r, endpoint)
	unlock = s.lock()
	received.Status, received.Reason = answer.Code, answer.Header().Get(reasonHeader)
	unlock()
	if answer.Code == 0 {
		cut(w)
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	if answer.Body.Len() > 0 { // or else net/http would guess a type
		w.Write(answer.Body.Bytes())
	}
	if fault.Cut {
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// random returns a random text in the form of Doorkeeper's codes, tokens and
// credentials: 43 characters that need no escaping.
func random() string {
	var bytes [32]byte
	rand.Read(bytes[:])
	return base64.RawURLEncoding.EncodeToString(bytes[:])
}
