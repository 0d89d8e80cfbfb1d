package gumroadtest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These cases are known of Doorkeeper, but not in the recordings.
func TestToken(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	code := func(challenge ...string) url.Values {
		authURL := url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_sales  edit_products view_sales"}}
		if len(challenge) > 0 {
			authURL.Set("code_challenge", challenge[0])
			authURL.Set("code_challenge_method", "plain")
		}
		back, err := s.Authorize(s.URL + AuthorizePath + "?" + authURL.Encode())
		require.NoError(t, err)
		address, _ := url.Parse(back)
		return url.Values{"code": address.Query()["code"], "redirect_uri": {callbackURL}}
	}
	send := func(form url.Values, change func(*http.Request)) (int, map[string]any) {
		req, _ := http.NewRequest(http.MethodPost, s.URL+TokenPath, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(req)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		var answer map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		return resp.StatusCode, answer
	}
	basic := func(secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(s.ClientID, secret) }
	}

	status, answer := send(code(), basic(s.ClientSecret))
	assert.Equal(t, 200, status, "Basic")
	assert.Equal(t, "view_sales edit_products", answer["scope"], "each scope once")
	assert.NotContains(t, answer, "expires_in")

	wrongBasic := code()
	wrongBasic.Set("client_id", s.ClientID)
	wrongBasic.Set("client_secret", s.ClientSecret)
	status, answer = send(wrongBasic, basic("wrong"))
	assert.Equal(t, 401, status, "Basic wins")
	assert.Equal(t, "invalid_client", answer["error"])

	inJSON := code()
	status, _ = send(nil, func(r *http.Request) {
		body, _ := json.Marshal(map[string]string{"code": inJSON.Get("code"), "redirect_uri": callbackURL, "client_id": s.ClientID, "client_secret": s.ClientSecret})
		r.Header.Set("Content-Type", "application/json")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
	})
	assert.Equal(t, 200, status, "JSON")

	plain := code("the challenge")
	plain.Set("code_verifier", "another")
	status, _ = send(plain, basic(s.ClientSecret))
	assert.Equal(t, 400, status, "plain, wrong verifier")
	plain.Set("code_verifier", "the challenge")
	status, _ = send(plain, basic(s.ClientSecret))
	assert.Equal(t, 200, status, "plain, right verifier")

	noRedirect := code()
	noRedirect.Del("redirect_uri")
	_, answer = send(noRedirect, basic(s.ClientSecret))
	assert.Equal(t, "Missing required parameter: redirect_uri.", answer["error_description"])

	_, answer = send(url.Values{"grant_type": {"refresh_token"}}, basic(s.ClientSecret))
	assert.Equal(t, "Missing required parameter: refresh_token.", answer["error_description"])

	resp, err := http.Get(s.URL + TokenPath)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 404, resp.StatusCode, "GET")
}

