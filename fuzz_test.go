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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gumroad/goth-gumroad"
)

var fuzzEcho = strings.NewReplacer("{secret}", faultReal.secret, "{code}", faultReal.code, "{verifier}", faultReal.verifier,
	"{access}", faultReal.access, "{refresh}", faultReal.refresh)

// fuzzAnswer returns a client that gets this answer to every request. It replaces
// "{secret}" and similar with the values of the login, so that the fuzzer can
// try a server that repeats them.
func fuzzAnswer(status int, contentType, body string, requests *[]*http.Request) *http.Client {
	return &http.Client{Transport: faultTransport(func(r *http.Request) (*http.Response, error) {
		if requests != nil {
			*requests = append(*requests, r)
		}
		return &http.Response{
			Status: fuzzEcho.Replace(contentType), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {contentType}, "Location": {fuzzEcho.Replace(body)}},
			Body:   io.NopCloser(strings.NewReader(fuzzEcho.Replace(body))), ContentLength: -1, Request: r,
		}, nil
	})}
}

// FetchUser returns a user if and only if the status is 200, success is true and
// there is a valid id.
func FuzzUserAnswer(f *testing.F) {
	for _, body := range []string{
		`{"success":true,"user":{"name":"John Smith","bio":"a sailor, a tailor","twitter_handle":null,"currency_type":"usd","id":"6754923450134","user_id":"G_-mnBf9b1j9A7a4ub4nFQ==","url":"https://sailorjohn.gumroad.com","links":["boo"],"profile_url":"https://public-files.gumroad.com/abc","email":"john@example.com","display_name":"John Smith"}}`,
		`{"success":true,"user":{"user_id":"G_-mnBf9b1j9A7a4ub4nFQ==","url":"https://gumroad.com/6754923450134"}}`,
		`{"success":true,"user":{"id":12345678901234567890}}`,
		`{"success":true,"user":{"id":"!a~"}}`,
		`{"success":true,"user":{"id":"1","url":"https://elsewhere","twitter_handle":"jo"}}`,
		`{"success":true,"user":{"id":1e3,"user_id":""}}`,
		`{"success":true,"user":{"id":null,"name":{},"email":[],"url":1,"bio":true}}`,
		`{"success":true,"success":false,"user":{"id":"1"},"user":null}`,
		`{"success":false,"message":"The user was not found: {access} {secret}"}`,
		`{"error":"{access}","error_description":"{refresh} {secret}"}`,
		`{"success":true,"user":{"id":"1"}} {}`, `[{}]`, `null`, ``, "\x00", "\xff",
	} {
		f.Add(200, "application/json", body)
	}
	f.Add(401, "text/html", "")
	f.Add(403, "text/plain", "{access}")
	f.Add(302, "text/html", "https://elsewhere.example/?{access}")
	f.Add(307, "200 {access}", "http://[{access}")
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		p := faultReal.provider("http://gumroad.invalid", fuzzAnswer(status, contentType, body, nil))
		session := &gumroad.Session{AccessToken: faultReal.access, RefreshToken: faultReal.refresh}
		user, err := p.FetchUser(session)
		if err != nil {
			faultCheck(t, err, faultReal)
			require.Equal(t, goth.User{}, user)
			var answer map[string]any
			if status == http.StatusOK && json.Unmarshal([]byte(body), &answer) == nil && answer["success"] == true && answer["error"] == nil {
				fields, _ := answer["user"].(map[string]any)
				id, _ := fields["id"].(string)
				require.False(t, fuzzPrintable(id), "not taken: id %q", id)
			}
			return
		}
		require.Equal(t, http.StatusOK, status)
		require.True(t, fuzzPrintable(user.UserID), "id %q", user.UserID)
		require.Equal(t, true, user.RawData["success"])
		fields, _ := user.RawData["user"].(map[string]any)
		// RawData is what encoding/json decodes, except for numbers that are too large
		// for it. The id comes from one of two fields and keeps all its digits.
		var answer map[string]any
		if json.Unmarshal([]byte(fuzzEcho.Replace(body)), &answer) == nil {
			require.Equal(t, answer, user.RawData)
		}
		id := fields["id"]
		if id == nil || id == "" {
			id = fields["user_id"]
		}
		number, _ := strconv.ParseFloat(user.UserID, 64)
		require.True(t, id == user.UserID || id == number || id == nil, "id %q of %v", user.UserID, fields)
		// The nickname comes from the address of the user's page, which has two forms.
		pageURL, _ := fields["url"].(string)
		found := fuzzPage.FindStringSubmatch(strings.ReplaceAll(pageURL, "\x00", ""))
		if found != nil && strings.Trim(found[1]+found[2], "0123456789") != "" {
			require.Equal(t, strings.ReplaceAll(found[1], "-", "_")+found[2], user.NickName)
		} else {
			require.Empty(t, user.NickName)
		}
		require.Equal(t, []string{faultReal.access, faultReal.refresh}, []string{user.AccessToken, user.RefreshToken})
		require.Equal(t, "gumroad", user.Provider)
		again, err := p.FetchUser(session)
		require.NoError(t, err)
		require.Equal(t, user, again)
	})
}

