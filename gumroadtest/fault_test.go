package gumroadtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	gumroad "github.com/gumroad/goth-gumroad"
)

func TestFaults(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	session := loggedIn(t, s, p)
	before := len(s.Requests())
	s.Fail(UserPath,
		Fault{Status: 429, Body: "slow down"},
		Fault{Body: `{"success":false,"message":"Not today."}`},
		Fault{Cut: true},
		Fault{Body: `{"success":true,`, Cut: true},
		Fault{Delay: time.Nanosecond},
	)
	var refused *gumroad.Error
	_, err := p.FetchUser(session)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 429, refused.StatusCode)
	_, err = p.FetchUser(session)
	require.ErrorContains(t, err, "Not today.")
	_, err = p.FetchUser(session)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = p.FetchUser(session)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	for range 2 {
		_, err = p.FetchUser(session)
		require.NoError(t, err, "the faults are over")
	}
	assert.Len(t, s.Requests(), before+6)

	s.Fail(TokenPath, Fault{Status: 400, Body: `{"error":"invalid_grant"}`})
	s.Fail(TokenPath, Fault{Status: 400, Body: `{"error":"invalid_client"}`, Header: http.Header{"Content-Type": {"text/plain"}}})
	for _, code := range []string{"invalid_grant", "invalid_client"} {
		_, err = p.RefreshToken(session.RefreshToken)
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, code, refused.Code)
	}
}

// answered is what a client saw of an answer.
type answered struct {
	status      int
	contentType string
	body        string
	cut         bool // the answer ended too early
}

func get(t *testing.T, address string) answered {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		return answered{cut: true}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header.Get("Content-Type"), string(body), err != nil}
}

func TestFaultAnswers(t *testing.T) {
	s := NewServer()
	defer s.Close()
	const json, text = "application/json; charset=utf-8", "text/plain; charset=utf-8"
	for name, test := range map[string]struct {
		fault Fault
		want  answered
	}{
		"status":                   {Fault{Status: 503}, answered{503, "", "", false}},
		"lowest status":            {Fault{Status: 200}, answered{200, "", "", false}},
		"highest status":           {Fault{Status: 999}, answered{999, "", "", false}},
		"body":                     {Fault{Body: "down"}, answered{200, text, "down", false}},
		"JSON":                     {Fault{Status: 400, Body: ` {"a":1}`}, answered{400, json, ` {"a":1}`, false}},
		"JSON that is said not to": {Fault{Body: `{"a":1}`, Header: http.Header{"content-type": {"text/html"}}}, answered{200, "text/html", `{"a":1}`, false}},
		"status, cut":              {Fault{Status: 502, Cut: true}, answered{502, "", "", true}},
		"status and body, cut":     {Fault{Status: 502, Body: "down", Cut: true}, answered{502, text, "down", true}},
		"body, cut":                {Fault{Body: "{", Cut: true}, answered{200, json, "{", true}},
		"cut":                      {Fault{Cut: true}, answered{cut: true}},
		"cut, with a header":       {Fault{Cut: true, Header: http.Header{"Retry-After": {"7"}}}, answered{cut: true}},
		"cut, after the work":      {Fault{Cut: true, After: true}, answered{cut: true}},
		"cut late":                 {Fault{Cut: true, Delay: 1, After: true}, answered{cut: true}},
		"lost":                     {Fault{After: true}, answered{cut: true}},
		"replaced":                 {Fault{After: true, Status: 504, Body: "late"}, answered{504, text, "late", false}},
	} {
		t.Run(name, func(t *testing.T) {
			s.Fail(UserPath, test.fault)
			assert.Equal(t, test.want, get(t, s.URL+UserPath))
			assert.Equal(t, 401, get(t, s.URL+UserPath).status, "the fault is over")
		})
	}
}

