package gumroad_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/markbates/goth"
	"github.com/markbates/goth/providers/gitea"
	"github.com/markbates/goth/providers/github"
	"github.com/markbates/goth/providers/gitlab"
	"github.com/markbates/goth/providers/patreon"
	"github.com/markbates/goth/providers/spotify"
	"github.com/stretchr/testify/require"
)

// The benchmarks do not use the network. Every answer is in memory. They measure
// what the application itself spends on a login.

const (
	benchID       = "6754923450134"
	benchKey      = "nG5mNg_JtEg-mJ730enJncSohGw5qr3YhTmSIn2Oi48"
	benchSecret   = "gLooiF6oOKa3dUW3AvLRvzyVM0xnzsLai0eFibygIsc"
	benchCallback = "https://example.com/auth/callback"
	benchCode     = "uE-mn4-Hc3LKbEmbfI_ZPV35Yk6XxhrnaxudC7ghWyA"
	benchState    = "st4te-st4te-st4te-st4te-st4te-st4te-st4te-st"
	benchVerifier = "CF4rySEMJ3rlHWEjl8BbrK5JcuZs4XXl4uwXSg1OUOf"
	benchScope    = "view_profile"

	// Every provider gets this answer for a token.
	benchToken = `{"access_token":"xXMidjcFwgbVbC7jQJkiaIYesKLlXMz30OQmExNqWbU","token_type":"Bearer",` +
		`"refresh_token":"-UKxkze7jlC2xwiM-N1cl8cV95LZogWyv7g_qjM_1vg","scope":"view_profile","created_at":1795502974}`
)

// loginRivals lists the providers that BenchmarkLogin compares, each with the
// answer to its FetchUser. benchAnswer replaces %s, so that all answers have the
// same length. Each answer holds an id, eight strings, a list of two, a boolean
// and a null. The strings include those that the provider reads.
var loginRivals = []struct {
	name     string
	provider goth.Provider
	user     string
}{
	{"gumroad", gumroad.New(benchKey, benchSecret, benchCallback, benchScope), `{"success":true,"user":{"name":"Sailor John","bio":"%s","twitter_handle":null,` +
		`"currency_type":"usd","id":"` + benchID + `","user_id":"G_-mnBf9b1j9A7a4ub4nFQ==",` +
		`"url":"https://sailorjohn.gumroad.com","links":["knots","ropes"],` +
		`"profile_url":"https://example.com/avatar-john.png","email":"john@example.com","display_name":"Sailor John"}}`},
	// The answer has an email, because without one github makes a third request.
	{"github", github.New(benchKey, benchSecret, benchCallback, benchScope), `{"login":"sailorjohn","id":` + benchID + `,"node_id":"G_-mnBf9b1j9A7a4ub4nFQ==",` +
		`"avatar_url":"https://example.com/avatar-john.png","url":"https://example.com/sailorjohn","site_admin":true,` +
		`"name":"Sailor John","company":null,"email":"john@example.com","bio":"%s",` +
		`"type":"User","plan":["knots","ropes"]}`},
	{"gitea", gitea.New(benchKey, benchSecret, benchCallback, benchScope), `{"id":` + benchID + `,"login":"sailorjohn","login_name":"G_-mnBf9b1j9A7a4ub4nFQ==",` +
		`"full_name":"Sailor John","email":"john@example.com","avatar_url":"https://example.com/avatar-john.png",` +
		`"html_url":"https://example.com/sailorjohn","is_admin":true,"location":null,` +
		`"visibility":"public","description":"%s","roles":["knots","ropes"]}`},
	{"gitlab", gitlab.New(benchKey, benchSecret, benchCallback, benchScope), `{"id":` + benchID + `,"username":"sailorjohn","name":"Sailor John","state":"active","locked":true,` +
		`"avatar_url":"https://example.com/avatar-john.png","web_url":"https://example.com/sailorjohn",` +
		`"email":"john@example.com","commit_email":"G_-mnBf9b1j9A7a4ub4nFQ==","linkedin":null,` +
		`"bio":"%s","identities":["knots","ropes"]}`},
	{"patreon", patreon.New(benchKey, benchSecret, benchCallback, benchScope), `{"data":{"id":"` + benchID + `","type":"user","attributes":{"created":"2026-01-02T03:04:05.000+00:00",` +
		`"email":"john@example.com","full_name":"Sailor John","image_url":"https://example.com/avatar-john.png",` +
		`"vanity":"sailorjohn","url":"https://example.com/sailorjohn","about":"%s","is_creator":true,"first_name":null,"social":["knots","ropes"]}}}`},
	{"spotify", spotify.New(benchKey, benchSecret, benchCallback, benchScope), `{"display_name":"Sailor John","email":"john@example.com","id":"` + benchID + `","country":"DE",` +
		`"images":[{"url":"https://example.com/avatar-john.png","height":300}],"birthdate":"1990-01-02",` +
		`"href":"https://example.com/sailorjohn","product":"usd","explicit":true,"followers":null,` +
		`"type":"%s","uri":"G_-mnBf9b1j9A7a4ub4nFQ=="}`},
}

// using makes p use client. Every provider of goth has the field HTTPClient.
func using(client *http.Client, p goth.Provider) goth.Provider {
	reflect.ValueOf(p).Elem().FieldByName("HTTPClient").Set(reflect.ValueOf(client))
	return p
}

