package gumroad_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/markbates/goth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/gumroad/goth-gumroad"
)

// faultSecrets holds the values of a login that no error may contain.
type faultSecrets struct {
	secret, code, verifier, access, refresh string
}

// faultReal has values that look like Doorkeeper's secrets and tokens. The values
// of faultOdd change when they are encoded in a form. They are too short to be
// recognized as tokens.
var (
	faultReal = faultSecrets{
		secret:   "Zk3-secret_Qw8RtYuIoP0aSdFgHjKlZxCvBnM12345",
		code:     "-m7code_Qw8RtYuIoP0aSdFgHjKlZxCvBnM123456789",
		verifier: "Vr5verifier-Qw8RtYuIoP0aSdFgHjKlZxCvBnM_1234",
		access:   "Ac9access_Qw8RtYuIoP0aSdFgHjKlZxCvBnM-123456",
		refresh:  "Rf2refresh_Qw8RtYuIoP0aSdFgHjKlZxCvBnM-12345",
	}
	faultOdd = faultSecrets{
		secret:   "p&ss=w/rd+é",
		code:     "c%de+1/2==",
		verifier: "v~rifier/+1&",
		access:   "a/cc+ess==",
		refresh:  "r&fr/esh+=",
	}
)

func (s faultSecrets) provider(base string, client *http.Client) *gumroad.Provider {
	p := gumroad.NewCustomisedURL("fault-key", s.secret, "https://app.example/callback",
		base+"/oauth/authorize", base+"/oauth/token", base+"/v2/user")
	p.HTTPClient = client
	return p
}

// faultOperations lists the operations that make a request to Gumroad. Each fails
// the test if it returns or changes anything when there is an error.
var faultOperations = []struct {
	name string
	do   func(t *testing.T, p *gumroad.Provider, s faultSecrets) error
}{
	{"user", func(t *testing.T, p *gumroad.Provider, s faultSecrets) error {
		user, err := p.FetchUser(&gumroad.Session{AccessToken: s.access, RefreshToken: s.refresh})
		if err != nil {
			assert.Equal(t, goth.User{}, user)
		}
		return err
	}},
	{"exchange", func(t *testing.T, p *gumroad.Provider, s faultSecrets) error {
		before := gumroad.Session{AuthURL: "https://gumroad.com/oauth/authorize?state=1", CodeVerifier: s.verifier}
		session := before
		token, err := session.Authorize(p, url.Values{"code": {s.code}})
		if err != nil {
			assert.Empty(t, token)
			assert.Equal(t, before, session)
		}
		return err
	}},
	{"refresh", func(t *testing.T, p *gumroad.Provider, s faultSecrets) error {
		token, err := p.RefreshToken(s.refresh)
		if err != nil {
			assert.Nil(t, token)
		}
		return err
	}},
	{"revoke", func(t *testing.T, p *gumroad.Provider, s faultSecrets) error {
		return p.RevokeToken(context.Background(), s.access)
	}},
}

const (
	faultHTML   = "text/html; charset=utf-8"
	faultJSON   = "application/json; charset=utf-8"
	faultMemory = 160 << 20 // bytes that one request may allocate, including the server's
)

// faultAnswer returns a handler that gives this answer to every request.
func faultAnswer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func faultObject(body string) http.HandlerFunc { return faultAnswer(http.StatusOK, faultJSON, body) }

// faultBytes reads the request, writes answer to the connection and closes it.
func faultBytes(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, answer)
	}
}

// faultEndless sends start, and then more until the client closes the connection.
func faultEndless(start, more string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", faultJSON)
		_, err := io.WriteString(w, start)
		for chunk := strings.Repeat(more, 32<<10/len(more)); err == nil; {
			_, err = io.WriteString(w, chunk)
		}
	}
}

// faultBomb sends a gigabyte that is compressed to about a megabyte. A gzip stream
// can have several members, so it sends the same member again and again.
func faultBomb(start, more string) http.HandlerFunc {
	pack := func(text string) []byte {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return packed.Bytes()
	}
	first, rest := pack(start), pack(strings.Repeat(more, 1<<20/len(more)))
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", faultJSON)
		w.Header().Set("Content-Encoding", "gzip")
		_, err := w.Write(first)
		for i := 0; i < 1024 && err == nil; i++ {
			_, err = w.Write(rest)
		}
	}
}