// A Fault that replaces nothing delivers the right answer, with its header.
func TestFaultHeader(t *testing.T) {
	s := NewServer()
	defer s.Close()
	var handled int
	s.Handle("GET /products", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		handled++
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Vary", "Accept")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "the products")
	}), NoToken)
	header := http.Header{"Set-Cookie": {"a=1", "b=2"}, "cache-control": {"private"}}
	for name, test := range map[string]struct {
		fault   Fault
		status  int
		body    string
		handled int
		vary    string
	}{
		"only a header":            {Fault{Header: header}, 202, "the products", 1, "Accept"},
		"after the work":           {Fault{Header: header, After: true}, 202, "the products", 1, "Accept"},
		"late":                     {Fault{Header: header, Delay: 1}, 202, "the products", 1, "Accept"},
		"late, after the work":     {Fault{Header: header, Delay: 1, After: true}, 202, "the products", 1, "Accept"},
		"with a status":            {Fault{Header: header, Status: 429}, 429, "", 0, ""},
		"with a status, afterward": {Fault{Header: header, Status: 429, After: true}, 429, "", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			handled = 0
			s.Fail("/v2/products", test.fault)
			header.Set("Set-Cookie", "changed later")
			defer func() { header["Set-Cookie"] = []string{"a=1", "b=2"} }()
			resp, err := http.Get(s.URL + "/v2/products")
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, test.status, resp.StatusCode)
			assert.Equal(t, test.body, string(body))
			assert.Equal(t, test.handled, handled)
			assert.Equal(t, []string{"a=1", "b=2"}, resp.Header["Set-Cookie"])
			assert.Equal(t, []string{"private"}, resp.Header["Cache-Control"])
			assert.Equal(t, test.vary, resp.Header.Get("Vary"))
		})
	}
	s.Fail("/v2/products", Fault{Delay: 1, After: true})
	assert.Equal(t, "the products", get(t, s.URL+"/v2/products").body)
}

// The answer to a refresh is lost. The refresh token is used up all the same.
func TestAfter(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	for name, test := range map[string]struct {
		fault Fault
		used  bool
	}{
		"cut after the work":      {Fault{Cut: true, After: true}, true},
		"replaced after the work": {Fault{Status: 502, After: true}, true},
		"cut":                     {Fault{Cut: true}, false},
		"replaced":                {Fault{Status: 502}, false},
	} {
		t.Run(name, func(t *testing.T) {
			session := loggedIn(t, s, p)
			s.Fail(TokenPath, test.fault)
			_, err := p.RefreshToken(session.RefreshToken)
			require.Error(t, err)
			_, err = p.FetchUser(session)
			assert.Equal(t, test.used, err != nil, "the old access token")
			_, err = p.RefreshToken(session.RefreshToken)
			if test.used {
				assert.ErrorContains(t, err, "invalid_grant")
			} else {
				assert.NoError(t, err)
			}
		})
	}
}

// A client that gives up does so before or after the endpoint has worked.
func TestDelayEndsWithTheClient(t *testing.T) {
	s := NewServer()
	defer s.Close()
	for _, after := range []bool{false, true} {
		p := s.Provider(callbackURL)
		session := loggedIn(t, s, p)
		s.Fail(TokenPath, Fault{Delay: time.Hour, After: after})
		p.HTTPClient = &http.Client{Timeout: 50 * time.Millisecond}
		_, err := p.RefreshToken(session.RefreshToken)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		p.HTTPClient = nil
		if after {
			require.Eventually(t, func() bool {
				_, err = p.FetchUser(session)
				return err != nil
			}, 5*time.Second, time.Millisecond, "the refresh revokes the token")
		} else {
			_, err = p.FetchUser(session)
			assert.NoError(t, err)
		}
	}
}

func TestDelayEndsWithTheServer(t *testing.T) {
	s := NewServer()
	p := s.Provider(callbackURL)
	session := loggedIn(t, s, p)
	s.Fail(UserPath, Fault{Delay: time.Hour})
	failed := make(chan error, 1)
	go func() {
		_, err := p.FetchUser(session)
		failed <- err
	}()
	require.Eventually(t, func() bool { return len(s.Requests()) == 2 }, 5*time.Second, time.Millisecond)
	s.Close()
	assert.Error(t, <-failed)
	s.Close() // as a deferred one would
}

func TestDelayIsWaitedFor(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Fail(TokenPath, Fault{Delay: 20 * time.Millisecond, Status: 503})
	began := time.Now()
	_, err := http.Post(s.URL+TokenPath, "", nil)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(began), 20*time.Millisecond)
}

