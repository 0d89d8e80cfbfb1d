package gumroad_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
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
		RawData:      decode(t, x.body),
	}, user)
	assert.Len(t, user.RawData["user"], 12)
}

// profile returns a user with only the fields that come from Gumroad's fields.
func profile(u goth.User) goth.User {
	return goth.User{UserID: u.UserID, Name: u.Name, NickName: u.NickName, Email: u.Email, Description: u.Description, AvatarURL: u.AvatarURL}
}

// A token with other scopes reads fewer fields, and a user may have none of them.
func TestFetchUserRecordings(t *testing.T) {
	t.Parallel()
	john := goth.User{UserID: "6754923450134", Name: "Sailor John", NickName: "sailorjohn", Email: "john@example.com",
		Description: "I sail.", AvatarURL: "https://public-files.gumroad.com/avatar-john.png"}
	wanted := map[string]goth.User{
		"user_view_profile/user":                  john,
		"user_account/user":                       john,
		"user_edit_products_and_view_sales/user":  john,
		"user_everything_unset_view_profile/user": {UserID: "2200000000002", Name: "sailor2", NickName: "sailor2", Email: "two@example.com", AvatarURL: john.AvatarURL},
	}
	for _, x := range recordings(t, func(x exchange) bool { return x.target == "/v2/user" && x.bearer != "" }) {
		user, err := replaying(t, x).FetchUser(&gumroad.Session{AccessToken: x.bearer})
		if x.status == http.StatusOK {
			require.NoError(t, err, x.name)
			if want, ok := wanted[x.name]; ok {
				assert.Equal(t, want, profile(user), x.name)
				delete(wanted, x.name)
			}
			continue
		}
		assert.Equal(t, goth.User{}, user)
		assertReadable(t, "fetching the user", err)
		assert.Equal(t, x.status, asError(t, err).StatusCode)
		switch x.status {
		case http.StatusUnauthorized:
			assert.ErrorIs(t, err, gumroad.ErrUnauthorized)
		case http.StatusForbidden:
			assert.NoError(t, cause(err))
		}
	}
	assert.Empty(t, wanted, "no such recordings")
}

// The recordings of refusals that TestFetchUserRecordings relies on.
func TestFetchUserRefusals(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"user_bogus_token/user": 401, "user_revoked_token/user": 401, "refresh_ok/user with the old access token": 401,
		"user_insufficient_scope/user": 403} {
		assert.Equal(t, status, recording(t, name).status, name)
	}
}

// fetchFields returns the user that FetchUser makes of these fields.
func fetchFields(fields string) (goth.User, error) {
	return fetchAnswer(`{"success":true,"user":{` + fields + `}}`)
}

func fetchAnswer(body string) (goth.User, error) {
	return over(func(*http.Request) (*http.Response, error) {
		return response(http.StatusOK, nil, strings.NewReader(body)), nil
	}).FetchUser(&gumroad.Session{AccessToken: accessToken})
}

