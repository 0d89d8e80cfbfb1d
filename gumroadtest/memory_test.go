package gumroadtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMemory(t *testing.T) {
	m := newMemory[int](2)
	assert.Empty(t, m.put("a", 1))
	assert.Empty(t, m.put("b", 2))
	assert.Empty(t, m.put("a", 3), "a is the newest now")
	assert.Equal(t, []int{2}, m.put("c", 4))
	assert.Equal(t, []int{3, 0, 4}, []int{m.get("a"), m.get("b"), m.get("c")})
	m.remove("a")
	m.remove("nobody")
	assert.Empty(t, m.put("d", 5))
	assert.Equal(t, []int{0, 4, 5}, []int{m.get("a"), m.get("c"), m.get("d")})
	assert.Len(t, m.entries, 2)
}

// After very many logins, the server knows only the last ones.
func TestServerForgets(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	first := loggedIn(t, s, p)
	waiting, params := authorized(t, s, p)
	other := s.issue("another user", []string{"view_sales"})
	scopes := []string{"view_profile"}
	for range 10_000 - 2 {
		s.issue(s.user, scopes)
	}
	_, err := p.FetchUser(first)
	require.NoError(t, err, "10,000 pairs")
	s.issue(s.user, scopes)
	_, err = p.FetchUser(first)
	require.ErrorContains(t, err, "401")
	_, err = p.RefreshToken(first.RefreshToken)
	require.ErrorContains(t, err, "invalid_grant")
	assert.Equal(t, 2*10_000, s.tokens.order.Len())
	assert.Equal(t, map[consent]int{{s.user, "view_profile"}: 10_000 - 1, {"another user", "view_sales"}: 1}, s.consents)
	s.issue(s.user, scopes)
	assert.Nil(t, s.accessToken(other.access))
	assert.Equal(t, map[consent]int{{s.user, "view_profile"}: 10_000}, s.consents, "no consent without a token")

	form := url.Values{"redirect_uri": {callbackURL}, "scope": {"view_profile"}}
	for range 10_000 - 1 {
		s.approve(form)
	}
	_, err = waiting.Authorize(p, params)
	require.NoError(t, err, "10,000 codes")
	waiting, params = authorized(t, s, p)
	for range 10_000 {
		s.approve(form)
	}
	_, err = waiting.Authorize(p, params)
	assert.ErrorContains(t, err, "invalid_grant")
	assert.Equal(t, 10_000, s.grants.order.Len())
}

func TestServerForgetsUsers(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	john := loggedIn(t, s, p)
	for i := range 10_000 - 1 {
		s.SetUser(User{ID: fmt.Sprint(i)})
	}
	_, err := p.FetchUser(john)
	require.NoError(t, err)
	s.SetUser(User{ID: "one more"})
	_, err = p.FetchUser(john)
	assert.ErrorContains(t, err, "The user was not found.")
	_, body := call(t, http.MethodGet, s.URL+UserPath, john.AccessToken)
	assert.JSONEq(t, `{"success":false,"message":"The user was not found."}`, body)
	s.Handle("GET /products", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, found := TokenUser(r)
		assert.False(t, found)
	}), "view_profile")
	resp, _ := call(t, http.MethodGet, s.URL+"/v2/products", john.AccessToken)
	assert.Equal(t, 200, resp.StatusCode)
}

// The cost of the authorization page does not depend on the number of logins.
func BenchmarkAuthorizationPage(b *testing.B) {
	for _, logins := range []int{1, 10_000, 50_000} {
		b.Run(fmt.Sprintf("logins=%d", logins), func(b *testing.B) {
			s := NewServer()
			defer s.Close()
			s.Provider(callbackURL)
			for i := range logins {
				s.issue(fmt.Sprint(i), []string{"view_sales"})
			}
			request := httptest.NewRequest(http.MethodGet, AuthorizePath+"?"+url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_profile"}}.Encode(), strings.NewReader(""))
			for b.Loop() {
				s.ServeHTTP(httptest.NewRecorder(), request)
			}
		})
	}
}