// faultHang calls start and then sends nothing until the client gives up.
func faultHang(start func(w http.ResponseWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// net/http notices that the client has gone only after the body was read.
		_, _ = io.Copy(io.Discard, r.Body)
		start(w)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// faultTokens returns at least size bytes of text that looks like tokens. All of
// them differ.
func faultTokens(size int) string {
	var text strings.Builder
	for i := 0; text.Len() < size; i++ {
		fmt.Fprintf(&text, "%043d ", i)
	}
	return text.String()
}

func faultUser(fields string) http.HandlerFunc {
	return faultObject(`{"success":true,"user":{` + fields + `}}`)
}

// A fault is a bad answer. If revoked is true, it is a success for RevokeToken.
// RFC 7009 lets the client look only at the status, so a 200 without an error
// means that the token was revoked.
type fault struct {
	name    string
	answer  http.HandlerFunc
	hangs   bool
	revoked bool
}

func faults() []fault {
	return []fault{
		// Network failures.
		{name: "connection refused"}, // answer is nil, so nobody listens
		{name: "cut before the answer", answer: faultBytes("")},
		{name: "reset before the answer", answer: func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}},
		{name: "cut in the status line", answer: faultBytes("HTTP/1.1 20")},
		{name: "cut in the headers", answer: faultBytes("HTTP/1.1 200 OK\r\nContent-Type: appl")},
		{name: "cut before the body", answer: faultBytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")},
		{name: "cut in the body", answer: faultBytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"success\":true,\"access_token\":\"x\"")},
		{name: "cut in a chunk", answer: faultBytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n63\r\n{\"access_token\":\"x\"")},
		{name: "cut after a whole object", answer: faultBytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"success\":true,\"user\":{\"id\":\"1\"},\"access_token\":\"x\"}")},
		{name: "hang before the headers", hangs: true, answer: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}},
		{name: "hang before the body", hangs: true, answer: faultHang(func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) })},
		{name: "hang in the body", hangs: true, answer: faultHang(func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"success":true,"user":{"id":"1"},"access_token":"x"`)
		})},
		{name: "hang after a whole object", hangs: true, answer: faultHang(func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"success":true,"user":{"id":"1"},"access_token":"x"}`)
		})},

		// Answers that are not HTTP, or that have too many or too long headers.
		{name: "not HTTP", answer: faultBytes("SSH-2.0-OpenSSH_9.9\r\n")},
		{name: "not HTTP, a long line", answer: faultBytes(strings.Repeat("220 mail.example ESMTP ", 4000) + "\r\n")},
		{name: "TLS where there should be none", answer: faultBytes("\x15\x03\x01\x00\x02\x02\x46")},
		{name: "a broken status", answer: faultBytes("HTTP/1.1 2OO " + strings.Repeat("fine ", 4000) + "\r\n\r\n")},
		{name: "a broken header", answer: faultBytes("HTTP/1.1 200 OK\r\n" + strings.Repeat("no colon ", 4000) + "\r\n\r\n")},
		{name: "a broken length", answer: faultBytes("HTTP/1.1 200 OK\r\nContent-Length: " + strings.Repeat("many ", 4000) + "\r\n\r\n{}")},
		{name: "an unknown transfer encoding", answer: faultBytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + strings.Repeat("odd ", 4000) + "\r\n\r\n{}")},
		{name: "a long status", answer: faultBytes("HTTP/1.1 503 " + strings.Repeat("not today ", 4000) + "\r\nContent-Length: 0\r\n\r\n")},
		{name: "endless headers", answer: func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for line := strings.Repeat("X-More: and more\r\n", 2000); err == nil; {
				_, err = io.WriteString(conn, line)
			}
		}},
		{name: "only interim answers", answer: faultBytes(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 10000))},
		{name: "broken gzip", answer: faultBytes("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!")},

		// A status other than 200.
		{name: "204", answer: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }},
		{name: "401", answer: faultAnswer(http.StatusUnauthorized, "text/html", "")},
		{name: "403", answer: faultAnswer(http.StatusForbidden, "text/html", "")},
		{name: "404", answer: faultAnswer(http.StatusNotFound, faultHTML, "<h1>Not found</h1>")},
		{name: "429", answer: faultAnswer(http.StatusTooManyRequests, "text/plain", "Retry later\n")},
		{name: "500 with a long page", answer: faultAnswer(http.StatusInternalServerError, faultHTML, strings.Repeat("<p>We're sorry, but something went wrong.</p>\n", 20000))},
		{name: "502", answer: faultAnswer(http.StatusBadGateway, faultHTML, "<h1>502 Bad Gateway</h1>")},
		{name: "503", answer: faultAnswer(http.StatusServiceUnavailable, "text/plain", "upstream connect error")},
		{name: "a long error", answer: faultAnswer(http.StatusBadRequest, faultJSON, `{"error":"`+strings.Repeat("no ", 9000)+
			`","error_description":"`+strings.Repeat(`\" \uD83D\uDE00 \u0007`, 9000)+`","error_uri":"`+strings.Repeat("\\u200b ", 9000)+`"}`)},
		{name: "a long error in quotation marks", answer: faultAnswer(http.StatusBadRequest, faultJSON, `{"error":"`+strings.Repeat(`\"`, 9000)+
			`","error_description":"`+strings.Repeat(`\"`, 9000)+`"}`)},
		{name: "a page full of tokens", answer: faultAnswer(http.StatusInternalServerError, faultHTML, faultTokens(1_000_000))},
		{name: "an error full of tokens", answer: faultAnswer(http.StatusBadRequest, faultJSON, `{"error":"x","message":"`+faultTokens(1_000_000)+`"}`)},
		{name: "a 500 with everything good in it", answer: faultAnswer(http.StatusInternalServerError, faultJSON,
			`{"success":true,"user":{"id":"1"},"access_token":"x","token_type":"Bearer"}`)},

		// Bodies that are too large.
		{name: "an endless text", answer: faultEndless(`{"success":true,"user":{"id":"`, "1")},
		{name: "an endless depth", answer: faultEndless("", `{"user":`)},
		{name: "endless blanks", answer: faultEndless("", " ")},
		{name: "endless blanks after a whole object", answer: faultEndless(`{"success":true,"user":{"id":"1"},"access_token":"x"}`, " ")},
		{name: "a compressed bomb of text", answer: faultBomb(`{"success":true,"user":{"id":"1","bio":"`, "a")},
		{name: "a compressed bomb of objects", answer: faultBomb(`{"success":true,"user":{"id":"1","links":[{}`, ",{}")},
		{name: "deeply nested lists", answer: faultObject(strings.Repeat("[", 1<<20))},
		{name: "deeply nested objects", answer: faultObject(`{"success":true,"user":{"id":` + strings.Repeat(`{"id":`, 100000) + `1` + strings.Repeat("}", 100002))},

		// Bodies that are not a JSON object.
		{name: "empty", answer: faultObject(""), revoked: true},
		{name: "truncated", answer: faultObject(`{"success":true,"access_token":"x","user":{"id":"1"`)},
		{name: "NULs", answer: faultObject(strings.Repeat("\x00", 4000))},
		{name: "an object with a NUL behind it", answer: faultObject(`{"success":true,"user":{"id":"1"},"access_token":"x"}` + "\x00")},
		{name: "two objects", answer: faultObject(`{"success":true,"user":{"id":"1"},"access_token":"x"}{}`)},
		{name: "not UTF-8", answer: faultObject("\xff\xfe{\x00}\x00")},
		{name: "null", answer: faultObject("null")},
		{name: "a list", answer: faultObject("[]")},
		{name: "a list with an object in it", answer: faultObject(`[{"success":true,"user":{"id":"1"},"access_token":"x"}]`)},
		{name: "a number", answer: faultObject("42")},
		{name: "a text", answer: faultObject(`"success"`)},
		{name: "true", answer: faultObject("true")},
		{name: "a page with 200", answer: faultAnswer(http.StatusOK, faultHTML, "<!doctype html><title>Gumroad</title>")},

		// Answers that identify no user.
		{name: "an empty object", answer: faultObject("{}"), revoked: true},
		{name: "success false with a user beside it", answer: faultObject(`{"success":false,"message":"The user was not found.","user":{"id":"1"}}`)},
		{name: "success false in other words", answer: faultObject(`{"success":"false","user":{"id":"1"}}`), revoked: true},
		{name: "success as a text", answer: faultObject(`{"success":"true","user":{"id":"1"}}`), revoked: true},
		{name: "success 1", answer: faultObject(`{"success":1,"user":{"id":"1"}}`), revoked: true},
		{name: "success null", answer: faultObject(`{"success":null,"user":{"id":"1"}}`), revoked: true},
		{name: "no success", answer: faultObject(`{"user":{"id":"1"}}`), revoked: true},
		{name: "an error beside a user", answer: faultObject(`{"success":true,"user":{"id":"1"},"error":"invalid_token"}`)},
		{name: "an error object beside a user", answer: faultObject(`{"success":true,"user":{"id":"1"},"error":{}}`)},
		{name: "no user", answer: faultObject(`{"success":true}`), revoked: true},
		{name: "the user is null", answer: faultObject(`{"success":true,"user":null}`), revoked: true},
		{name: "the user is a list", answer: faultObject(`{"success":true,"user":[{"id":"1"}]}`), revoked: true},
		{name: "the user is a text", answer: faultObject(`{"success":true,"user":"1"}`), revoked: true},
		{name: "the id beside the user", answer: faultObject(`{"success":true,"id":"1","user":{}}`), revoked: true},
		{name: "no ids", answer: faultUser(`"name":"Jo","email":"jo@example.com"`), revoked: true},
		{name: "ids empty", answer: faultUser(`"id":"","user_id":""`), revoked: true},
		{name: "ids null", answer: faultUser(`"id":null,"user_id":null`), revoked: true},
		{name: "ids objects", answer: faultUser(`"id":{"id":"1"},"user_id":{}`), revoked: true},
		{name: "ids lists", answer: faultUser(`"id":["1"],"user_id":[]`), revoked: true},
		{name: "ids booleans", answer: faultUser(`"id":true,"user_id":false`), revoked: true},
		{name: "ids blank", answer: faultUser(`"id":" ","user_id":"\t\n"`), revoked: true},
		{name: "ids with a NUL", answer: faultUser(`"id":"1\u0000","user_id":"\u0000"`), revoked: true},
		{name: "ids with invisible letters", answer: faultUser(`"id":"1\u200b","user_id":"\ufeff1"`), revoked: true},
		{name: "ids not whole numbers", answer: faultUser(`"id":1e3,"user_id":1.0`), revoked: true},
		{name: "ids negative", answer: faultUser(`"id":-1,"user_id":-0`), revoked: true},

		// Answers without a usable token.
		{name: "token null", answer: faultObject(`{"access_token":null,"token_type":"Bearer"}`), revoked: true},
		{name: "token empty", answer: faultObject(`{"access_token":"","token_type":"Bearer"}`), revoked: true},
		{name: "token a number", answer: faultObject(`{"access_token":1234567,"token_type":"Bearer"}`), revoked: true},
		{name: "token an object", answer: faultObject(`{"access_token":{"token":"x"},"token_type":"Bearer"}`), revoked: true},
		{name: "token a list", answer: faultObject(`{"access_token":["x"],"token_type":"Bearer"}`), revoked: true},
		{name: "token expired", answer: faultObject(`{"access_token":"x","token_type":"Bearer","expires_in":-1}`), revoked: true},
		{name: "token with a broken lifetime", answer: faultObject(`{"access_token":"x","expires_in":{}}`), revoked: true},
		{name: "token with a lifetime out of range", answer: faultObject(`{"access_token":"x","expires_in":1` + strings.Repeat("0", 4000) + `}`), revoked: true},
		{name: "token with an error in a 200", answer: faultObject(`{"access_token":"x","error":"invalid_grant"}`)},
		{name: "token in an error page", answer: faultAnswer(http.StatusBadRequest, faultJSON, `{"access_token":"x","error":"invalid_grant","error_description":"no"}`)},
		{name: "only a refresh token", answer: faultObject(`{"refresh_token":"x"}`), revoked: true},
	}
}