func TestTokenChecksTheClient(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	for _, confidential := range []bool{true, false} {
		s.SetApplication(Application{Confidential: confidential})
		for _, test := range []struct {
			id, secret string
			good       bool
		}{
			{s.ClientID, s.ClientSecret, true},
			{s.ClientID, "", !confidential},
			{s.ClientID, "wrong", false},
			{"another", s.ClientSecret, false},
			{"another", "", false},
			{"", s.ClientSecret, false},
			{"", "", false},
		} {
			back, err := s.Authorize(s.URL + AuthorizePath + "?" + url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_sales"}}.Encode())
			require.NoError(t, err)
			address, err := url.Parse(back)
			require.NoError(t, err)
			status, answer := post(t, s.URL+TokenPath, url.Values{"code": address.Query()["code"], "redirect_uri": {callbackURL}, "client_id": {test.id}, "client_secret": {test.secret}})
			assert.Equal(t, test.good, status == 200, test)
			assert.Equal(t, !test.good, answer["error"] == "invalid_client", test)

			session := loggedIn(t, s, p)
			status, _ = post(t, s.URL+RevokePath, url.Values{"token": {session.AccessToken}, "client_id": {test.id}, "client_secret": {test.secret}})
			_, err = p.FetchUser(session)
			assert.Equal(t, test.good, status == 200, test)
			assert.Equal(t, test.good, err != nil, test)
		}
	}
}

// A method without a challenge is no challenge.
func TestChallengeMethodAlone(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	back, err := s.Authorize(s.URL + AuthorizePath + "?" + url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_sales"}, "code_challenge_method": {"S256"}}.Encode())
	require.NoError(t, err)
	address, err := url.Parse(back)
	require.NoError(t, err)
	form := url.Values{"code": address.Query()["code"], "redirect_uri": {callbackURL}, "client_id": {s.ClientID}, "client_secret": {s.ClientSecret}}
	form.Set("code_verifier", "a verifier")
	status, _ := post(t, s.URL+TokenPath, form)
	assert.Equal(t, 400, status)
	form.Del("code_verifier")
	status, _ = post(t, s.URL+TokenPath, form)
	assert.Equal(t, 200, status)
}

func TestRefreshWithoutClient(t *testing.T) {
	s := NewServer()
	defer s.Close()
	session := loggedIn(t, s, s.Provider(callbackURL))
	for name, test := range map[string]struct {
		token, clientID, secret, want string
	}{
		"no client":       {session.RefreshToken, "", "", "invalid_grant"},
		"wrong secret":    {session.RefreshToken, s.ClientID, "wrong", "invalid_client"},
		"an access token": {session.AccessToken, s.ClientID, s.ClientSecret, "invalid_grant"},
	} {
		_, answer := post(t, s.URL+TokenPath, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {test.token},
			"client_id": {test.clientID}, "client_secret": {test.secret}})
		assert.Equal(t, test.want, answer["error"], name)
	}
}

func TestRevocationHints(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	for name, test := range map[string]struct {
		hint    string
		refresh bool
		lives   bool
	}{
		"access token, right hint":  {"access_token", false, false},
		"access token, wrong hint":  {"refresh_token", false, true},
		"refresh token, right hint": {"refresh_token", true, false},
		"refresh token, wrong hint": {"access_token", true, false},
	} {
		session := loggedIn(t, s, p)
		token := session.AccessToken
		if test.refresh {
			token = session.RefreshToken
		}
		status, _ := post(t, s.URL+RevokePath, url.Values{"token": {token}, "token_type_hint": {test.hint},
			"client_id": {s.ClientID}, "client_secret": {s.ClientSecret}})
		assert.Equal(t, 200, status, name)
		_, err := p.FetchUser(session)
		assert.Equal(t, test.lives, err == nil, name)
	}
	status, _ := post(t, s.URL+RevokePath, url.Values{"client_id": {s.ClientID}, "client_secret": {s.ClientSecret}})
	assert.Equal(t, 200, status, "no token")
	status, _ = post(t, s.URL+RevokePath, url.Values{"token": {"bogus"}, "token_type_hint": {"refresh_token"}, "client_id": {s.ClientID}, "client_secret": {s.ClientSecret}})
	assert.Equal(t, 200, status, "unknown token")
	status, _ = post(t, s.URL+RevokePath, url.Values{})
	assert.Equal(t, 403, status, "no client")
}

// Advance moves the clock.
func TestCodeExpiresAfterTenMinutes(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)

	session, params := authorized(t, s, p)
	s.Advance(9 * time.Minute)
	_, err := session.Authorize(p, params)
	require.NoError(t, err)

	session, params = authorized(t, s, p)
	s.Advance(9 * time.Minute)
	s.Advance(time.Minute)
	_, err = session.Authorize(p, params)
	assert.ErrorContains(t, err, "invalid_grant")
	assert.Equal(t, "the code is older than ten minutes", lastRequest(s).Reason)

	before := time.Now().Add(19 * time.Minute)
	token, err := p.RefreshToken(loggedIn(t, s, p).RefreshToken)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, int64(token.Extra("created_at").(float64)), before.Unix(), "the server's clock")
}

