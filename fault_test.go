package gumroad_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/gumroad/goth-gumroad"
)

const (
	longest = 1 << 17 // bytes of a text that is too long
	whole   = `{"success":true,"user":{"id":"1"},"access_token":"x"}`
)

// written writes this to the connection and closes it.
func written(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, answer)
			conn.Close()
		}
	}
}

// hangingAfter sends start, and then nothing until the client gives up.
func hangingAfter(start string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // otherwise net/http does not notice that the client has gone
		if start != "" {
			_, _ = io.WriteString(w, start)
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}
}

// endless sends start, and then more until the client closes the connection.
func endless(start, more string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, start)
		for chunk := strings.Repeat(more, longest/len(more)); err == nil; {
			_, err = io.WriteString(w, chunk)
		}
	}
}

// bomb is like endless, but compressed to a thousandth. A gzip stream can have
// several members, so it sends the same member again and again.
func bomb(start, more string) http.HandlerFunc {
	pack := func(text string) string {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return packed.String()
	}
	send := endless(pack(start), pack(strings.Repeat(more, longest/len(more))))
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		send(w, r)
	}
}

// echoing replaces ECHO in body, in the header WWW-Authenticate and in Location with
// everything confidential in the request, and with a token that is not in it.
func echoing(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		said := echo(r)
		w.Header().Set("WWW-Authenticate", `Bearer error="`+said+`", error_description="`+said+`"`)
		w.Header().Set("Location", "http://["+said)
		w.Header().Set("Retry-After", said)
		text(status, "application/json", strings.ReplaceAll(body, "ECHO", said))(w, r)
	}
}

// echoingBytes is like echoing, for what is not HTTP.
func echoingBytes(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		written(strings.ReplaceAll(answer, "ECHO", echo(r)))(w, r)
	}
}

// The errors for faults end with what to do.
const (
	noAnswer  = ": no usable answer from Gumroad: "
	connect   = " (check the connection and the provider's endpoints, or try again later)"
	notJSON   = noAnswer + "the answer is not one JSON object" + connect
	tooLong   = noAnswer + "the answer has more than 2097152 bytes" + connect
	noUser    = noAnswer + "the user has no id" + connect
	noToken   = noAnswer + "the answer has no access_token" + connect
	noSuccess = ": Gumroad answered 200 OK (check the provider's endpoints: the answer does not say success)"
)