func TestUserFields(t *testing.T) {
	t.Parallel()
	for fields, wanted := range map[string]goth.User{
		// None of these fields can be used.
		`"other":1`: {},
		`"name":null,"display_name":null,"email":null,"bio":null,"profile_picture_url":null,"profile_url":null,"url":null`:    {},
		`"name":1,"display_name":true,"email":["a@b"],"bio":{"a":"b"},"profile_picture_url":1.5,"profile_url":[],"url":7`:     {},
		`"name":"","display_name":"","email":"","bio":"","profile_picture_url":"","profile_url":"","url":""`:                  {},
		`"Name":"J","EMAIL":"a@b","Bio":"b","Profile_url":"https://p/1","URL":"https://jo.gumroad.com","twitter_handle":"tw"`: {},

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
		`"display_name":"1"`:               {},
		`"user_id":"u","display_name":"u"`: {},
		`"user_id":"u","display_name":"v"`: {Name: "v"},
		`"name":null,"display_name":"1"`:   {},
		`"display_name":"jo@example.com"`:  {},

		// PostgreSQL cannot store a NUL.
		`"name":"Jo\u0000hn","email":"\u0000a@example.com","bio":"b\u0000","profile_url":"https://p/\u00002","url":"https://jo\u0000hn.gumroad.com"`: {
			Name: "John", Email: "a@example.com", Description: "b", AvatarURL: "https://p/2", NickName: "john"},
		`"name":"\u0000","display_name":"Ja\u0000ck","profile_picture_url":" \u0000","profile_url":"https://p/2"`: {Name: "Jack", AvatarURL: "https://p/2"},

		`"profile_picture_url":"https://p/1"`:                             {AvatarURL: "https://p/1"},
		`"profile_picture_url":"https://p/1","profile_url":"https://p/2"`: {AvatarURL: "https://p/1"},
		`"profile_url":"https://p/2"`:                                     {AvatarURL: "https://p/2"},
		`"profile_picture_url":null,"profile_url":"https://p/2"`:          {AvatarURL: "https://p/2"},
	} {
		user, err := fetchFields(`"id":"1",` + fields)
		wanted.UserID = "1"
		assert.NoError(t, err, fields)
		assert.Equal(t, wanted, profile(user), fields)
	}
}

func TestNickName(t *testing.T) {
	t.Parallel()
	for pageURL, wanted := range map[string]string{
		"https://sailorjohn.gumroad.com":  "sailorjohn",
		"https://sailorjohn.gumroad.com/": "sailorjohn",
		"https://gumroad.com/sailorjohn":  "sailorjohn",
		"https://gumroad.com/sailorjohn/": "sailorjohn",
		"https://2sail4u.gumroad.com":     "2sail4u",
		"https://sailor-john.gumroad.com": "sailor_john",
		"https://gumroad.com/sailor_john": "sailor_john",
		"https://2-b.gumroad.com":         "2_b",
		"https://a.gumroad.com":           "a",
		"https://gumroad.com/z":           "z",

		// The id is in the place of a username.
		"https://6754923450134.gumroad.com": "", "https://gumroad.com/6754923450134": "", "https://2-2.gumroad.com": "", "https://-.gumroad.com": "",
		// This is nobody's page.
		"https://www.gumroad.com": "", "https://gumroad.com/www": "", "https://www.gumroad.com/john": "", "https://gumroad.com": "", "https://gumroad.com/": "",
		"https://.gumroad.com": "", "https://a.b.gumroad.com": "", "https://gumroad.com/a/b": "", "https://gumroad.com/l/boo": "", "https://john.gumroad.com/l": "",
		"https://gumroad.com/sailor-john": "", "https://Sailor.gumroad.com": "", "https://gumroad.com/söil": "", "https://gumroad.com/a?b": "",
		"https://example.com/sailorjohn": "", "https://sailorjohn.example.com": "", "https://sailorjohn.gumroad.com.example.com": "",
		"https://example.com/sailorjohn.gumroad.com": "", "https://sailorjohnxgumroad.com": "", "https://sailorjohn": "", "https://john.gumroad.com:443": "",
		"http://sailor.gumroad.com": "", "sailorjohn": "", "sailorjohn.gumroad.com": "", "gumroad.com/sailorjohn": "", "//sailor.gumroad.com": "",
	} {
		user, err := fetchFields(`"id":"1","url":"` + pageURL + `"`)
		assert.NoError(t, err, pageURL)
		assert.Equal(t, wanted, user.NickName, pageURL)
	}
}

// The example in Gumroad's documentation has no id and a URL in the older form.
func TestFetchUserOfTheDocumentation(t *testing.T) {
	t.Parallel()
	user, err := fetchFields(`
		"bio": "a sailor, a tailor", "name": "John Smith", "twitter_handle": null, "user_id": "G_-mnBf9b1j9A7a4ub4nFQ==",
		"email": "johnsmith@gumroad.com", "url": "https://gumroad.com/sailorjohn"`)
	assert.NoError(t, err)
	assert.Equal(t, goth.User{UserID: "G_-mnBf9b1j9A7a4ub4nFQ==", Name: "John Smith", NickName: "sailorjohn",
		Email: "johnsmith@gumroad.com", Description: "a sailor, a tailor"}, profile(user))
}

