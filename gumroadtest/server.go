// Package gumroadtest provides an in-memory Gumroad server for tests. It also works
// with a browser.
//
// [NewServer] starts a server. A test registers [Server.Provider] with goth, or it
// uses the program's own gumroad.New with [Server.Client]. [Server.Authorize] and
// [Server.Deny] press the buttons of the authorization page. [Server.Handle] adds
// endpoints of Gumroad's API that the program calls after the login.
// [Server.Fail] makes endpoints fail. [Server.Requests] returns what the program
// sent.
//
// The server is as strict as Gumroad. Its statuses, error codes and descriptions
// come from recordings of Doorkeeper 5.7.1, which Gumroad runs. It differs from
// Gumroad as follows:
//
//   - It has one application. [Server.SetApplication] changes it.
//   - It has no login form. The user of [Server.SetUser] is logged in.
//   - Its API has only /v2/user until Handle adds more.
//   - The device flow, introspection and the grant type client_credentials are
//     missing. response_mode is ignored: the callback always gets a query.
//   - It has no rate limit. Fail can make it answer 429.
//   - For the scope account, /v2/user has no email and no display_name, as
//     recorded. Gumroad recently added them. For the scope edit_profile alone,
//     /v2/user answers 403, as Gumroad does. The recorded server answered 200.
//   - The server remembers the last 10,000 authorization codes, pairs of tokens
//     and users. It forgets older ones.
package gumroadtest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
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

// Server is an in-memory Gumroad server. A Server has one application and one
// logged-in user. Create it with [NewServer]. It is safe for concurrent use.
type Server struct {
	// URL is the address of the server, without a slash at the end.
	URL string

	// ClientID and ClientSecret are the credentials of the application. A test
	// may change them before its first request.
	ClientID     string
	ClientSecret string

	listener *httptest.Server
	endpoint *http.ServeMux
	closed   context.Context // done when the server is closed
	close    context.CancelFunc
	now      func() time.Time

	mu           sync.Mutex
	app          Application
	callbacks    []string // the callback URLs of Provider
	user         string   // the id of the logged-in user
	users        *memory[*User]
	grants       *memory[*grant] // by code
	tokens       *memory[*token] // by access token and by refresh token
	consents     map[consent]int // how many live tokens each has
	patterns     []string        // of the endpoints
	faults       map[string][]Fault
	requests     []Request
	requestBytes int
}

// NewServer starts an in-memory Gumroad server on the loopback interface. Its
// application is confidential. John Smith is logged in. NewServer panics if it
// cannot listen. The caller should call Close when finished.
func NewServer() *Server {
	s := &Server{
		ClientID:     random(),
		ClientSecret: random(),
		endpoint:     http.NewServeMux(),
		now:          time.Now,
		users:        newMemory[*User](maxKept),
		grants:       newMemory[*grant](maxKept),
		tokens:       newMemory[*token](2 * maxKept), // each pair has two keys
		consents:     map[consent]int{},
		faults:       map[string][]Fault{},
	}
	s.closed, s.close = context.WithCancel(context.Background())
	s.handle("GET "+AuthorizePath, http.HandlerFunc(s.serveAuthorizationPage))
	s.handle("POST "+AuthorizePath, s.serveDecision(s.approve))
	s.handle("DELETE "+AuthorizePath, s.serveDecision(s.deny))
	s.handle("POST "+TokenPath, http.HandlerFunc(s.serveToken))
	s.handle("POST "+RevokePath, http.HandlerFunc(s.serveRevocation))
	s.handle("GET "+TokenPath+"/info", http.HandlerFunc(s.serveTokenInfo))
	s.handle("GET "+picturePath, http.HandlerFunc(servePicture))
	s.handleAPI("GET /user", http.HandlerFunc(s.serveUser), mayReadUser)
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

// Close stops the server. It ends requests in progress, even if their body never
// arrives, and waits for their handlers to return. It may be called more than
// once.
func (s *Server) Close() {
	s.close()
	s.listener.Close()
}

// handle adds an endpoint.
func (s *Server) handle(pattern string, handler http.Handler) {
	s.endpoint.Handle(pattern, handler)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.patterns = append(s.patterns, pattern)
}

// hasEndpoint reports whether a request for the path can reach an endpoint. The
// caller holds s.mu.
func (s *Server) hasEndpoint(path string) bool {
	return strings.HasPrefix(path, "/") && slices.ContainsFunc(s.patterns, func(pattern string) bool {
		// [METHOD ][HOST]/[PATH]
		before, _, _ := strings.Cut(pattern, "/")
		method, host := http.MethodGet, before
		if i := strings.IndexAny(before, " \t"); i >= 0 {
			method, host = before[:i], strings.TrimSpace(before[i:])
		}
		_, pattern = s.endpoint.Handler(&http.Request{Method: method, Host: host, URL: &url.URL{Path: path}})
		return pattern != ""
	})
}

// ServeHTTP answers a request as Gumroad does. A program can use it to serve the
// server below a path prefix. [http.StripPrefix] must then remove the prefix.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r, end := s.untilClosed(w, r)
	defer end()
	if err := readForm(r); err != nil {
		http.Error(w, "gumroadtest: "+err.Error(), http.StatusBadRequest)
		return
	}
	path := apiPath(r.URL.Path)
	received := Request{Method: r.Method, Path: path, Header: r.Header.Clone(), Form: cloneValues(r.Form)}
	if r.Method == http.MethodPost && strings.EqualFold(r.Form.Get("_method"), "delete") {
		r.Method = http.MethodDelete
	}
	_, pattern := s.endpoint.Handler(r)
	_, patternPath, _ := strings.Cut(pattern, "/")
	s.mu.Lock()
	s.record(received)
	fault, failing := s.nextFault(path, apiPath("/"+patternPath))
	s.mu.Unlock()

	var endpoint http.Handler = s.endpoint
	if pattern == "" {
		// For a wrong method http.ServeMux would answer 405.
		endpoint = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	w.Header().Set("Referrer-Policy", "strict-origin-when-cross-origin")
	if failing {
		fault.serve(w, r, endpoint)
		return
	}
	endpoint.ServeHTTP(w, r)
}

// untilClosed returns a copy of the request. Close ends it: its context is then
// done, and reading its body and writing its answer fail. The caller must call end
// after the answer.
func (s *Server) untilClosed(w http.ResponseWriter, r *http.Request) (_ *http.Request, end func()) {
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan struct{})
	stop := context.AfterFunc(s.closed, func() {
		defer close(ended)
		cancel()
		connection := http.NewResponseController(w)
		connection.SetReadDeadline(time.Unix(1, 0))
		connection.SetWriteDeadline(time.Unix(1, 0))
	})
	return r.WithContext(ctx), func() {
		if !stop() {
			<-ended // w must not be used later
		}
		cancel()
	}
}

// random returns a random text in the form of Doorkeeper's codes, tokens and
// credentials: 43 characters that need no escaping.
func random() string {
	var bytes [32]byte
	rand.Read(bytes[:])
	return base64.RawURLEncoding.EncodeToString(bytes[:])
}