func TestFaults(t *testing.T) {
	for _, fault := range faults() {
		for _, operation := range faultOperations {
			t.Run(fault.name+"/"+operation.name, func(t *testing.T) {
				goroutines := runtime.NumGoroutine()
				transport := &http.Transport{}
				client := &http.Client{Transport: transport}
				if fault.hangs {
					// The answer never comes, so a short timeout misses nothing.
					client.Timeout = 50 * time.Millisecond
				}
				server := httptest.NewServer(fault.answer)
				if fault.answer == nil {
					server.Close()
				}

				allocated := faultAllocated()
				err := operation.do(t, faultReal.provider(server.URL, client), faultReal)
				allocated = faultAllocated() - allocated

				switch operation.name {
				case "revoke":
					if fault.revoked {
						require.NoError(t, err)
						break
					}
					faultCheck(t, err, faultReal)
				default:
					faultCheck(t, err, faultReal)
				}
				assert.Less(t, allocated, uint64(faultMemory))
				transport.CloseIdleConnections()
				server.Close()
				faultNothingRuns(t, goroutines)
			})
		}
	}
}

// Many small objects take the most memory. This answer is just below the size
// limit.
func TestFaultMemory(t *testing.T) {
	for _, object := range []string{`,{}`, `,{"":0}`} {
		fields := `"links":[{}` + strings.Repeat(object, (2<<20-100)/len(object)) + "]"
		for _, operation := range faultOperations {
			server := httptest.NewServer(faultUser(fields))
			client := &http.Client{Transport: &http.Transport{}}
			allocated := faultAllocated()
			err := operation.do(t, faultReal.provider(server.URL, client), faultReal)
			allocated = faultAllocated() - allocated
			if operation.name != "revoke" {
				faultCheck(t, err, faultReal)
			}
			assert.Less(t, allocated, uint64(faultMemory), "%s of %s", operation.name, object)
			client.CloseIdleConnections()
			server.Close()
		}
	}
}