// Each of the causes of invalid_grant, which Gumroad does not tell apart, has its
// words. No reason holds a code, a token or a secret.
func TestRefusedTokensSayWhy(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	code := func(more ...string) url.Values {
		back, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s, more...))
		require.NoError(t, err)
		address, _ := url.Parse(back)
		return url.Values{"code": address.Query()["code"], "redirect_uri": {callbackURL}, "client_id": {s.ClientID}}
	}
	with := func(form url.Values, name, value string) url.Values {
		form.Set(name, value)
		return form
	}
	used, old := code(), code()
	post(t, s.URL+TokenPath, used)
	s.Advance(10 * time.Minute)
	session := loggedIn(t, s, p)
	refresh := func(token string) url.Values {
		return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {s.ClientID}}
	}
	revoked := loggedIn(t, s, p)
	require.NoError(t, p.RevokeToken(t.Context(), revoked.AccessToken))
	for _, test := range []struct {
		form       url.Values
		code, want string
	}{
		{with(code(), "code", "guessed"), "invalid_grant", "the code is unknown"},
		{used, "invalid_grant", "the code was used before"},
		{old, "invalid_grant", "the code is older than ten minutes"},
		{with(code(), "redirect_uri", "https://evil.example/cb"), "invalid_grant", `redirect_uri is "https://evil.example/cb", but the code was issued for "` + callbackURL + `"`},
		{with(code(), "redirect_uri", "/cb"), "invalid_grant", `redirect_uri is "/cb", but the code was issued for "` + callbackURL + `"`},
		{with(code(), "code_verifier", "sent"), "invalid_grant", "there is a code_verifier, but the authorization request had no code_challenge"},
		{with(code("code_challenge=a&code_challenge_method=plain"), "code_verifier", "sent"), "invalid_grant", "code_verifier does not match the code_challenge of the authorization request"},
		{code("code_challenge=a&code_challenge_method=plain"), "invalid_request", "code_verifier is missing"},
		{with(code(), "redirect_uri", ""), "invalid_request", "redirect_uri is missing"},
		{with(code(), "code", ""), "invalid_request", "code is missing"},
		{with(code(), "client_id", "another"), "invalid_client", `client_id is "another", but the application's is "` + s.ClientID + `"`},
		{with(code(), "client_secret", "guessed"), "invalid_client", "client_secret is wrong"},
		{with(code(), "grant_type", "password"), "unsupported_grant_type", `grant_type is "password"`},
		{refresh("guessed"), "invalid_grant", "the refresh token is unknown"},
		{refresh(session.AccessToken), "invalid_grant", "the refresh token is an access token"},
		{refresh(revoked.RefreshToken), "invalid_grant", "the refresh token was used or revoked before"},
		{with(refresh(session.RefreshToken), "client_id", ""), "invalid_grant", "there is no client_id"},
		{with(refresh(session.RefreshToken), "client_secret", "guessed"), "invalid_client", "client_secret is wrong"},
		{with(refresh(session.RefreshToken), "scope", "view_sales"), "invalid_scope", `the scope "view_sales" is not allowed; allowed are ["view_profile"]`},
		{refresh(""), "invalid_request", "refresh_token is missing"},
	} {
		status, answer := post(t, s.URL+TokenPath, test.form)
		assert.Equal(t, test.code, answer["error"], test.want)
		assert.Equal(t, test.want, lastRequest(s).Reason)
		assert.Equal(t, status, lastRequest(s).Status)
	}
	post(t, s.URL+RevokePath, url.Values{"token": {session.AccessToken}, "client_id": {s.ClientID}, "client_secret": {"guessed"}})
	assert.Equal(t, "client_secret is wrong", lastRequest(s).Reason)
	post(t, s.URL+TokenPath, refresh(session.RefreshToken))
	assert.Empty(t, lastRequest(s).Reason, "a request that was not refused")
	s.SetApplication(Application{Confidential: true})
	post(t, s.URL+TokenPath, code())
	assert.Equal(t, "there is no client_secret, and the application is confidential", lastRequest(s).Reason)
}

// The name of the scheme is compared exactly, and what is not base64 is nobody.
func TestBasic(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.SetApplication(Application{Confidential: true})
	s.Provider(callbackURL)
	good := base64.StdEncoding.EncodeToString([]byte(s.ClientID + ":" + s.ClientSecret))
	for header, want := range map[string]int{"Basic " + good: 200, "basic " + good: 401, "BASIC " + good: 401, "Basic ?": 401} {
		back, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s))
		require.NoError(t, err)
		address, _ := url.Parse(back)
		form := url.Values{"code": address.Query()["code"], "redirect_uri": {callbackURL}}
		if header == "Basic ?" {
			form.Set("client_id", s.ClientID)
			form.Set("client_secret", s.ClientSecret)
		}
		request, err := http.NewRequest(http.MethodPost, s.URL+TokenPath, strings.NewReader(form.Encode()))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Authorization", header)
		resp, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, want, resp.StatusCode, header)
	}
}
