package gumroad_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gumroad/goth-gumroad"
	"github.com/markbates/goth"
	"github.com/markbates/goth/providers/faux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fetch makes the recorded request for the user.
func fetch(t *testing.T, name string) (goth.User, error) {
	t.Helper()
	x := recording(t, name)
	return replaying(t, x).FetchUser(&gumroad.Session{AccessToken: x.bearer})
}

func TestFetchUser(t *testing.T) {
	t.Parallel()
	x := recording(t, "user_view_profile/user")
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	s := &gumroad.Session{AuthURL: "/foo", AccessToken: x.bearer, RefreshToken: refreshToken, ExpiresAt: expires}
	user, err := replaying(t, x).FetchUser(s)
	require.NoError(t, err)
	assert.Equal(t, goth.User{
		Provider:     "gumroad",
		UserID:       "6754923450134",
		Name:         "Sailor John",
		NickName:     "sailorjohn",
		Email:        "john@example.com",
		Description:  "I sail.",
		AvatarURL:    "https://public-files.gumroad.com/avatar-john.png",
		AccessToken:  x.bearer,
		RefreshToken: refreshToken,
		ExpiresAt:    expires,
		RawData: map[string]any{
			"success": true,
			"user": map[string]any{
				"name":                "Sailor John",
				"bio":                 "I sail.",
				"twitter_handle":      nil,
				"currency_type":       "usd",
				"id":                  "6754923450134",
				"user_id":             "G_-mnBf9b1j9A7a4ub4nFQ==",
				"url":                 "https://sailorjohn.gumroad.com",
				"links":               []any{"knots", "ropes"},
				"profile_url":         "https://public-files.gumroad.com/avatar-john.png",
				"email":               "john@example.com",
				"display_name":        "Sailor John",
				"profile_picture_url": "https://public-files.gumroad.com/avatar-john.png",
			},
		},
	}, user)
}

// A token with other scopes reads fewer fields. Its user can still log in.
func TestFetchUserOfOtherTokens(t *testing.T) {
	t.Parallel()
	for name, wanted := range map[string]goth.User{
		"user_account/user": {UserID: "6754923450134", Name: "Sailor John", NickName: "sailorjohn",
			Description: "I sail.", Email: "john@example.com", AvatarURL: "https://public-files.gumroad.com/avatar-john.png"},
		"user_edit_products_and_view_sales/user": {UserID: "6754923450134", Name: "Sailor John", NickName: "sailorjohn",
			Description: "I sail.", Email: "john@example.com", AvatarURL: "https://public-files.gumroad.com/avatar-john.png"},
		"user_everything_unset_view_profile/user": {UserID: "2200000000002", Name: "sailor2", NickName: "sailor2",
			Email: "two@example.com", AvatarURL: "https://public-files.gumroad.com/avatar-john.png"},
	} {
		user, err := fetch(t, name)
		assert.NoError(t, err, name)
		assert.Zero(t, user.ExpiresAt, name)
		assert.Equal(t, wanted, profile(user), name)
	}
}

// profile returns a user with only the fields that come from Gumroad's fields.
func profile(u goth.User) goth.User {
	return goth.User{UserID: u.UserID, Name: u.Name, NickName: u.NickName, Email: u.Email, Description: u.Description, AvatarURL: u.AvatarURL}
}

// fetchFields returns the user that FetchUser makes of these fields.
func fetchFields(t *testing.T, fields string) (goth.User, error) {
	t.Helper()
	p := answering(t, object(`{"success":true,"user":{`+fields+`}}`))
	return p.FetchUser(&gumroad.Session{AccessToken: accessToken})
}

