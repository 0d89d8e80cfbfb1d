package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/gumroad/goth-gumroad/gumroadtest"
	"github.com/stretchr/testify/require"
)

const productsPath = "/v2/products"

func TestProducts(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	require.Equal(t, http.StatusUnauthorized, ann.get("/products").StatusCode)
	require.Contains(t, ann.logIn().body, `href="/products"`)
	page, next, all := ann.get("/products"), "", 0
	for range 3 {
		require.Equal(t, http.StatusOK, page.StatusCode)
		all += strings.Count(page.body, "Knot of the day")
		_, after, more := strings.Cut(page.body, `href="/products?page_key=`)
		if !more {
			break
		}
		next, _, _ = strings.Cut(after, `"`)
		page = ann.get("/products?page_key=" + next)
	}
	require.Equal(t, 23, all)
	require.Contains(t, page.body, `href="https://sailorjohn.gumroad.com/l/knot23"`)
	require.Contains(t, page.body, "not published")
	require.Contains(t, page.body, `href="/profile"`)

	s.gumroad.Fail(productsPath, gumroadtest.Fault{Status: http.StatusServiceUnavailable})
	require.Equal(t, http.StatusBadGateway, ann.get("/products?page_key="+next).StatusCode)
	for _, key := range []string{"x", "-10", "23", "%00"} {
		require.Equal(t, http.StatusNotFound, ann.get("/products?page_key="+key).StatusCode, key)
	}
}

// A key that is too long for Gumroad, or for what stands before it, is no page.
func TestProductsWithLongKey(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	for _, status := range []int{0, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge} {
		if status != 0 {
			s.gumroad.Fail(productsPath, gumroadtest.Fault{Status: status})
		}
		page := ann.get("/products?page_key=" + strings.Repeat("x", 9000))
		require.Equal(t, http.StatusNotFound, page.StatusCode)
		require.Contains(t, page.body, "This page does not exist")
	}
}

func TestProductsOfGumroad(t *testing.T) {
	for name, test := range map[string]struct {
		body     string
		has, not []string
	}{
		"none":           {`{"success":true,"products":[]}`, []string{"You have no products."}, []string{"More products"}},
		"markup":         {`{"success":true,"products":[{"name":"<b>Knots","formatted_price":"<i>"}]}`, []string{"&lt;b&gt;Knots", "&lt;i&gt;"}, nil},
		"another's page": {`{"success":true,"products":[{"name":"Knots","short_url":"https://evil.example/l/x"}]}`, []string{"Knots"}, []string{"evil.example"}},
		"script":         {`{"success":true,"products":[{"name":"Knots","short_url":"javascript:alert(1)"}]}`, []string{"Knots"}, []string{"javascript"}},
		"no name":        {`{"success":true,"products":[{"name":" ","short_url":"https://ann.gumroad.com/l/x"}]}`, []string{"<bdi>Product without a name</bdi></a>"}, nil},
		"an odd key":     {`{"success":true,"products":[{"name":"Knots","published":true}],"next_page_key":"a&b=\"c"}`, []string{`page_key=a%26b%3d%22c"`}, []string{"not published"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			ann := s.visitor()
			ann.logIn()
			s.gumroad.Fail(productsPath, gumroadtest.Fault{Body: test.body})
			page := ann.get("/products")
			require.Equal(t, http.StatusOK, page.StatusCode)
			for _, text := range test.has {
				require.Contains(t, page.body, text)
			}
			for _, text := range test.not {
				require.NotContains(t, page.body, text)
			}
		})
	}
}

func TestProductsFail(t *testing.T) {
	bearer := http.Header{"Www-Authenticate": {`Bearer realm="Doorkeeper", error="invalid_token"`}}
	for name, test := range map[string]struct {
		fault     gumroadtest.Fault
		status    int
		loggedOut bool
	}{
		"revoked":                 {gumroadtest.Fault{Status: 401, Header: bearer}, 401, true},
		"revoked, with a page":    {gumroadtest.Fault{Status: 401, Header: bearer, Body: "no"}, 401, true},
		"revoked, without a word": {gumroadtest.Fault{Status: 401}, 401, true},
		"a proxy's 401":           {gumroadtest.Fault{Status: 401, Body: "<html>log in to the proxy</html>"}, 500, false},
		"no scope":                {gumroadtest.Fault{Status: 403}, 500, false},
		"a proxy's 403":           {gumroadtest.Fault{Status: 403, Body: "<html>blocked</html>"}, 500, false},
		"down":                    {gumroadtest.Fault{Status: 503, Body: "<html>"}, 502, false},
		"busy":                    {gumroadtest.Fault{Status: 429, Body: "Retry later"}, 502, false},
		"bad request":             {gumroadtest.Fault{Status: 400, Body: `{"status":400}`}, 500, false},
		"no success":              {gumroadtest.Fault{Body: `{"success":false,"message":"no"}`}, 502, false},
		"nonsense":                {gumroadtest.Fault{Body: `[]`}, 502, false},
		"cut off":                 {gumroadtest.Fault{Body: `{"success":true`, Cut: true}, 502, false},
		"endless":                 {gumroadtest.Fault{Body: `{"success":true,"products":[]}` + strings.Repeat(" ", maxProductPage)}, 502, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			ann := s.visitor()
			ann.logIn()
			s.gumroad.Fail(productsPath, test.fault)
			page := ann.get("/products")
			require.Equal(t, test.status, page.StatusCode, page.body)
			require.Equal(t, test.loggedOut, ann.session() == "")
			require.Equal(t, test.loggedOut, s.log.String() == "", "what the user cannot mend is logged")
		})
	}
}

func TestProductsOfNowhere(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	s.provider.ProfileURL = "http://[::1/v2/user"
	require.Equal(t, http.StatusInternalServerError, ann.get("/products").StatusCode)
	require.Contains(t, s.log.String(), "parse")
}

func TestProductsWithRevokedToken(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	require.NoError(t, s.provider.RevokeToken(context.Background(), s.accessToken()))
	page := ann.get("/products")
	require.Equal(t, http.StatusUnauthorized, page.StatusCode)
	require.Contains(t, page.body, "Gumroad no longer accepts this login")
	require.Equal(t, http.StatusUnauthorized, ann.get("/profile").StatusCode)
}

// A refresh may replace the token during the request for the products.
func TestProductsWhileRefreshed(t *testing.T) {
	s := newTestSite(t)
	ann := s.visitor()
	ann.logIn()
	listed := make(chan answer, 1)
	release := s.wire.Hang(productsPath, func() { listed <- ann.get("/products") })
	require.Equal(t, http.StatusOK, ann.post("/token/refresh").StatusCode)
	release()
	page := <-listed
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, page.body, "Knot of the day", "it was asked again with the new token")
}
