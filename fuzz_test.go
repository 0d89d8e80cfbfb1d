package gumroad_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/markbates/goth"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/gumroad/goth-gumroad"
)

// fuzzed returns a provider whose requests get this response. ECHO in it stands for
// all that is confidential in the request, and for an unknown token. The status 0 is
// a transport's error with the header as its text.
func fuzzed(status int, header, body string) (p *gumroad.Provider, requests *[]*http.Request) {
	requests = new([]*http.Request)
	return over(func(r *http.Request) (*http.Response, error) {
		*requests = append(*requests, r)
		header, body := strings.ReplaceAll(header, "ECHO", echo(r)), strings.ReplaceAll(body, "ECHO", echo(r))
		if status == 0 {
			return nil, errors.New(header)
		}
		return response(status, http.Header{"Www-Authenticate": {header}, "Location": {header}, "Retry-After": {header}}, strings.NewReader(body)), nil
	}), requests
}

// requireReadable fails the test unless an application can log err, and all that
// can be found in it.
func requireReadable(t *testing.T, doing string, err error) {
	t.Helper()
	assertReadable(t, doing, err)
	var refused *gumroad.Error
	if errors.As(err, &refused) {
		require.Regexp(t, `^[a-z_]{0,40}$`, refused.Code)
		require.LessOrEqual(t, utf8.RuneCountInString(refused.Description), 241)
	}
	var retrieve *oauth2.RetrieveError
	if errors.As(err, &retrieve) {
		all := retrieve.Error() + retrieve.Response.Status + retrieve.Response.Header.Get("Retry-After")
		for _, confidential := range []string{secret, url.QueryEscape(code), verifier, refreshToken, unknownToken} {
			require.NotContains(t, all, confidential)
		}
	}
	require.False(t, t.Failed())
}

var isPrintable = regexp.MustCompile(`^[!-~]+$`).MatchString

// FetchUser returns a user if, and only if, the status is 200, success is true, there
// is no error, and the id can be read.
func FuzzUserAnswer(f *testing.F) {
	for _, body := range []string{
		`{"success":true,"user":{"name":"John Smith","bio":"a sailor, a tailor","twitter_handle":null,"currency_type":"usd","id":"6754923450134","user_id":"G_-mnBf9b1j9A7a4ub4nFQ==","url":"https://sailorjohn.gumroad.com","links":["boo"],"profile_url":"https://public-files.gumroad.com/abc","email":"john@example.com","display_name":"John Smith"}}`,
		`{"success":true,"user":{"user_id":"G_-mnBf9b1j9A7a4ub4nFQ==","url":"https://gumroad.com/6754923450134"}}`,
		`{"success":true,"user":{"id":12345678901234567890}}`, `{"success":true,"user":{"id":"!a~"}}`, `{"success":true,"user":{"id":1e3,"user_id":""}}`,
		`{"success":true,"user":{"id":"1","url":"https://www.gumroad.com/john"}}`, `{"success":true,"user":{"id":"1","price":1e999}}`,
		`{"success":true,"user":{"id":null,"name":{},"email":[],"url":1,"bio":true}}`, `{"user":{"id":7},"User":null,"success":true}`, `{"success":true,"USER":{"id":8}}`,
		`{"success":true,"success":false,"user":{"id":"1"},"user":null}`, `{"success":true,"user":{"id":"1"},"error":"x"}`,
		`{"success":false,"message":"The user was not found: ECHO"}`, `{"error":"ECHO","error_description":"ECHO"}`,
		`{"success":true,"user":{"id":"1"}} {}`, `[{}]`, `null`, ``, "\x00", "\xff", "\ufeff{}", " \r\n",
	} {
		f.Add(200, "", body)
	}
	f.Add(401, `Bearer realm="Doorkeeper", error="invalid_token", error_description="The access token is invalid"`, "")
	f.Add(401, "", "")
	f.Add(403, "", `{"success":false,"message":"This endpoint requires the view_profile scope."}`)
	f.Add(403, `Basic realm="ECHO", error="x-error=`, "ECHO")
	f.Add(302, "https://elsewhere.example/?ECHO", "")
	f.Add(0, `malformed HTTP response "HTTP/9 ECHO"`, "")
	f.Fuzz(func(t *testing.T, status int, header, body string) {
		p, _ := fuzzed(status, header, body)
		session := &gumroad.Session{AccessToken: accessToken, RefreshToken: refreshToken}
		user, err := p.FetchUser(session)
		var answer map[string]any
		known := json.Unmarshal([]byte(body), &answer) == nil
		fields, _ := answer["user"].(map[string]any)
		if err != nil {
			requireReadable(t, "fetching the user", err)
			require.Equal(t, goth.User{}, user)
			require.Equal(t, status == http.StatusUnauthorized, errors.Is(err, gumroad.ErrUnauthorized) || strings.Contains(err.Error(), "in front of Gumroad") && status == http.StatusUnauthorized)
			id, _ := fields["id"].(string)
			require.False(t, status == http.StatusOK && known && answer["success"] == true && answer["error"] == nil && isPrintable(id), "no user for %q", body)
			return
		}
		require.Equal(t, http.StatusOK, status)
		require.True(t, isPrintable(user.UserID), "id %q", user.UserID)
		_, err = json.Marshal(user)
		require.NoError(t, err)
		if known && !strings.Contains(body, "ECHO") {
			require.Equal(t, answer, user.RawData)
			require.Equal(t, true, answer["success"])
			require.Nil(t, answer["error"])
			id := fields["id"]
			if id == nil || id == "" {
				id = fields["user_id"]
			}
			number, _ := strconv.ParseFloat(user.UserID, 64)
			require.True(t, id == user.UserID || id == number, "id %q of %v", user.UserID, fields)
		}
		if user.NickName != "" {
			fields, _ := user.RawData["user"].(map[string]any)
			page := strings.ReplaceAll(fields["url"].(string), "\x00", "")
			require.Contains(t, []string{
				"https://gumroad.com/" + user.NickName,
				"https://" + strings.ReplaceAll(user.NickName, "_", "-") + ".gumroad.com",
			}, strings.ReplaceAll(strings.TrimSuffix(page, "/"), "_.gumroad.com", "-.gumroad.com"))
		}
		require.Equal(t, []string{accessToken, refreshToken, "gumroad"}, []string{user.AccessToken, user.RefreshToken, user.Provider})
	})
}