func TestUserFields(t *testing.T) {
	t.Parallel()
	for fields, wanted := range map[string]goth.User{
		// None of these fields can be used.
		`"other":1`: {},
		`"name":null,"display_name":null,"email":null,"bio":null,"profile_picture_url":null,"profile_url":null,"url":null,"twitter_handle":null`:                    {},
		`"name":1,"display_name":true,"email":["a@b"],"bio":{"a":"b"},"profile_picture_url":1.5,"profile_url":[],"url":7,"twitter_handle":false,"links":"a string"`: {},
		`"name":"","display_name":"","email":"","bio":"","profile_picture_url":"","profile_url":"","url":"","twitter_handle":""`:                                    {},

		`"email":"a@example.com"`: {Email: "a@example.com"},
		`"bio":"line 1\nline 2"`:  {Description: "line 1\nline 2"},

		`"name":"John"`:                       {Name: "John"},
		`"name":"John","display_name":"Jack"`: {Name: "John"},
		`"display_name":"Jack"`:               {Name: "Jack"},
		`"name":null,"display_name":"Jack"`:   {Name: "Jack"},
		`"name":"","display_name":"Jack"`:     {Name: "Jack"},
		`"name":" ","display_name":"Jack"`:    {Name: "Jack"},
		`"name":"1"`:                          {Name: "1"},
		`"name":"j@example.com"`:              {Name: "j@example.com"},

		// An id or an email address is not used as a name.
		`"display_name":"1"`:                           {},
		`"user_id":"u","display_name":"u"`:             {},
		`"user_id":"u","display_name":"v"`:             {Name: "v"},
		`"name":null,"display_name":"1"`:               {},
		`"display_name":"jo@example.com"`:              {},
		`"name":null,"display_name":"jo@example.com"`:  {},
		`"name":"John","display_name":"j@example.com"`: {Name: "John"},

		// PostgreSQL cannot store a NUL.
		`"name":"Jo\u0000hn","email":"\u0000a@example.com","bio":"b\u0000","profile_url":"https://p/\u00002","url":"https://jo\u0000hn.gumroad.com"`: {
			Name: "John", Email: "a@example.com", Description: "b", AvatarURL: "https://p/2", NickName: "john"},
		`"name":"\u0000","display_name":"Ja\u0000ck","profile_picture_url":"\u0000","profile_url":"https://p/2"`: {
			Name: "Jack", AvatarURL: "https://p/2"},

		`"profile_picture_url":"https://p/1"`:                             {AvatarURL: "https://p/1"},
		`"profile_picture_url":"https://p/1","profile_url":"https://p/2"`: {AvatarURL: "https://p/1"},
		`"profile_url":"https://p/2"`:                                     {AvatarURL: "https://p/2"},
		`"profile_picture_url":null,"profile_url":"https://p/2"`:          {AvatarURL: "https://p/2"},

		`"url":"https://sailorjohn.gumroad.com"`:                           {NickName: "sailorjohn"},
		`"url":"https://sailorjohn.gumroad.com/"`:                          {NickName: "sailorjohn"},
		`"url":"https://gumroad.com/sailorjohn"`:                           {NickName: "sailorjohn"},
		`"url":"https://sailorjohn.gumroad.com","twitter_handle":"tweety"`: {NickName: "sailorjohn"},
		`"url":"https://2sail4u.gumroad.com","twitter_handle":"tweety"`:    {NickName: "2sail4u"},
		`"url":"https://6754923450134.gumroad.com"`:                        {},
		`"url":"https://gumroad.com/6754923450134"`:                        {},
		`"url":"https://sailor-john.gumroad.com"`:                          {NickName: "sailor_john"},
		`"url":"https://gumroad.com/sailor_john"`:                          {NickName: "sailor_john"},
		`"url":"https://gumroad.com/sailor-john"`:                          {},
		`"url":"https://2-2.gumroad.com"`:                                  {},
		`"url":"https://-.gumroad.com"`:                                    {},
		`"url":"https://2-b.gumroad.com"`:                                  {NickName: "2_b"},
		`"url":"https://6754923450134.gumroad.com","twitter_handle":"tw"`:  {},
		`"url":"https://gumroad.com/6754923450134","twitter_handle":"tw"`:  {},
		`"url":"https://gumroad.com","twitter_handle":"tw"`:                {},
		`"url":"https://gumroad.com/","twitter_handle":"tw"`:               {},
		`"url":"https://example.com/sailorjohn"`:                           {},
		`"url":"https://sailorjohn.example.com"`:                           {},
		`"url":"https://sailorjohn.gumroad.com.example.com"`:               {},
		`"url":"https://example.com/sailorjohn.gumroad.com"`:               {},
		`"url":"https://sailorjohnxgumroad.com"`:                           {},
		`"url":"https://a.b.gumroad.com"`:                                  {},
		`"url":"sailorjohn"`:                                               {},
		`"url":"https://sailorjohn"`:                                       {},
		`"url":"sailorjohn.gumroad.com"`:                                   {},
		`"url":"gumroad.com/sailorjohn"`:                                   {},
		`"url":"https://Sailor.gumroad.com"`:                               {},
		`"url":"http://sailor.gumroad.com"`:                                {},
		`"twitter_handle":"tweety"`:                                        {},
	} {
		user, err := fetchFields(t, `"id":"1",`+fields)
		wanted.UserID = "1"
		assert.NoError(t, err, fields)
		assert.Equal(t, wanted, profile(user), fields)
	}
}

