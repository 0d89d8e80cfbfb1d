package gumroad_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// loadGumroad is a small Gumroad for TestLoad. Each code and token belongs to one
// user. A code works once, and only with the right verifier.
type loadGumroad struct {
	mu       sync.Mutex
	grants   map[string]loadGrant // by code
	tokens   map[string]string    // user by access token
	requests map[string]int       // by user
	stray    int                  // requests that were refused
}

type loadGrant struct{ user, challenge string }

// authorize does what the user does on the authorization page.
func (g *loadGumroad) authorize(authURL, user string) (callback url.Values, err error) {
	address, err := url.Parse(authURL)
	if err != nil {
		return nil, err
	}
	query := address.Query()
	g.mu.Lock()
	defer g.mu.Unlock()
	code := "code-" + user
	g.grants[code] = loadGrant{user, query.Get("code_challenge")}
	return url.Values{"code": {code}, "state": {query.Get("state")}}, nil
}

func (g *loadGumroad) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if r.URL.Path == "/oauth/token" {
		grant, known := g.grants[r.PostFormValue("code")]
		challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if known && grant.challenge == base64.RawURLEncoding.EncodeToString(challenge[:]) {
			delete(g.grants, r.PostFormValue("code"))
			g.requests[grant.user]++
			g.tokens["access-"+grant.user] = grant.user
			fmt.Fprintf(w, `{"access_token":"access-%s","token_type":"Bearer","refresh_token":"refresh-%[1]s"}`, grant.user)
			return
		}
	} else if user := g.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]; user != "" {
		g.requests[user]++
		fmt.Fprintf(w, `{"success":true,"user":{"id":"%s","name":"User %[1]s"}}`, user)
		return
	}
	g.stray++
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprint(w, `{"error":"invalid_grant"}`)
}

// Concurrent logins do not affect each other. Each returns its own user after two
// requests to Gumroad. Connections are reused if the client's transport keeps
// enough idle ones. http.DefaultTransport keeps only two per host.
func TestLoad(t *testing.T) {
	const logins, connectionsAtATime = 2000, 64
	goroutines := runtime.NumGoroutine()
	gumroad := &loadGumroad{grants: map[string]loadGrant{}, tokens: map[string]string{}, requests: map[string]int{}}
	server := httptest.NewUnstartedServer(gumroad)
	var connections atomic.Int32
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	transport := &http.Transport{MaxIdleConnsPerHost: connectionsAtATime, MaxConnsPerHost: connectionsAtATime}
	client := &http.Client{Transport: transport}
	// The application has two replicas. A login can begin at one and end at the other.
	began, ended := faultReal.provider(server.URL, client), faultReal.provider(server.URL, client)

	// login does what gothic does, but without cookies. Encoding those would take most
	// of the time.
	login := func(id string) error {
		session, err := began.BeginAuth("state-" + id)
		if err != nil {
			return err
		}
		authURL, err := session.GetAuthURL()
		if err != nil {
			return err
		}
		query, err := gumroad.authorize(authURL, id)
		if err != nil {
			return err
		}
		if session, err = ended.UnmarshalSession(session.Marshal()); err != nil {
			return err
		}
		if _, err = ended.FetchUser(session); err == nil {
			return fmt.Errorf("login %s has a user before the exchange", id)
		}
		if _, err = session.Authorize(ended, query); err != nil {
			return err
		}
		user, err := ended.FetchUser(session)
		if err != nil {
			return err
		}
		if user.UserID != id || user.Name != "User "+id || user.AccessToken != "access-"+id || user.RefreshToken != "refresh-"+id {
			return fmt.Errorf("login %s ended with %s", id, user.UserID)
		}
		return nil
	}

	var work sync.WaitGroup
	start, failures := make(chan struct{}), make(chan error, logins)
	for i := range logins {
		work.Add(1)
		go func() {
			defer work.Done()
			<-start
			if err := login(strconv.FormatInt(1000000000000+int64(i), 10)); err != nil {
				failures <- err
			}
		}()
	}
	close(start)
	work.Wait()
	close(failures)
	for err := range failures {
		assert.NoError(t, err)
	}

	require.Len(t, gumroad.requests, logins)
	for user, requests := range gumroad.requests {
		assert.Equal(t, 2, requests, "requests for user %s", user)
	}
	assert.Zero(t, gumroad.stray)
	// On a busy machine net/http closes some connections, so a few more are allowed.
	// Without reuse there would be one connection per request.
	assert.LessOrEqual(t, int(connections.Load()), 4*connectionsAtATime, "connections for %d requests", 2*logins)
	transport.CloseIdleConnections()
	server.Close()
	faultNothingRuns(t, goroutines)
}