// Each fault is a response that Gumroad should not give, or that something else
// gave.
var faults = []struct {
	name   string
	answer http.HandlerFunc
	says   string // part of the error for all four requests
	cause  error  // what they wrap

	// In place of says, if the error is not the same for all: what it is for an
	// exchange or a refresh, and for a user. A revocation succeeds, since RFC 7009
	// lets the client look only at the status.
	token, user string
}{
	// No connection, or one that breaks.
	{name: "refused", says: noAnswer, cause: syscall.ECONNREFUSED}, // nobody listens
	{name: "reset", says: noAnswer, cause: syscall.ECONNRESET, answer: func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}},
	{name: "cut before the header", answer: written(""), says: noAnswer, cause: io.EOF},
	{name: "cut in the status line", answer: written("HTTP/1.1 20"), says: noAnswer},
	{name: "cut in the header", answer: written("HTTP/1.1 200 OK\r\nContent-Type: appl"), says: noAnswer, cause: io.ErrUnexpectedEOF},
	{name: "cut before the body", answer: written("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), says: noAnswer, cause: io.ErrUnexpectedEOF},
	{name: "cut in the body", answer: written("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"access_token\":\"x\""), says: noAnswer, cause: io.ErrUnexpectedEOF},
	{name: "cut in a chunk", answer: written("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n63\r\n{\"access_token\":\"x\""), says: noAnswer, cause: io.ErrUnexpectedEOF},
	{name: "cut after a whole object", answer: written("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + whole), says: noAnswer, cause: io.ErrUnexpectedEOF},
	{name: "cut after an error", answer: written("HTTP/1.1 401 Unauthorized\r\nContent-Length: 99\r\n\r\n"), says: noAnswer, cause: io.ErrUnexpectedEOF},
	{name: "hangs before the header", answer: hangingAfter(""), says: noAnswer, cause: context.DeadlineExceeded},
	{name: "hangs in the body", answer: hangingAfter(`{"success":true,"access_token":"x"`), says: noAnswer, cause: context.DeadlineExceeded},
	{name: "hangs after a whole object", answer: hangingAfter(whole), says: noAnswer, cause: context.DeadlineExceeded},

	// What is not HTTP, or odd HTTP.
	{name: "not HTTP", answer: written("SSH-2.0-OpenSSH_9.9\r\n"), says: noAnswer},
	{name: "a long line that is not HTTP", answer: written(strings.Repeat("220 mail.example ESMTP ", 4000) + "\r\n"), says: noAnswer},
	{name: "TLS", answer: written("\x15\x03\x01\x00\x02\x02\x46"), says: noAnswer},
	{name: "a broken status", answer: written("HTTP/1.1 2OO " + strings.Repeat("fine ", 4000) + "\r\n\r\n"), says: noAnswer},
	{name: "a broken header", answer: written("HTTP/1.1 200 OK\r\n" + strings.Repeat("no colon ", 4000) + "\r\n\r\n"), says: noAnswer},
	{name: "a broken length", answer: written("HTTP/1.1 200 OK\r\nContent-Length: " + strings.Repeat("many ", 4000) + "\r\n\r\n{}"), says: noAnswer},
	{name: "an unknown encoding", answer: written("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + strings.Repeat("odd ", 4000) + "\r\n\r\n{}"), says: noAnswer},
	{name: "broken gzip", answer: written("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!"), says: noAnswer},
	{name: "only interim responses", answer: written(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 10000)), says: noAnswer},
	{name: "a header of 11 MB", answer: written("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-More: "+strings.Repeat("more ", 2000)+"\r\n", 1100)), says: noAnswer},
	{name: "a long status", answer: written("HTTP/1.1 503 " + strings.Repeat("not today ", 4000) + "\r\nContent-Length: 0\r\n\r\n"), says: ": Gumroad answered 503 Service Unavailable (try again later)"},

	// A status other than 200, whatever is in the body.
	{name: "201", answer: text(201, "application/json", whole), says: ": Gumroad answered 201 Created (check the provider's endpoints)"},
	{name: "204", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, says: ": Gumroad answered 204 No Content (check the provider's endpoints)"},
	{name: "400", answer: text(400, "text/html", page), says: ": Gumroad answered 400 Bad Request (check how the provider is set up)"},
	{name: "401 of a proxy", answer: text(401, "text/html", page), says: ": Gumroad answered 401 Unauthorized (check what is in front of Gumroad"},
	{name: "403 of a firewall", answer: text(403, "application/json", `{"reason":"no"}`), says: ": Gumroad answered 403 Forbidden (check what is in front of Gumroad"},
	{name: "404", answer: text(404, "text/html", page), says: ": Gumroad answered 404 Not Found (check the provider's endpoints)"},
	{name: "429", answer: text(429, "text/plain", "Retry later\n"), says: ": Gumroad answered 429 Too Many Requests (try again later)"},
	{name: "500 with a good body", answer: text(500, "application/json", whole), says: ": Gumroad answered 500 Internal Server Error (try again later)"},
	{name: "502 with a long page", answer: text(502, "text/html", strings.Repeat("<p>We're sorry, but something went wrong.</p>\n", 20000)), says: ": Gumroad answered 502 Bad Gateway (try again later)"},
	{name: "522", answer: text(522, "text/html", page), says: ": Gumroad answered 522 (try again later)"},
	{name: "a token beside an error", answer: text(400, "application/json", `{"access_token":"x","error":"invalid_grant","error_description":"No."}`), says: ": Gumroad answered 400 Bad Request, invalid_grant: No. (the user must log in again"},
	{name: "a long error", answer: text(400, "application/json", `{"error":"`+strings.Repeat("no ", 9000)+`","error_description":"`+strings.Repeat(`\" \uD83D\uDE00 \u0007`, 9000)+`"}`), says: `: Gumroad answered 400 Bad Request: " 😀 "`},
	{name: "an error full of tokens", answer: text(400, "application/json", `{"message":"`+strings.Repeat(unknownToken+" ", 40000)+`"}`), says: ": Gumroad answered 400 Bad Request: [hidden] [hidden]"},

	// A body that is too large.
	{name: "an endless text", answer: endless(`{"success":true,"user":{"id":"`, "1"), says: tooLong},
	{name: "an endless depth", answer: endless("", `{"user":`), says: tooLong},
	{name: "endless blanks", answer: endless("", " "), says: tooLong},
	{name: "endless blanks after an object", answer: endless(whole, " "), says: tooLong},
	{name: "an endless error page", answer: func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		endless(page, page)(w, r)
	}, says: ": Gumroad answered 503 Service Unavailable (try again later)"},
	{name: "a compressed text", answer: bomb(`{"success":true,"user":{"id":"1","bio":"`, "a"), says: tooLong},
	{name: "compressed objects", answer: bomb(`{"success":true,"user":{"id":"1","links":[{}`, ",{}"), says: tooLong},
	{name: "many objects", answer: object(`{"success":true,"user":{"links":[{"":0}` + strings.Repeat(`,{"":0}`, (2<<20-100)/7) + `]}}`), user: noUser, token: noToken},
	{name: "deep lists", answer: object(strings.Repeat("[", 1<<20)), says: notJSON},
	{name: "deep objects", answer: object(strings.Repeat(`{"id":`, 100000) + `1` + strings.Repeat("}", 100000)), says: notJSON},

	// A body that is not one JSON object.
	{name: "truncated", answer: object(whole[:len(whole)-1]), says: notJSON},
	{name: "NULs", answer: object(strings.Repeat("\x00", 4000)), says: notJSON},
	{name: "a NUL after the object", answer: object(whole + "\x00"), says: notJSON},
	{name: "a bracket after the object", answer: object(whole + "]"), says: notJSON},
	{name: "two objects", answer: object(whole + whole), says: notJSON},
	{name: "not UTF-8", answer: object("\xff\xfe{\x00}\x00"), says: notJSON},
	{name: "null", answer: object("null"), says: notJSON},
	{name: "a list", answer: object("[" + whole + "]"), says: notJSON},
	{name: "a number", answer: object("42"), says: notJSON},
	{name: "a text", answer: object(`"success"`), says: notJSON},
	{name: "true", answer: object("true"), says: notJSON},
	{name: "a page", answer: text(200, "text/html", page), says: notJSON},
	{name: "a form", answer: text(200, "application/x-www-form-urlencoded", "access_token=x&success=true"), says: notJSON},

	// An object that is no success.
	{name: "empty", answer: object(""), user: noSuccess, token: noToken},
	{name: "a line break", answer: object(" \r\n"), user: noSuccess, token: noToken},
	{name: "an empty object", answer: object("{}"), user: noSuccess, token: noToken},
	{name: "success false", answer: object(`{"success":false,"message":"The user was not found.","access_token":"x","user":{"id":"1"}}`), says: ": Gumroad answered 200 OK: The user was not found. ("},
	{name: "success as a text", answer: object(`{"success":"true","user":{"id":"1"}}`), user: noSuccess, token: noToken},
	{name: "success 1", answer: object(`{"success":1,"user":{"id":"1"}}`), user: noSuccess, token: noToken},
	{name: "success null", answer: object(`{"success":null,"user":{"id":"1"}}`), user: noSuccess, token: noToken},
	{name: "success in capitals", answer: object(`{"Success":true,"User":{"id":"1"},"Access_Token":"x"}`), user: noSuccess, token: noToken},
	{name: "an error beside a user and a token", answer: object(`{"success":true,"user":{"id":"1"},"access_token":"x","error":"server_error"}`), says: ": Gumroad answered 200 OK, server_error (try again later)"},
	{name: "an error that is an object", answer: object(`{"success":true,"user":{"id":"1"},"access_token":"x","error":{}}`), says: noSuccess},

	// An object without a user or a token.
	{name: "no user", answer: object(`{"success":true}`), user: noUser, token: noToken},
	{name: "the user is null", answer: object(`{"success":true,"user":null}`), user: noUser, token: noToken},
	{name: "the user is a list", answer: object(`{"success":true,"user":[{"id":"1"}]}`), user: noUser, token: noToken},
	{name: "the user is a text", answer: object(`{"success":true,"user":"1"}`), user: noUser, token: noToken},
	{name: "the id beside the user", answer: object(`{"success":true,"id":"1","user":{}}`), user: noUser, token: noToken},
	{name: "the token is empty", answer: object(`{"access_token":""}`), user: noSuccess, token: noToken},
	{name: "the token is null", answer: object(`{"access_token":null}`), user: noSuccess, token: noToken},
	{name: "the token is a number", answer: object(`{"access_token":1234567}`), user: noSuccess, token: noToken},
	{name: "the token is a list", answer: object(`{"access_token":["x"]}`), user: noSuccess, token: noToken},
	{name: "only a refresh token", answer: object(`{"refresh_token":"x"}`), user: noSuccess, token: noToken},

	// A server that repeats the request.
	{name: "repeated in a description", answer: echoing(400, `{"error":"invalid_request","error_description":"ECHO"}`), says: ": Gumroad answered 400 Bad Request, invalid_request: [hidden]"},
	{name: "repeated late in a description", answer: echoing(400, `{"error_description":"`+strings.Repeat("- ", 113)+`ECHO"}`), says: ": Gumroad answered 400 Bad Request: - -"},
	{name: "repeated in a code", answer: echoing(400, `{"error":"ECHO"}`), says: ": Gumroad answered 400 Bad Request"},
	{name: "repeated in a message", answer: echoing(200, `{"success":false,"message":"ECHO"}`), says: ": Gumroad answered 200 OK: [hidden]"},
	{name: "repeated in a page", answer: echoing(500, `<pre>ECHO</pre>`), says: ": Gumroad answered 500 Internal Server Error"},
	{name: "repeated in a challenge", answer: echoing(400, ``), says: ": Gumroad answered 400 Bad Request: [hidden]"},
	{name: "repeated in Location", answer: echoing(302, ``), says: ": Gumroad answered 302 Found"},
	{name: "repeated in Retry-After", answer: echoing(429, ``), says: ": Gumroad answered 429 Too Many Requests"},
	{name: "repeated in what is not JSON", answer: echoing(200, `{"access_token":ECHO}`), says: notJSON},
	{name: "repeated in a status", answer: echoingBytes("HTTP/1.1 400 ECHO\r\nContent-Length: 0\r\n\r\n"), says: ": Gumroad answered 400 Bad Request ("},
	{name: "repeated in a broken status", answer: echoingBytes("HTTP/1.1 ECHO\r\n\r\n"), says: noAnswer},
	{name: "repeated in the protocol", answer: echoingBytes("ECHO\r\n\r\n"), says: noAnswer},
	{name: "repeated in a broken header", answer: echoingBytes("HTTP/1.1 200 OK\r\nECHO\r\n\r\n"), says: noAnswer},
	{name: "repeated in a broken length", answer: echoingBytes("HTTP/1.1 200 OK\r\nContent-Length: ECHO\r\n\r\n"), says: noAnswer},
	{name: "repeated in an encoding", answer: echoingBytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: ECHO\r\n\r\n"), says: noAnswer},
}

// A fault gives an error that an application can log, and neither a user nor a
// token. It takes little memory, and nothing runs on afterwards.
func TestFaults(t *testing.T) {
	const memory = 160 << 20 // bytes that the process may allocate for one request
	goroutines := runtime.NumGoroutine()
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			server := httptest.NewServer(fault.answer)
			defer server.Close()
			if fault.answer == nil {
				server.Close()
			}
			client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
			defer client.CloseIdleConnections()
			if fault.cause == context.DeadlineExceeded {
				client.Timeout = 50 * time.Millisecond // the response never comes, so this misses nothing
			}
			for _, call := range calls {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := call.make(at(server.URL, client))
				runtime.ReadMemStats(&after)

				says := fault.says
				if says == "" && call.doing == "fetching the user" {
					says = fault.user
				} else if says == "" && call.doing != "revoking the token" {
					says = fault.token
				}
				if says == "" {
					assert.NoError(t, err, call.doing)
					continue
				}
				assertReadable(t, call.doing, err)
				assert.ErrorContains(t, err, says)
				assert.Regexp(t, `\((try|check|ask for|the user) .*\)$`, err.Error(), "does not say what to do")
				if fault.cause != nil {
					assert.ErrorIs(t, err, fault.cause, call.doing)
				}
				assert.NotErrorIs(t, err, gumroad.ErrUnauthorized)
				var retrieve *oauth2.RetrieveError
				if errors.As(err, &retrieve) {
					assert.NotContains(t, fmt.Sprintf("%+v %+v", retrieve, retrieve.Response), unknownToken)
					assert.NotContains(t, fmt.Sprintf("%+v %+v", retrieve, retrieve.Response), secret)
				}
				assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(memory))
			}
		})
	}
	// Eventually runs its function in one more goroutine.
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+1 }, patience, time.Millisecond, "goroutines still run")
}

// A certificate that is not trusted is an error with its cause.
func TestCertificateThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(object(success))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	for _, call := range calls {
		err := call.make(at(server.URL, &http.Client{Transport: &http.Transport{}}))
		assertReadable(t, call.doing, err)
		assert.ErrorContains(t, err, "(check that CA certificates are installed, that the clock is right, and that no proxy is in between)")
		assert.ErrorAs(t, err, new(x509.UnknownAuthorityError))

		client := server.Client()
		client.Transport.(*http.Transport).TLSClientConfig.ServerName = "elsewhere.example.org"
		err = call.make(at(server.URL, client))
		assertReadable(t, call.doing, err)
		var hostname x509.HostnameError
		require.ErrorAs(t, err, &hostname)
		assert.Equal(t, "elsewhere.example.org", hostname.Host)
	}
}