// The example in Gumroad's documentation has no id and an address in the older
// form.
func TestFetchUserOfTheDocumentation(t *testing.T) {
	t.Parallel()
	user, err := answering(t, object(`{"success": true, "user": {
		"bio": "a sailor, a tailor", "name": "John Smith", "twitter_handle": null, "user_id": "G_-mnBf9b1j9A7a4ub4nFQ==",
		"email": "johnsmith@gumroad.com", "url": "https://gumroad.com/sailorjohn"}}`)).FetchUser(&gumroad.Session{AccessToken: accessToken})
	assert.NoError(t, err)
	assert.Equal(t, goth.User{UserID: "G_-mnBf9b1j9A7a4ub4nFQ==", Name: "John Smith", NickName: "sailorjohn",
		Email: "johnsmith@gumroad.com", Description: "a sailor, a tailor"}, profile(user))
}

func TestUserID(t *testing.T) {
	t.Parallel()
	for fields, wanted := range map[string]string{
		`"id":"6754923450134"`:               "6754923450134",
		`"id":6754923450134`:                 "6754923450134",
		`"id":9007199254740993`:              "9007199254740993", // a float64 cannot hold it
		`"id":1234567890123456789`:           "1234567890123456789",
		`"id":12345678901234567890123456789`: "12345678901234567890123456789",
		`"id":"0012"`:                        "0012",
		`"id":"1","user_id":"u"`:             "1",
		`"user_id":"u","id":1`:               "1",
		`"user_id":"G_-mnBf9b1j9A7a4ub4nF="`: "G_-mnBf9b1j9A7a4ub4nF=",
		`"user_id":77`:                       "77",
		`"id":"!~"`:                          "!~",
		`"id":null,"user_id":"u"`:            "u",
		`"id":"","user_id":"u"`:              "u",
		`"id":9007199254740993,"user_id":7`:  "9007199254740993",

		// Without a valid id, nobody is logged in.
		`"name":"John"`:             "",
		`"id":null`:                 "",
		`"id":"","user_id":""`:      "",
		`"id":" ","user_id":"\t"`:   "",
		`"id":true,"user_id":["u"]`: "",
		`"id":{"id":"1"}`:           "",

		// If the first id is invalid, the other is not used. The same user would get a
		// second account.
		`"id":6754923450134.0,"user_id":"u"`:  "",
		`"id":1e12,"user_id":"u"`:             "",
		`"id":1e999,"user_id":"u"`:            "",
		`"id":null,"user_id":1e999`:           "",
		`"id":-1,"user_id":"u"`:               "",
		`"id":-0,"user_id":"u"`:               "",
		`"id":true,"user_id":7`:               "",
		`"id":false,"user_id":"u"`:            "",
		`"id":{},"user_id":"u"`:               "",
		`"id":[],"user_id":"u"`:               "",
		`"id":["1"],"user_id":"u"`:            "",
		`"id":" 675","user_id":"u"`:           "",
		`"id":"1\u007f","user_id":"u"`:        "",
		`"id":" ","user_id":"u"`:              "",
		`"id":"1\u0000","user_id":"u"`:        "",
		`"id":"\u0000","user_id":"u"`:         "",
		`"id":"１","user_id":"u"`:              "",
		`"id":null,"user_id":1.5`:             "",
		`"id":"","user_id":true`:              "",
		`"id":1e3`:                            "",
		`"id":1.0`:                            "",
		`"id":-1`:                             "",
		`"id":"1 "`:                           "",
		`"id":"1\u0000"`:                      "",
		`"id":"1\n2"`:                         "",
		`"ids":"1","uid":"1","email":"a@b.c"`: "",
	} {
		user, err := fetchFields(t, fields)
		assert.Equal(t, wanted, user.UserID, fields)
		if wanted != "" {
			assert.NoError(t, err, fields)
			continue
		}
		assertReadable(t, "fetching the user", err)
		assert.Regexp(t, `: the user('s (user_)?id cannot be read| has no id) \(`, err.Error())
		assert.Equal(t, goth.User{}, user, fields)
	}
}