// An exchange and a refresh return a token and nothing else that could be lost, or an
// error and no token.
func FuzzTokenAnswer(f *testing.F) {
	for _, body := range []string{
		`{"access_token":"abf11e4ab2850ffd50ef690257f7a1c998a443059513d1a4826f2b3159620505","token_type":"Bearer","refresh_token":"77d7836232246508a6c5b1a9d153d8edbce74249edafaef228554e7be8a29b5e","scope":"edit_products","created_at":1609038258}`,
		`{"access_token":"x","expires_in":3600}`, `{"access_token":"x","expires_in":"0","refresh_token":7}`, `{"access_token":"x","expires_in":"3600"}`, `{"access_token":"x","expires_in":-1}`,
		`{"access_token":"x","expires_in":99999999999999999999}`, `{"access_token":"x","expires_in":{}}`, `{"access_token":"x","expires_in":"NaN"}`, `{"access_token":"x","expires_in":"0x1p-2"}`, `{"access_token":"x","expiry":"2000-01-01T00:00:00Z"}`,
		`{"Access_Token":"x"}`, `{"access_token":""}`, `{"access_token":1}`, `{"access_token":"\ud800\u0000"}`, `null`, `[]`, ``, "\x00",
		`{"access_token":"x","error":"invalid_grant","error_description":"ECHO","error_uri":"ECHO"}`, `{"access_token":"ECHO","refresh_token":"ECHO"`,
	} {
		f.Add(200, "", body)
		f.Add(400, "ECHO", body)
	}
	f.Add(429, "120 ECHO", "Retry later ECHO%zz")
	f.Add(429, "ECHO", "")
	f.Add(307, "http://[ECHO", "")
	f.Add(0, `malformed MIME header: "ECHO"`, "")
	f.Fuzz(func(t *testing.T, status int, header, body string) {
		p, _ := fuzzed(status, header, body)
		var answer map[string]any
		known := status == http.StatusOK && json.Unmarshal([]byte(body), &answer) == nil
		given, _ := answer["access_token"].(string)
		wanted := known && given != "" && answer["error"] == nil && answer["success"] != false
		before := gumroad.Session{AuthURL: "https://gumroad.com/oauth/authorize?state=1", CodeVerifier: verifier}
		session := before
		token, err := session.Authorize(p, url.Values{"code": {code}})
		if err != nil {
			requireReadable(t, "exchanging the authorization code", err)
			require.False(t, wanted, "no token for %q", body)
			require.Empty(t, token)
			require.Equal(t, before, session)
		} else {
			require.NotEmpty(t, token)
			require.Equal(t, gumroad.Session{AuthURL: before.AuthURL, AccessToken: token, RefreshToken: session.RefreshToken, ExpiresAt: session.ExpiresAt}, session)
			requireStored(t, p, &session)
		}

		refreshed, err := p.RefreshToken(refreshToken)
		if err != nil {
			requireReadable(t, "refreshing the token", err)
			require.Nil(t, refreshed)
			return
		}
		require.Equal(t, token, refreshed.AccessToken)
		require.NotEmpty(t, refreshed.RefreshToken)
		require.Equal(t, refreshed.ExpiresIn == 0, refreshed.Expiry.IsZero())
		require.True(t, refreshed.Expiry.IsZero() || refreshed.Expiry.After(time.Now().Add(-time.Minute)), "expired %s", refreshed.Expiry)
	})
}