// A redirect could send the secret or a token to somebody else. The provider
// follows no redirect, not even to the same host.
func TestFaultRedirects(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, operation := range faultOperations {
			t.Run(fmt.Sprintf("%d/%s", status, operation.name), func(t *testing.T) {
				var asked, strayed atomic.Int32
				// A thief would give a good answer, so that nobody notices.
				other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					strayed.Add(1)
					faultObject(`{"success":true,"user":{"id":"1"},"access_token":"x"}`)(w, r)
				}))
				defer other.Close()
				// net/http drops some headers if the host name changes, so the test uses both
				// another name and the same name.
				elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
				for _, location := range []string{other.URL, elsewhere, "//" + strings.TrimPrefix(other.URL, "http://"), "/again", "", "?"} {
					asked.Store(0)
					server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						asked.Add(1)
						w.Header()["Location"] = []string{location}
						w.WriteHeader(status)
						_, _ = io.WriteString(w, `{"success":true,"user":{"id":"1"},"access_token":"x"}`)
					}))
					client := &http.Client{
						Transport: &http.Transport{},
						// The application's own policy does not change this.
						CheckRedirect: func(*http.Request, []*http.Request) error { return nil },
					}
					err := operation.do(t, faultReal.provider(server.URL, client), faultReal)
					faultCheck(t, err, faultReal)
					assert.EqualValues(t, 1, asked.Load(), "requests for the redirect to %q", location)
					client.CloseIdleConnections()
					server.Close()
				}
				assert.Zero(t, strayed.Load(), "requests that reached another host")
			})
		}
	}
}