func benchGumroad(client *http.Client) goth.Provider { return using(client, loginRivals[0].provider) }

// benchAnswer pads an answer to 450 bytes.
func benchAnswer(template string) string {
	const size = 450
	return fmt.Sprintf(template, strings.Repeat("~", size+len("%s")-len(template)))
}

// inMemory answers every POST with token and every GET with user.
type inMemory struct {
	token, user string
	requests    int
}

var benchHeader = http.Header{"Content-Type": {"application/json; charset=utf-8"}}

func (m *inMemory) RoundTrip(req *http.Request) (*http.Response, error) {
	m.requests++
	answer := m.user
	if req.Method == http.MethodPost {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = req.Body.Close()
		answer = m.token
	}
	return &http.Response{
		StatusCode:    http.StatusOK,
		Header:        benchHeader,
		Body:          io.NopCloser(strings.NewReader(answer)),
		ContentLength: -1,
		Request:       req,
	}, nil
}

func benchLogin(p goth.Provider, callback url.Values) (goth.User, error) {
	session, err := p.BeginAuth(benchState)
	if err != nil {
		return goth.User{}, err
	}
	if session, err = p.UnmarshalSession(session.Marshal()); err != nil {
		return goth.User{}, err
	}
	if _, err = session.Authorize(p, callback); err != nil {
		return goth.User{}, err
	}
	_ = session.Marshal()
	return p.FetchUser(session)
}

// BenchmarkLogin measures one whole login. "floor" only makes the same two
// requests with net/http and encoding/json.
func BenchmarkLogin(b *testing.B) {
	callback := url.Values{"code": {benchCode}, "state": {benchState}}
	for _, rival := range loginRivals {
		answers := &inMemory{token: benchToken, user: benchAnswer(rival.user)}
		p := using(&http.Client{Transport: answers}, rival.provider)
		benchRival(b, rival.name, answers, func() (string, error) {
			user, err := benchLogin(p, callback)
			return user.UserID, err
		})
	}
	answers := &inMemory{token: benchToken, user: benchAnswer(loginRivals[0].user)}
	client := &http.Client{Transport: answers}
	benchRival(b, "floor", answers, func() (string, error) {
		var answer struct {
			User struct {
				ID         string `json:"id"`
				Name       string `json:"name"`
				Email      string `json:"email"`
				Bio        string `json:"bio"`
				URL        string `json:"url"`
				PictureURL string `json:"profile_url"`
			} `json:"user"`
		}
		err := floorLogin(client, &answer)
		return answer.User.ID, err
	})
}

func benchRival(b *testing.B, name string, answers *inMemory, login func() (id string, err error)) {
	b.Run("by="+name, func(b *testing.B) {
		// Some providers let x/oauth2 detect how to send the secret. The first login
		// does that, and is not measured.
		id, err := login()
		require.NoError(b, err)
		require.Equal(b, benchID, id)
		answers.requests = 0
		b.ReportAllocs()
		for b.Loop() {
			if _, err := login(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(answers.requests)/float64(b.N), "requests/op")
	})
}

// floorExchange returns the access token.
func floorExchange(client *http.Client) (string, error) {
	resp, err := client.PostForm("https://api.gumroad.com/oauth/token", url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {benchCode},
		"redirect_uri":  {benchCallback},
		"client_id":     {benchKey},
		"client_secret": {benchSecret},
		"code_verifier": {benchVerifier},
	})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var token struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	err = json.NewDecoder(resp.Body).Decode(&token)
	return token.AccessToken, err
}

// floorLogin logs in and decodes the user into answer.
func floorLogin(client *http.Client, answer any) error {
	token, err := floorExchange(client)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodGet, "https://api.gumroad.com/v2/user", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(answer)
}

func BenchmarkBeginAuth(b *testing.B) {
	p := benchGumroad(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.BeginAuth(benchState); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshalSession(b *testing.B) {
	p := benchGumroad(nil)
	session, err := p.BeginAuth(benchState)
	require.NoError(b, err)
	stored := session.Marshal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.UnmarshalSession(stored); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFetchUser(b *testing.B) {
	benchFetchUser(b, benchAnswer(loginRivals[0].user))
}

// BenchmarkFetchUserProducts measures FetchUser for sellers with few and with many
// products. Gumroad lists all of them in one answer. If time and memory grow
// linearly with the answer, then MB/s and memory per byte stay the same.
func BenchmarkFetchUserProducts(b *testing.B) {
	for _, products := range []int{10, 1_000, 50_000} {
		b.Run(fmt.Sprintf("products=%d", products), func(b *testing.B) {
			links := make([]string, products)
			for i := range links {
				links[i] = fmt.Sprintf("product-with-a-name-%07d", i)
			}
			answer := fmt.Sprintf(`{"success":true,"user":{"id":%q,"links":["%s"]}}`, benchID, strings.Join(links, `","`))
			benchFetchUser(b, answer)
			b.SetBytes(int64(len(answer)))
		})
	}
}

func benchFetchUser(b *testing.B, answer string) {
	p := benchGumroad(&http.Client{Transport: &inMemory{user: answer}})
	session := &gumroad.Session{AccessToken: benchSecret}
	user, err := p.FetchUser(session)
	require.NoError(b, err)
	require.Equal(b, benchID, user.UserID)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.FetchUser(session); err != nil {
			b.Fatal(err)
		}
	}
}