func TestFailPaths(t *testing.T) {
	s := NewServer()
	defer s.Close()
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	s.Handle("POST /licenses/verify", nothing, NoToken)
	s.Handle("GET /products/{id}", nothing, NoToken)
	s.Handle("/files/", nothing, NoToken)
	for _, path := range []string{
		AuthorizePath, TokenPath, RevokePath, UserPath, "/api/v2/user",
		"/v2/licenses/verify", "/api/v2/licenses/verify", "/v2/products/42", "/v2/files/a/b",
	} {
		assert.NotPanics(t, func() { s.Fail(path, Fault{Status: 503}) }, path)
	}
	for _, path := range []string{
		"", "/", "v2/user", "/user", "/v2/sales", "/v2/products", "/v2/products/1/2", "/v2/products/{id}", "/v2/user?a=1", "/oauth", TokenPath + "/", TokenPath + "/info", s.URL + TokenPath,
	} {
		assert.PanicsWithValue(t, `gumroadtest: Fail: the server has no endpoint at "`+path+`". Call Handle for it first. Paths of the API begin with /v2, and have values in place of {…}.`,
			func() { s.Fail(path, Fault{Status: 503}) }, path)
	}
	assert.Equal(t, 503, get(t, s.URL+"/api/v2/user").status)
	assert.Equal(t, 503, get(t, s.URL+"/v2/user").status)
	assert.Equal(t, 401, get(t, s.URL+"/v2/user").status)
	assert.Equal(t, 200, get(t, s.URL+"/v2/files/a").status)
	assert.Equal(t, 503, get(t, s.URL+"/v2/files/a/b").status)
	assert.Equal(t, 200, get(t, s.URL+"/v2/products/41").status)
	assert.Equal(t, 503, get(t, s.URL+"/api/v2/products/42").status)
	assert.Equal(t, 200, get(t, s.URL+"/v2/products/42").status)
}

func TestFailSaysWhatIsWrongWithAFault(t *testing.T) {
	s := NewServer()
	defer s.Close()
	for _, status := range []int{-1, 1, 199, 1000} {
		assert.PanicsWithValue(t, fmt.Sprintf("gumroadtest: Fail: a Fault has the status %d, want 200 to 999", status), func() { s.Fail(TokenPath, Fault{Status: status, Cut: true}) })
	}
	for _, empty := range []Fault{{}, {Delay: -1}, {Header: http.Header{}}} {
		assert.PanicsWithValue(t, "gumroadtest: Fail: a Fault is empty", func() { s.Fail(TokenPath, empty) })
	}
	assert.Empty(t, s.UnusedFaults())
}

func TestUnusedFaults(t *testing.T) {
	s := NewServer()
	defer s.Close()
	assert.Empty(t, s.UnusedFaults())
	s.Fail("/api/v2/user", Fault{Status: 503}, Fault{Status: 429})
	s.Fail(TokenPath, Fault{Cut: true})
	get(t, s.URL+UserPath)
	assert.Equal(t, map[string][]Fault{UserPath: {{Status: 429}}, TokenPath: {{Cut: true}}}, s.UnusedFaults())
	get(t, s.URL+UserPath)
	get(t, s.URL+TokenPath)
	assert.Empty(t, s.UnusedFaults())
}

// A handler's own test may call it without a network, and by the older path.
func TestServeHTTPWithoutBody(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Fail("/api/v2/user", Fault{Status: 503})
	for _, status := range []int{503, 401} {
		request, err := http.NewRequest(http.MethodGet, "/api/v2/user", nil)
		require.NoError(t, err)
		answer := httptest.NewRecorder()
		s.ServeHTTP(answer, request)
		assert.Equal(t, status, answer.Code)
	}
	s.Fail(UserPath, Fault{Cut: true}, Fault{After: true})
	for range 2 {
		assert.PanicsWithValue(t, http.ErrAbortHandler, func() {
			s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, UserPath, nil))
		})
	}
}

func TestFaultsMeetFormsToo(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Fail(AuthorizePath, Fault{Status: 500})
	resp, err := http.Post(s.URL+AuthorizePath, "application/x-www-form-urlencoded", strings.NewReader(url.Values{"_method": {"delete"}}.Encode()))
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 500, resp.StatusCode)
}