var fuzzPrintable = regexp.MustCompile(`^[!-~]+$`).MatchString

var fuzzPage = regexp.MustCompile(`^https://(?:([a-z0-9_-]+)\.gumroad\.com|gumroad\.com/([a-z0-9_]+))/?$`)

// An exchange returns a usable token and a session that can be stored. A refresh
// returns a usable token. If there is an error, they return nothing else.
func FuzzTokenAnswer(f *testing.F) {
	for _, body := range []string{
		`{"access_token":"abf11e4ab2850ffd50ef690257f7a1c998a443059513d1a4826f2b3159620505","token_type":"Bearer","refresh_token":"77d7836232246508a6c5b1a9d153d8edbce74249edafaef228554e7be8a29b5e","scope":"edit_products","created_at":1609038258}`,
		`{"access_token":"x","expires_in":3600}`, `{"access_token":"x","expires_in":"0","refresh_token":7}`, `{"access_token":"x","expires_in":"3600"}`, `{"access_token":"x","expires_in":-1}`,
		`{"access_token":"x","expires_in":99999999999999999999}`, `{"access_token":""}`, `{"access_token":1}`,
		`{"access_token":"x","error":"invalid_grant","error_description":"{code} {verifier} {secret} {refresh}","error_uri":"{secret}"}`,
		`{"access_token":"{access}","refresh_token":"{refresh}"`, `null`, `[]`, ``, "\x00", `{"access_token":"\ud800\u0000"}`,
	} {
		f.Add(200, "application/json; charset=utf-8", body)
		f.Add(400, "application/json; charset=utf-8", body)
	}
	f.Add(200, "application/x-www-form-urlencoded", "access_token=%ff&expires_in=9223372036854775807")
	f.Add(200, "text/plain", "access_token=x&error={secret}")
	f.Add(429, "text/plain", "Retry later {code};{secret}%zz")
	f.Add(500, "{secret}", "<p>{code}{verifier}</p>")
	f.Add(307, "text/html", "https://elsewhere.example/?{secret}")
	f.Add(302, "text/html", "http://[{secret}")
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		p := faultReal.provider("http://gumroad.invalid", fuzzAnswer(status, contentType, body, nil))
		before := gumroad.Session{AuthURL: "https://gumroad.com/oauth/authorize?state=1", CodeVerifier: faultReal.verifier}
		session := before
		token, err := session.Authorize(p, url.Values{"code": {faultReal.code}})
		if err != nil {
			faultCheck(t, err, faultReal)
			require.Empty(t, token)
			require.Equal(t, before, session)
		} else {
			require.Equal(t, http.StatusOK, status)
			require.NotEmpty(t, token)
			require.Equal(t, token, session.AccessToken)
			require.Empty(t, session.CodeVerifier)
			require.True(t, session.ExpiresAt.IsZero() || session.ExpiresAt.After(time.Now()), "expired %s", session.ExpiresAt)
			fuzzStoreAndRead(t, p, &session)
		}

		refreshed, err := p.RefreshToken(faultReal.refresh)
		if err != nil {
			faultCheck(t, err, faultReal)
			require.Nil(t, refreshed)
			return
		}
		require.NotEmpty(t, refreshed.AccessToken)
		require.NotEmpty(t, refreshed.RefreshToken)
		require.True(t, refreshed.Expiry.IsZero() || refreshed.Expiry.After(time.Now()), "expired %s", refreshed.Expiry)
	})
}