// faultEcho returns every value of the request, in each encoding that a server
// could have seen.
func faultEcho(r *http.Request) string {
	raw, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(raw))
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s %s ", r.Method, r.RequestURI, raw)
	for _, name := range []string{"client_secret", "code", "code_verifier", "refresh_token", "token"} {
		fmt.Fprintf(&text, "%s is %s or %s. ", name, form.Get(name), url.QueryEscape(form.Get(name)))
	}
	basic := base64.StdEncoding.EncodeToString([]byte(form.Get("client_id") + ":" + form.Get("client_secret")))
	fmt.Fprintf(&text, "Basic %s %s %s", basic, r.Header.Get("Authorization"), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	return text.String()
}

// faultEchoes lists the places where a careless server could put this text.
var faultEchoes = []struct {
	name   string
	answer func(w http.ResponseWriter, r *http.Request, echo string)
}{
	{"error_description", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultEchoJSON(w, 400, map[string]any{"error": "invalid_request", "error_description": echo})
	}},
	{"error_description at the cut", func(w http.ResponseWriter, r *http.Request, echo string) {
		// The padding makes the provider cut the description within a secret.
		pad := r.Header.Get("User-Agent") // any header that every request has
		faultEchoJSON(w, 400, map[string]any{"error": "invalid_request", "error_description": strings.Repeat(pad[:1]+" ", 140) + echo})
	}},
	{"error", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultEchoJSON(w, 400, map[string]any{"error": echo})
	}},
	{"error in a 200", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultEchoJSON(w, 200, map[string]any{"error": echo, "error_description": echo, "message": echo})
	}},
	{"error_uri", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultEchoJSON(w, 400, map[string]any{"error": "invalid_request", "error_uri": echo})
	}},
	{"any field", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultEchoJSON(w, 400, map[string]any{"request": echo})
	}},
	{"message", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultEchoJSON(w, 400, map[string]any{"success": false, "message": echo})
	}},
	{"message in a 200", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultEchoJSON(w, 200, map[string]any{"success": false, "message": echo, "error": "x"})
	}},
	{"a page", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultAnswer(500, faultHTML, "<pre>"+echo+"</pre>")(w, r)
	}},
	{"a page with 200", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultAnswer(200, faultHTML, echo)(w, r)
	}},
	{"plain text", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultAnswer(429, "text/plain", echo)(w, r)
	}},
	{"plain text with 200", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultAnswer(200, "text/plain", "request="+echo+"%zz")(w, r)
	}},
	{"a form", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultAnswer(400, "application/x-www-form-urlencoded", url.Values{"error": {echo}, "error_description": {echo}}.Encode())(w, r)
	}},
	{"a JSON text", func(w http.ResponseWriter, r *http.Request, echo string) { faultEchoJSON(w, 200, echo) }},
	{"expires_in", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultEchoJSON(w, 200, map[string]any{"access_token": "x", "expires_in": echo, "success": echo, "error": "x"})
	}},
	{"expires_in without an error", func(w http.ResponseWriter, r *http.Request, echo string) {
		body, _ := json.Marshal(map[string]any{"access_token": "x", "expires_in": echo})
		faultAnswer(200, faultJSON, string(body)+"!")(w, r)
	}},
	{"broken JSON", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultAnswer(200, faultJSON, `{"access_token":`+echo+`}`)(w, r)
	}},
	{"Location", func(w http.ResponseWriter, r *http.Request, echo string) {
		w.Header().Set("Location", "/?"+url.QueryEscape(echo))
		w.WriteHeader(http.StatusFound)
	}},
	{"a broken Location", func(w http.ResponseWriter, r *http.Request, echo string) {
		w.Header().Set("Location", "http://["+echo)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}},
	{"any header", func(w http.ResponseWriter, r *http.Request, echo string) {
		w.Header().Set("WWW-Authenticate", `Bearer error_description="`+echo+`"`)
		w.WriteHeader(http.StatusUnauthorized)
	}},
	{"the status line", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultBytes("HTTP/1.1 400 "+echo+"\r\nContent-Length: 0\r\n\r\n")(w, r)
	}},
	{"a broken status line", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultBytes("HTTP/1.1 "+echo+"\r\n\r\n")(w, r)
	}},
	{"the protocol", func(w http.ResponseWriter, r *http.Request, echo string) { faultBytes(echo+"\r\n\r\n")(w, r) }},
	{"a broken header", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultBytes("HTTP/1.1 200 OK\r\n"+echo+"\r\n\r\n")(w, r)
	}},
	{"a broken length", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultBytes("HTTP/1.1 200 OK\r\nContent-Length: "+echo+"\r\n\r\n")(w, r)
	}},
	{"the transfer encoding", func(w http.ResponseWriter, r *http.Request, echo string) {
		faultBytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: "+echo+"\r\n\r\n")(w, r)
	}},
}

func faultEchoJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", faultJSON)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// A server may repeat the request in its answer. No error shows the secrets in it.
func TestFaultEchoes(t *testing.T) {
	for _, echo := range faultEchoes {
		for _, operation := range faultOperations {
			t.Run(echo.name+"/"+operation.name, func(t *testing.T) {
				goroutines := runtime.NumGoroutine()
				transport := &http.Transport{}
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					echo.answer(w, r, faultEcho(r))
				}))
				for _, secrets := range []faultSecrets{faultReal, faultOdd} {
					err := operation.do(t, secrets.provider(server.URL, &http.Client{Transport: transport}), secrets)
					faultCheck(t, err, secrets)
				}
				transport.CloseIdleConnections()
				server.Close()
				faultNothingRuns(t, goroutines)
			})
		}
	}
}

// The error of a transport may contain secrets.
func TestFaultTalkativeTransport(t *testing.T) {
	for _, operation := range faultOperations {
		t.Run(operation.name, func(t *testing.T) {
			for _, secrets := range []faultSecrets{faultReal, faultOdd} {
				client := &http.Client{Transport: faultTransport(func(r *http.Request) (*http.Response, error) {
					if r.Body == nil {
						r.Body = http.NoBody
					}
					return nil, errors.New("cannot send " + faultEcho(r))
				})}
				faultCheck(t, operation.do(t, secrets.provider("http://gumroad.invalid", client), secrets), secrets)
			}
		})
	}
}

// faultQuiet is an error whose own text is harmless. The error that it wraps may
// contain secrets.
type faultQuiet struct{ cause error }

func (faultQuiet) Error() string   { return "the proxy said no" }
func (q faultQuiet) Unwrap() error { return q.cause }

// faultQuietBranches is like faultQuiet, but wraps several errors.
type faultQuietBranches struct{ causes []error }

func (faultQuietBranches) Error() string     { return "the proxies said no" }
func (q faultQuietBranches) Unwrap() []error { return q.causes }