// Authorize exchanges the code only if the callback has a code and no error. It does
// so once, with the verifier.
func FuzzCallback(f *testing.F) {
	for _, query := range []string{
		"code=-m7code&state=x", "code=&state=x", "state=x", "", "code=a&code=b", "code=%00%ff+%0d%0a", "code=a;b", "CODE=a",
		"error=access_denied&error_description=The+resource+owner+or+authorization+server+denied+the+request.&state=x",
		"error=access_denied&code=-m7code", "code=x&error=%20", "error=x&error=access_denied", "error=&code=a", "error=access_denied%00&code=a",
		"error=" + url.QueryEscape(secret+verifier) + "&error_description=" + url.QueryEscape(secret+" "+verifier+" "+unknownToken), "code=access_denied&error=access_denied",
		"error=server_error&error_description=%E2%80%AE%1b[31m" + strings.Repeat("%f0%9f%98%80", 400),
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		params, _ := url.ParseQuery(query) // as gothic does, which also ignores the error
		p, requests := fuzzed(http.StatusOK, "", `{"access_token":"a","refresh_token":"r"}`)
		before := gumroad.Session{AuthURL: "https://gumroad.com/oauth/authorize?state=1", CodeVerifier: verifier}
		session := before
		token, err := session.Authorize(p, params)
		if refusal := params.Get("error"); refusal != "" || params.Get("code") == "" {
			requireReadable(t, "completing the login", err)
			require.Equal(t, refusal == "access_denied", errors.Is(err, gumroad.ErrAccessDenied))
			require.Empty(t, *requests)
			require.Empty(t, token)
			require.Equal(t, before, session)
			return
		}
		require.NoError(t, err)
		require.Equal(t, "a", token)
		require.Len(t, *requests, 1)
		body, err := (*requests)[0].GetBody()
		require.NoError(t, err)
		form, err := io.ReadAll(body)
		require.NoError(t, err)
		sent, err := url.ParseQuery(string(form))
		require.NoError(t, err)
		require.Equal(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {params.Get("code")}, "code_verifier": {verifier}, "redirect_uri": {callbackURL},
			"client_id": {clientKey}, "client_secret": {secret},
		}, sent)
	})
}

// A stored session is read back unchanged. Anything else is refused, and the error
// does not quote it.
func FuzzStoredSession(f *testing.F) {
	p := gumroad.New(clientKey, secret, callbackURL)
	begun, err := p.BeginAuth("state")
	require.NoError(f, err)
	for _, stored := range []string{
		begun.Marshal(), `{}`, `null`, `[]`, `""`, `1`, ``, `{"AccessToken":1}`, `{"AccessToken":"x"}{}`, `{"AccessToken":"x"} `, `{"accesstoken":"x"}`,
		`{"AuthURL":"\ud800","ExpiresAt":"9999-12-31T23:59:59.999999999-23:59"}`, `{"ExpiresAt":"0000-01-01T00:00:00Z"}`, `{"ExpiresAt":1}`,
		"{\"AuthURL\":\"\xff\"}", `{"Unknown":"` + accessToken + `"`, strings.Repeat("[", 20000),
	} {
		f.Add(stored, "https://gumroad.com/oauth/authorize", "access", "refresh", "verifier", int64(1609038258))
	}
	f.Fuzz(func(t *testing.T, stored, authURL, access, refresh, verifier string, expires int64) {
		if session, err := p.UnmarshalSession(stored); err == nil {
			requireStored(t, p, session.(*gumroad.Session))
		} else {
			require.Nil(t, session)
			require.EqualError(t, err, "gumroad: reading the stored session: it is not the JSON object that Session.Marshal writes; let the user start again")
			require.NoError(t, errors.Unwrap(err))
		}
		made := &gumroad.Session{AuthURL: authURL, AccessToken: access, RefreshToken: refresh, CodeVerifier: verifier}
		if seconds := expires % (7000 * 365 * 24 * 60 * 60); seconds > 0 { // JSON needs years with four digits
			made.ExpiresAt = time.Unix(seconds, expires&0xfffffff)
		}
		requireStored(t, p, made)
	})
}

// requireStored fails the test unless the session is read back unchanged. It skips
// text that is not UTF-8, because JSON cannot hold it, and Gumroad sends JSON.
func requireStored(t *testing.T, p *gumroad.Provider, session *gumroad.Session) {
	t.Helper()
	if !utf8.ValidString(session.AuthURL + " " + session.AccessToken + " " + session.RefreshToken + " " + session.CodeVerifier) {
		return
	}
	read, err := p.UnmarshalSession(session.Marshal())
	require.NoError(t, err)
	require.Equal(t, session.Marshal(), read.Marshal())
	got, want := *read.(*gumroad.Session), *session
	require.True(t, want.ExpiresAt.Equal(got.ExpiresAt), "%s became %s", want.ExpiresAt, got.ExpiresAt)
	got.ExpiresAt = want.ExpiresAt
	require.Equal(t, want, got)
}