func TestUserID(t *testing.T) {
	t.Parallel()
	const none, unreadable, otherUnreadable = "the user has no id", "the user's id cannot be read", "the user's user_id cannot be read"
	for _, test := range []struct{ fields, id, says string }{
		{fields: `"id":"6754923450134"`, id: "6754923450134"},
		{fields: `"id":6754923450134`, id: "6754923450134"},
		{fields: `"id":9007199254740993`, id: "9007199254740993"}, // a float64 cannot hold it
		{fields: `"id":12345678901234567890123456789`, id: "12345678901234567890123456789"},
		{fields: `"id":"0012"`, id: "0012"},
		{fields: `"id":"!~"`, id: "!~"},
		{fields: `"id":"1","user_id":"u"`, id: "1"},
		{fields: `"user_id":"u","id":1`, id: "1"},
		{fields: `"user_id":"G_-mnBf9b1j9A7a4ub4nF="`, id: "G_-mnBf9b1j9A7a4ub4nF="},
		{fields: `"user_id":77`, id: "77"},
		{fields: `"id":null,"user_id":"u"`, id: "u"},
		{fields: `"id":"","user_id":"u"`, id: "u"},
		{fields: `"id":7,"ID":8,"Id":null`, id: "7"}, // encoding/json would take any of them for a struct's field

		{fields: `"name":"John"`, says: none},
		{fields: `"id":null`, says: none},
		{fields: `"id":"","user_id":""`, says: none},
		{fields: `"ID":"1","Id":"1","USER_ID":"u"`, says: none},
		{fields: `"ids":"1","uid":"1","email":"a@b.c"`, says: none},

		// If the id cannot be read, the other is not used, since the same user would get a
		// second account.
		{fields: `"id":6754923450134.0,"user_id":"u"`, says: unreadable},
		{fields: `"id":1e12,"user_id":"u"`, says: unreadable},
		{fields: `"id":1E3`, says: unreadable},
		{fields: `"id":1e999,"user_id":"u"`, says: unreadable},
		{fields: `"id":-1,"user_id":"u"`, says: unreadable},
		{fields: `"id":-0,"user_id":"u"`, says: unreadable},
		{fields: `"id":true,"user_id":7`, says: unreadable},
		{fields: `"id":false,"user_id":"u"`, says: unreadable},
		{fields: `"id":{"id":"1"},"user_id":"u"`, says: unreadable},
		{fields: `"id":["1"],"user_id":"u"`, says: unreadable},
		{fields: `"id":" 675","user_id":"u"`, says: unreadable},
		{fields: `"id":"1 "`, says: unreadable},
		{fields: `"id":"1\u007f","user_id":"u"`, says: unreadable},
		{fields: `"id":" ","user_id":"u"`, says: unreadable},
		{fields: `"id":"1\u0000","user_id":"u"`, says: unreadable},
		{fields: `"id":"\u0000","user_id":"u"`, says: unreadable},
		{fields: `"id":"1\n2"`, says: unreadable},
		{fields: `"id":"１","user_id":"u"`, says: unreadable},
		{fields: `"id":null,"user_id":1.5`, says: otherUnreadable},
		{fields: `"id":null,"user_id":1e999`, says: otherUnreadable},
		{fields: `"id":"","user_id":true`, says: otherUnreadable},
	} {
		user, err := fetchFields(test.fields)
		assert.Equal(t, test.id, user.UserID, test.fields)
		if test.says == "" {
			assert.NoError(t, err, test.fields)
			continue
		}
		assertReadable(t, "fetching the user", err)
		assert.ErrorContains(t, err, "no usable answer from Gumroad: "+test.says+" (", test.fields)
		assert.Equal(t, goth.User{}, user, test.fields)
	}
}