// A wrapped error with a secret is removed, even below a harmless error or as one
// of several. A wrapped error without a secret is kept.
func TestFaultTalkativeCause(t *testing.T) {
	clean := errors.New("clean")
	for name, wrap := range map[string]func(error) error{
		"below":           func(told error) error { return faultQuiet{told} },
		"one of two":      func(told error) error { return faultQuietBranches{[]error{clean, told}} },
		"with more below": func(told error) error { return faultQuiet{fmt.Errorf("%s: %w", told, clean)} },
	} {
		for _, operation := range faultOperations {
			t.Run(name+"/"+operation.name, func(t *testing.T) {
				client := &http.Client{Transport: faultTransport(func(r *http.Request) (*http.Response, error) {
					if r.Body == nil {
						r.Body = http.NoBody
					}
					return nil, wrap(errors.New(faultEcho(r)))
				})}
				err := operation.do(t, faultReal.provider("http://gumroad.invalid", client), faultReal)
				faultCheck(t, err, faultReal)
				assert.Equal(t, name == "with more below", errors.Is(err, clean))
			})
		}
	}
}

// A transport may fetch a token of its own, such as for a gateway. The answer to
// that request is not Gumroad's answer.
func TestFaultRetrieveErrorOfTheTransport(t *testing.T) {
	for _, operation := range faultOperations {
		t.Run(operation.name, func(t *testing.T) {
			client := &http.Client{Transport: faultTransport(func(*http.Request) (*http.Response, error) {
				return nil, &oauth2.RetrieveError{ErrorCode: "invalid_grant"}
			})}
			err := operation.do(t, faultReal.provider("http://gumroad.invalid", client), faultReal)
			require.ErrorContains(t, err, "no usable answer from Gumroad")
			var refused *gumroad.Error
			assert.False(t, errors.As(err, &refused))
		})
	}
}

// An answer may contain secrets that were not in the request.
func TestFaultUserWithSecrets(t *testing.T) {
	server := httptest.NewServer(faultObject(`{"success":false,"message":"` + faultOdd.secret + " and " + faultOdd.refresh + `"}`))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	_, err := faultOdd.provider(server.URL, client).FetchUser(&gumroad.Session{AccessToken: faultOdd.access, RefreshToken: faultOdd.refresh})
	faultCheck(t, err, faultOdd)
	assert.ErrorContains(t, err, "[hidden] and [hidden]")

	// The secret was read from a file and ends with a newline.
	server.Config.Handler = faultObject(`{"success":false,"message":"not correct horse\n!"}`)
	p := faultOdd.provider(server.URL, client)
	p.Secret = "correct horse\n"
	_, err = p.FetchUser(&gumroad.Session{AccessToken: faultOdd.access})
	assert.ErrorContains(t, err, "not [hidden]!")
}

// If the application sets no time limit, every request still has a deadline. It
// covers the body too, since net/http checks it until the body has been read.
func TestFaultTimeLimit(t *testing.T) {
	for _, operation := range faultOperations {
		t.Run(operation.name, func(t *testing.T) {
			var deadline time.Time
			var set bool
			client := &http.Client{Transport: faultTransport(func(r *http.Request) (*http.Response, error) {
				deadline, set = r.Context().Deadline()
				return nil, errors.New("seen")
			})}
			start := time.Now()
			require.Error(t, operation.do(t, faultReal.provider("http://gumroad.invalid", client), faultReal))
			end := time.Now()
			require.True(t, set, "no deadline")
			assert.False(t, deadline.Before(start.Add(gumroad.RequestTimeout)), "a shorter limit than RequestTimeout")
			assert.False(t, deadline.After(end.Add(gumroad.RequestTimeout)), "a longer limit than RequestTimeout")
		})
	}
}

// An error does not show a token that the provider does not know. It does not show
// the end of a token if the beginning appears elsewhere in the text either.
func TestFaultUnknownToken(t *testing.T) {
	token := "New-token_Qw8RtYuIoP0aSdFgHjKlZxCvBn_end1234"
	for _, said := range []string{token, token[:32] + " and " + token, token + " and " + token[:32], "token=" + token, "%3D%3D" + token[:26], `"` + token + `"`, "é" + token + "é"} {
		for _, operation := range faultOperations {
			client := &http.Client{Transport: faultTransport(func(*http.Request) (*http.Response, error) {
				body, _ := json.Marshal(map[string]string{"error": "invalid_request", "error_description": said})
				return &http.Response{StatusCode: http.StatusBadRequest, Body: io.NopCloser(bytes.NewReader(body))}, nil
			})}
			err := operation.do(t, faultReal.provider("http://gumroad.invalid", client), faultReal)
			for ; err != nil; err = errors.Unwrap(err) {
				assert.NotContains(t, err.Error(), token[:16])
				assert.NotContains(t, err.Error(), token[36:])
			}
		}
	}
}