// A program can store a user like those of other providers. RawData has no
// json.Number, which gob would not know. It has no infinite number, which
// encoding/json would refuse.
func TestUserCanBeStored(t *testing.T) {
	t.Parallel()
	gob.Register(map[string]any{})
	gob.Register([]any{})
	user, err := fetchFields(t, `"id":1234567890123456789,"price":1.5,"links":[1,"two",[3],{"four":4}],"large":1e999,"none":null`)
	require.NoError(t, err)
	assert.Equal(t, "1234567890123456789", user.UserID)
	wanted := map[string]any{"success": true, "user": map[string]any{
		"id": float64(1234567890123456789), "price": 1.5, "links": []any{1.0, "two", []any{3.0}, map[string]any{"four": 4.0}},
		"large": nil, "none": nil,
	}}
	assert.Equal(t, wanted, user.RawData)

	var stored bytes.Buffer
	require.NoError(t, gob.NewEncoder(&stored).Encode(user))
	var read goth.User
	require.NoError(t, gob.NewDecoder(&stored).Decode(&read))
	assert.Equal(t, user, read)
	_, err = json.Marshal(user)
	assert.NoError(t, err)
}

// For each recorded answer, FetchUser returns the user or an error with its status.
func TestFetchUserRecordings(t *testing.T) {
	t.Parallel()
	for _, x := range recordings(t, func(x exchange) bool { return x.target == "/v2/user" && x.bearer != "" }) {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			user, err := fetch(t, x.name)
			if x.status == http.StatusOK {
				assert.NoError(t, err)
				assert.Regexp(t, `^\d{13}$`, user.UserID)
				return
			}
			assert.Equal(t, goth.User{}, user)
			assertReadable(t, "fetching the user", err)
			assert.Equal(t, x.status, asError(t, err).StatusCode)
			assert.Equal(t, x.status == http.StatusUnauthorized, errors.Is(err, gumroad.ErrUnauthorized))
		})
	}
}

func TestFetchUserWithATokenOfNoUse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"user_bogus_token/user", "user_revoked_token/user", "refresh_ok/user with the old access token"} {
		_, err := fetch(t, name)
		assert.ErrorIs(t, err, gumroad.ErrUnauthorized, name)
		assert.Equal(t, http.StatusUnauthorized, asError(t, err).StatusCode, name)
		assert.ErrorContains(t, err, "log in again", name)
	}

	_, err := fetch(t, "user_insufficient_scope/user")
	assert.NotErrorIs(t, err, gumroad.ErrUnauthorized)
	assert.Equal(t, http.StatusForbidden, asError(t, err).StatusCode)
	assert.EqualError(t, err, "gumroad: fetching the user: Gumroad answered 403 Forbidden (ask for the scope view_profile as well)")
}