// encoding/json matches the fields of a struct in any case. Here only "success" and
// "user" count.
func TestUserInAnotherCase(t *testing.T) {
	t.Parallel()
	for answer, id := range map[string]string{
		`{"success":true,"user":{"id":7},"User":null}`:           "7",
		`{"success":true,"user":{"id":7},"USER":{"id":8}}`:       "7",
		`{"success":true,"user":{"id":7},"Success":false}`:       "7",
		`{"success":true,"USER":{"id":8}}`:                       "",
		`{"success":true,"user":{"name":"J"},"User":{"id":"1"}}`: "",
		`{"SUCCESS":true,"user":{"id":"1"}}`:                     "",
	} {
		user, err := fetchAnswer(answer)
		assert.Equal(t, id, user.UserID, answer)
		if id == "" {
			assertReadable(t, "fetching the user", err)
		} else {
			assert.NoError(t, err, answer)
		}
	}
}

// A program can store a user like those of other providers. RawData has no
// json.Number, which gob would not know, and no infinite number, which encoding/json
// would refuse.
func TestUserCanBeStored(t *testing.T) {
	t.Parallel()
	gob.Register(map[string]any{})
	gob.Register([]any{})
	user, err := fetchFields(`"id":1234567890123456789,"price":1.5,"links":[1,"two",[3,-1e999],{"four":4,"more":1e400}],"large":1e999,"none":null`)
	require.NoError(t, err)
	assert.Equal(t, "1234567890123456789", user.UserID)
	assert.Equal(t, map[string]any{"success": true, "user": map[string]any{
		"id": float64(1234567890123456789), "price": 1.5, "links": []any{1.0, "two", []any{3.0, nil}, map[string]any{"four": 4.0, "more": nil}},
		"large": nil, "none": nil,
	}}, user.RawData)
	_, err = json.Marshal(user)
	assert.NoError(t, err)
	var stored bytes.Buffer
	require.NoError(t, gob.NewEncoder(&stored).Encode(user))
	var read goth.User
	require.NoError(t, gob.NewDecoder(&stored).Decode(&read))
	assert.Equal(t, user, read)
}

// kept is an application's own session.
type kept struct{ *gumroad.Session }

// gothic calls FetchUser before there is a token, and continues the login only if that
// fails. FetchUser makes no request for it, nor for what is not the package's session.
func TestFetchUserWithoutAnAccessToken(t *testing.T) {
	t.Parallel()
	for _, session := range []goth.Session{
		nil, (*gumroad.Session)(nil), &gumroad.Session{AuthURL: "/foo", CodeVerifier: verifier, RefreshToken: refreshToken},
		&faux.Session{AccessToken: accessToken}, kept{}, (*kept)(nil), kept{&gumroad.Session{AccessToken: accessToken}},
	} {
		user, err := answering(t).FetchUser(session)
		assert.Equal(t, goth.User{}, user)
		assert.EqualError(t, err, "gumroad: fetching the user: this is not a *gumroad.Session with an access token; call Authorize first")
	}
}

// net/http refuses such a header. The error must not blame the connection.
func TestFetchUserWithATokenThatFitsNoHeader(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"a\n", "a\r\nb", "\x00", "a\x1f", "a\x7f"} {
		_, err := answering(t).FetchUser(&gumroad.Session{AccessToken: token})
		assert.EqualError(t, err, "gumroad: fetching the user: the access token has a character that cannot be in a header (the user must log in again)")
	}
	_, err := answering(t, object(success)).FetchUser(&gumroad.Session{AccessToken: "a é\t日~"})
	assert.NoError(t, err)
}

// A seller with 50,000 products can log in. The response lists the URL of each.
func TestSellerOfManyProducts(t *testing.T) {
	t.Parallel()
	var links strings.Builder
	for i := range 50_000 {
		_, _ = fmt.Fprintf(&links, `,"https://a.co/l/%014d"`, i)
	}
	user, err := fetchFields(`"id":"1","links":["first"` + links.String() + `]`)
	require.NoError(t, err)
	assert.Equal(t, "1", user.UserID)
	assert.Len(t, user.RawData["user"].(map[string]any)["links"], 50_001)
}