// An error keeps a server's text unchanged, or shortens it and marks the cut with
// an ellipsis.
func TestFaultTextLength(t *testing.T) {
	cut := 0
	for length := 1; length < 1000; length++ {
		said := strings.Repeat("é,", length/2) + strings.Repeat("é", length%2)
		client := &http.Client{Transport: faultTransport(func(*http.Request) (*http.Response, error) {
			body, _ := json.Marshal(map[string]string{"error": "invalid_request", "error_description": said})
			return &http.Response{StatusCode: http.StatusBadRequest, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})}
		_, err := faultReal.provider("http://gumroad.invalid", client).RefreshToken(faultReal.refresh)
		var refused *gumroad.Error
		require.ErrorAs(t, err, &refused)
		if begin, found := strings.CutSuffix(refused.Description, "…"); found {
			cut++
			require.True(t, strings.HasPrefix(said, begin) && begin != said, "%q of %q", refused.Description, said)
		} else {
			require.Equal(t, said, refused.Description)
		}
	}
	assert.NotZero(t, cut)
}

type faultTransport func(*http.Request) (*http.Response, error)

func (f faultTransport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// faultCheck fails the test unless an application can safely log err.
func faultCheck(t *testing.T, err error, secrets faultSecrets) {
	t.Helper()
	require.Error(t, err)
	assert.True(t, strings.HasPrefix(err.Error(), "gumroad: "), "does not begin with gumroad: %.40q", err)
	assert.Regexp(t, `(\((try|check|ask for|the user) .*\)|; let the user start again)$`, err.Error(), "does not say what to do")
	assert.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }), "has more than one line or an unprintable character: %q", err)
	assert.NotContains(t, err.Error(), "<")
	assert.NotContains(t, err.Error(), ">")
	faultCheckText(t, "the error", fmt.Sprintf("%+v", err), secrets)
	for link := err; link != nil; link = errors.Unwrap(link) {
		name := fmt.Sprintf("%T", link)
		faultCheckText(t, name, link.Error(), secrets)
		switch link := link.(type) {
		case *gumroad.Error:
			faultCheckText(t, name+".Code", link.Code, secrets)
			faultCheckText(t, name+".Description", link.Description, secrets)
		case *oauth2.RetrieveError:
			faultCheckText(t, name+".Body", string(link.Body), secrets)
			faultCheckText(t, name+".ErrorCode", link.ErrorCode, secrets)
			faultCheckText(t, name+".ErrorDescription", link.ErrorDescription, secrets)
			faultCheckText(t, name+".ErrorURI", link.ErrorURI, secrets)
			require.NotNil(t, link.Response)
			faultCheckText(t, name+".Response.Status", link.Response.Status, secrets)
			for header, values := range link.Response.Header {
				faultCheckText(t, name+".Response.Header "+header, strings.Join(values, ", "), secrets)
			}
			if request := link.Response.Request; request != nil {
				for header, values := range request.Header {
					faultCheckText(t, name+".Response.Request.Header "+header, strings.Join(values, ", "), secrets)
				}
				if request.GetBody != nil {
					body, _ := request.GetBody()
					form, _ := io.ReadAll(body)
					faultCheckText(t, name+".Response.Request", string(form), secrets)
				}
			}
		}
		if joined, ok := link.(interface{ Unwrap() []error }); ok {
			for _, err := range joined.Unwrap() {
				faultCheckText(t, name, err.Error(), secrets)
			}
		}
	}
}

func faultCheckText(t *testing.T, what, text string, secrets faultSecrets) {
	t.Helper()
	assert.Less(t, utf8.RuneCountInString(text), 1000, "%s is long: %.1000q", what, text)
	for name, secret := range map[string]string{
		"the secret": secrets.secret, "the code": secrets.code, "the verifier": secrets.verifier,
		"the access token": secrets.access, "the refresh token": secrets.refresh,
		"Basic": base64.StdEncoding.EncodeToString([]byte("fault-key:" + secrets.secret)),
	} {
		quoted, _ := json.Marshal(secret)
		for _, shape := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), strings.Trim(string(quoted), `"`),
		} {
			assert.False(t, strings.Contains(text, shape), "%s holds %s: %q", what, name, text)
		}
	}
}

// faultNothingRuns waits until there are at most as many goroutines as before.
func faultNothingRuns(t *testing.T, before int) {
	t.Helper()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, // Eventually runs this function in one more goroutine
		10*time.Second, time.Millisecond, "goroutines are still running")
}

// faultAllocated returns the total number of bytes that the process has allocated.
func faultAllocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}