func TestFetchUserWithoutSuccess(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status       int
		answer, says string
	}{
		{http.StatusOK, `{"success":false,"message":"The user was not found."}`, "Gumroad answered 200 OK: The user was not found. (the user must log in again; the account may be closed)"},
		{http.StatusNotFound, `{"success":false,"message":"The user was not found."}`, "Gumroad answered 404 Not Found: The user was not found. (the user must log in again; the account may be closed)"},
		{http.StatusOK, `{"success":false,"message":"We are moving."}`, "Gumroad answered 200 OK: We are moving. (try again later)"},
		{http.StatusInternalServerError, `{"success":true,"user":{"id":"1"}}`, "Gumroad answered 500 Internal Server Error"},
		{http.StatusCreated, `{"success":true,"user":{"id":"1"}}`, "Gumroad answered 201 Created"},
		{http.StatusOK, `{"success":false,"user":{"id":"1"}}`, "Gumroad answered 200 OK"},
		{http.StatusOK, `{"success":false,"message":{"a":"b"}}`, "Gumroad answered 200 OK"},
		{http.StatusOK, `{"success":"true","user":{"id":"1"}}`, "Gumroad answered 200 OK"},
		{http.StatusOK, `{"success":1,"user":{"id":"1"}}`, "Gumroad answered 200 OK"},
		{http.StatusOK, `{"success":null,"user":{"id":"1"}}`, "Gumroad answered 200 OK"},
		{http.StatusOK, `{"user":{"id":"1"}}`, "Gumroad answered 200 OK"},
		{http.StatusOK, `{}`, "Gumroad answered 200 OK"},
		{http.StatusOK, ``, "Gumroad answered 200 OK"},
	} {
		user, err := answering(t, text(test.status, "application/json", test.answer)).FetchUser(&gumroad.Session{AccessToken: accessToken})
		assert.Equal(t, goth.User{}, user, test.answer)
		assertReadable(t, "fetching the user", err)
		assert.Equal(t, test.status, asError(t, err).StatusCode, test.answer)
		assert.ErrorContains(t, err, test.says)
		assert.NotErrorIs(t, err, gumroad.ErrUnauthorized)
	}
	for _, answer := range []string{`{"success":true}`, `{"success":true,"user":null}`, `{"success":true,"user":[{"id":"1"}]}`, `{"success":true,"user":"1"}`, `{"success":true,"id":"1"}`} {
		user, err := answering(t, object(answer)).FetchUser(&gumroad.Session{AccessToken: accessToken})
		assert.Equal(t, goth.User{}, user, answer)
		assertReadable(t, "fetching the user", err)
	}
}

// gothic calls FetchUser before there is a token. It continues the login only if
// the call fails. The call must not make a request.
func TestFetchUserBeforeAuthorize(t *testing.T) {
	t.Parallel()
	for _, session := range []goth.Session{
		&gumroad.Session{AuthURL: "/foo", CodeVerifier: verifier}, (*gumroad.Session)(nil), nil, &faux.Session{AccessToken: accessToken},
	} {
		user, err := answering(t).FetchUser(session)
		assert.Equal(t, goth.User{}, user)
		assertReadable(t, "fetching the user", err)
	}
}

// net/http refuses such a header. The error must not blame the connection.
func TestFetchUserWithATokenThatFitsNoHeader(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"a\n", "a\r\nb", "\x00", "a\x7f"} {
		_, err := answering(t).FetchUser(&gumroad.Session{AccessToken: token})
		assert.EqualError(t, err, "gumroad: fetching the user: the access token has a character that cannot be in a header (the user must log in again)")
	}
	_, err := answering(t, object(success)).FetchUser(&gumroad.Session{AccessToken: "é\t 日"})
	assert.NoError(t, err)
}

func TestSizeOfTheUser(t *testing.T) {
	t.Parallel()
	const limit = 2 << 20
	const begin, end = `{"success":true,"user":{"id":"1","bio":"`, `"}}`
	filling := strings.Repeat("x", limit-len(begin+end))
	for _, test := range []struct {
		name, answer string
		ok           bool
	}{
		{"2 MiB", begin + filling + end, true},
		{"a byte more", begin + filling + "x" + end, false},
		{"white space more", begin + filling + end + " ", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			user, err := answering(t, object(test.answer)).FetchUser(&gumroad.Session{AccessToken: accessToken})
			if test.ok {
				assert.NoError(t, err)
				assert.Equal(t, "1", user.UserID)
				return
			}
			assertReadable(t, "fetching the user", err)
			assert.ErrorContains(t, err, "more than 2097152 bytes")
		})
	}
}

// A seller with 50,000 products can log in. The answer lists the address of each.
func TestSellerOfManyProducts(t *testing.T) {
	t.Parallel()
	const products = 50_000
	user, err := answering(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"success":true,"user":{"id":"1","links":["first"`)
		for i := 1; i < products; i++ {
			_, _ = fmt.Fprintf(w, `,"https://a.co/l/%014d"`, i)
		}
		_, _ = io.WriteString(w, `]}}`)
	})).FetchUser(&gumroad.Session{AccessToken: accessToken})
	require.NoError(t, err)
	assert.Equal(t, "1", user.UserID)
	assert.Len(t, user.RawData["user"].(map[string]any)["links"], products)
}
