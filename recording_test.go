package gumroad_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gumroad/goth-gumroad"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An exchange is a recorded request to Gumroad's OAuth engine and its answer.
type exchange struct {
	name   string // FILE/TITLE
	method string
	target string
	bearer string // the access token in the Authorization header
	form   url.Values

	status int
	header http.Header
	body   string
}

// recordings returns the exchanges for which wanted is true. It fails the test if
// there are none.
func recordings(t *testing.T, wanted func(exchange) bool) (found []exchange) {
	t.Helper()
	files, err := filepath.Glob("testdata/recordings/*.txt")
	require.NoError(t, err)
	for _, file := range files {
		for _, x := range read(t, file) {
			if wanted(x) {
				found = append(found, x)
			}
		}
	}
	require.NotEmpty(t, found)
	return found
}

// recording returns the exchange with this name, FILE/TITLE.
func recording(t *testing.T, name string) exchange {
	t.Helper()
	file, _, _ := strings.Cut(name, "/")
	found := read(t, "testdata/recordings/"+file+".txt")
	i := slices.IndexFunc(found, func(x exchange) bool { return x.name == name })
	require.GreaterOrEqual(t, i, 0, "no recording %s", name)
	return found[i]
}

var title = regexp.MustCompile(`(?m)^##### (.+)\n`)

// read reads the exchanges of one file. Each exchange is a title, the request, a
// line of five dashes, the answer and an empty line.
func read(t *testing.T, file string) (found []exchange) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	text := string(data) + "\n"
	titles := title.FindAllStringSubmatchIndex(text, -1)
	for i, at := range titles {
		end := len(text)
		if i+1 < len(titles) {
			end = titles[i+1][0]
		}
		x := exchange{name: strings.TrimSuffix(filepath.Base(file), ".txt") + "/" + text[at[2]:at[3]]}
		asked, answered, ok := strings.Cut(text[at[1]:end], "\n-----\n")
		require.True(t, ok, x.name)

		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(asked)))
		require.NoError(t, err, x.name)
		require.NoError(t, req.ParseForm(), x.name)
		x.method, x.target, x.form = req.Method, req.RequestURI, req.PostForm
		x.bearer = strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")

		// The recorded bodies are decoded, although their headers still say chunked.
		answered = strings.Replace(answered, "\nTransfer-Encoding: chunked\n", "\n", 1)
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answered)), req)
		require.NoError(t, err, x.name)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err, x.name)
		x.status, x.header = resp.StatusCode, resp.Header
		x.body = strings.TrimSuffix(string(body), "\n\n")
		found = append(found, x)
	}
	return found
}

// answer returns a handler that gives the recorded answer byte for byte. It fails
// the test unless the request has the recorded address, access token and form.
func (x exchange) answer(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.NoError(t, r.ParseForm())
		assert.Equal(t, x.method+" "+x.target, r.Method+" "+r.RequestURI)
		assert.Equal(t, x.form, r.PostForm)
		if x.bearer == "" {
			assert.NotContains(t, r.Header, "Authorization")
		} else {
			assert.Equal(t, "Bearer "+x.bearer, r.Header.Get("Authorization"))
		}
		for name, values := range x.header {
			w.Header()[name] = values
		}
		w.Header()["Date"] = nil // the recordings have no Date
		w.WriteHeader(x.status)
		w.(http.Flusher).Flush() // makes the answer chunked, as it was recorded
		_, _ = io.WriteString(w, x.body)
	})
}

// text returns a handler that gives this answer.
func text(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// object returns a handler that answers 200 with this JSON object, as Gumroad does
// on success.
func object(body string) http.HandlerFunc {
	return text(http.StatusOK, "application/json; charset=utf-8", body)
}

const callbackURL = "http://127.0.0.1:3000/auth/gumroad/callback"

// answering returns a provider for a server that gives these answers in this
// order. The test fails unless there is exactly one request per answer.
func answering(t *testing.T, answers ...http.Handler) *gumroad.Provider {
	t.Helper()
	var made atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(made.Add(1))
		if n > len(answers) {
			http.Error(w, "one request too many", http.StatusTeapot)
			return
		}
		answers[n-1].ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		assert.EqualValues(t, len(answers), made.Load(), "requests to Gumroad")
	})
	return gumroad.NewCustomisedURL(clientKey, secret, callbackURL,
		server.URL+"/oauth/authorize", server.URL+"/oauth/token", server.URL+"/v2/user")
}

// replaying returns a provider with the settings of the recorded request, for a
// server that gives the recorded answer once.
func replaying(t *testing.T, x exchange) *gumroad.Provider {
	t.Helper()
	p := answering(t, x.answer(t))
	p.ClientKey, p.Secret = x.form.Get("client_id"), x.form.Get("client_secret")
	if x.form.Has("redirect_uri") {
		p.CallbackURL = x.form.Get("redirect_uri")
	}
	return p
}

func TestRecordingIsServedAsRecorded(t *testing.T) {
	t.Parallel()
	x := recording(t, "user_bogus_token/user")
	server := httptest.NewServer(x.answer(t))
	defer server.Close()
	req, err := http.NewRequest(http.MethodGet, server.URL+"/v2/user", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer bogus")
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)

	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	assert.Equal(t, `Bearer realm="Doorkeeper", error="invalid_token", error_description="The access token is invalid"`,
		resp.Header.Get("WWW-Authenticate"))
	assert.Equal(t, x.header, resp.Header)
	assert.Equal(t, []string{"chunked"}, resp.TransferEncoding)
	assert.Empty(t, body)
}