// The provider exchanges the code only if the callback has a code and no error. It
// does so once, with the verifier.
func FuzzCallback(f *testing.F) {
	for _, query := range []string{
		"code=-m7code&state=x", "code=&state=x", "state=x", "", "code=a&code=b", "code=%00%ff+%0d%0a", "code=a;b", "CODE=a",
		"error=access_denied&error_description=The+resource+owner+or+authorization+server+denied+the+request.&state=x",
		"error=access_denied&code=-m7code", "code=x&error=%20", "error=x&error=access_denied", "error=&code=a", "error=access_denied%00&code=a",
		"error=" + url.QueryEscape(faultReal.secret+faultReal.verifier) + "&error_description=" + faultReal.secret + "%20" + faultReal.verifier,
		"error=server_error&error_description=%E2%80%AE%1b[31m" + strings.Repeat("%f0%9f%98%80", 400),
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		// gothic ignores the error too and uses the parameters that could be parsed.
		params, _ := url.ParseQuery(query)
		code, refusal := params.Get("code"), params.Get("error")
		var requests []*http.Request
		p := faultReal.provider("http://gumroad.invalid", fuzzAnswer(200, "application/json", `{"access_token":"{access}","refresh_token":"{refresh}"}`, &requests))
		before := gumroad.Session{AuthURL: "https://gumroad.com/oauth/authorize?state=1", CodeVerifier: faultReal.verifier}
		session := before
		token, err := session.Authorize(p, params)
		if refusal != "" || code == "" {
			require.Empty(t, requests)
			require.Empty(t, token)
			require.Equal(t, before, session)
			secrets := faultReal
			if len(code) > 20 { // a short code may be part of the provider's own words
				secrets.code = code
			}
			faultCheck(t, err, secrets)
			require.Equal(t, refusal == "access_denied", errors.Is(err, gumroad.ErrAccessDenied))
			return
		}
		require.NoError(t, err)
		require.Equal(t, faultReal.access, token)
		require.Len(t, requests, 1)
		body, err := requests[0].GetBody()
		require.NoError(t, err)
		form, err := io.ReadAll(body)
		require.NoError(t, err)
		sent, err := url.ParseQuery(string(form))
		require.NoError(t, err)
		require.Equal(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {faultReal.verifier}, "redirect_uri": {p.CallbackURL},
			"client_id": {p.ClientKey}, "client_secret": {p.Secret},
		}, sent)
	})
}

// A stored session is read back unchanged. Anything else is refused, and the error
// does not quote it.
func FuzzStoredSession(f *testing.F) {
	p := faultReal.provider("http://gumroad.invalid", nil)
	begun, err := p.BeginAuth("state")
	require.NoError(f, err)
	for _, stored := range []string{
		begun.Marshal(), `{}`, `null`, `[]`, `""`, `1`, ``, `{"AccessToken":1}`, `{"AccessToken":"x"}{}`, `{"AccessToken":"x"} `, `{"accesstoken":"x"}`,
		`{"AuthURL":"\ud800","ExpiresAt":"9999-12-31T23:59:59.999999999-23:59"}`, `{"ExpiresAt":"0000-01-01T00:00:00Z"}`, `{"ExpiresAt":1}`,
		"{\"AuthURL\":\"\xff\"}", `{"Unknown":"` + faultReal.access + `"`, strings.Repeat("[", 20000),
	} {
		f.Add(stored, "https://gumroad.com/oauth/authorize", "access", "refresh", "verifier", int64(1609038258))
	}
	f.Fuzz(func(t *testing.T, stored, authURL, access, refresh, verifier string, expires int64) {
		session, err := p.UnmarshalSession(stored)
		if err != nil {
			require.Nil(t, session)
			require.Equal(t, "gumroad: reading the stored session: it is not the JSON object that Session.Marshal writes; let the user start again", err.Error())
			require.NoError(t, errors.Unwrap(err), "the error must have no cause, because a cause could quote the session")
		} else {
			fuzzStoreAndRead(t, p, session.(*gumroad.Session))
		}

		made := &gumroad.Session{AuthURL: authURL, AccessToken: access, RefreshToken: refresh, CodeVerifier: verifier}
		if expires != 0 {
			made.ExpiresAt = time.Unix(expires%200_000_000_000, expires&0xfffffff) // JSON needs years with four digits
		}
		if made.ExpiresAt.Year() < 0 || made.ExpiresAt.Year() > 9998 {
			made.ExpiresAt = time.Time{}
		}
		fuzzStoreAndRead(t, p, made)
	})
}

// fuzzStoreAndRead fails the test unless the session is read back unchanged. It
// skips text that is not UTF-8. JSON cannot hold it, and Gumroad sends JSON.
func fuzzStoreAndRead(t *testing.T, p *gumroad.Provider, session *gumroad.Session) {
	t.Helper()
	for _, text := range []string{session.AuthURL, session.AccessToken, session.RefreshToken, session.CodeVerifier} {
		if !utf8.ValidString(text) {
			return
		}
	}
	read, err := p.UnmarshalSession(session.Marshal())
	require.NoError(t, err)
	got, want := *read.(*gumroad.Session), *session
	require.True(t, want.ExpiresAt.Equal(got.ExpiresAt), "%s became %s", want.ExpiresAt, got.ExpiresAt)
	got.ExpiresAt, want.ExpiresAt = time.Time{}, time.Time{}
	assert.Equal(t, want, got)
	assert.Equal(t, session.Marshal(), read.Marshal())
}
