package gumroadtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The applications in the recordings, by client_id, and the secret of each.
var (
	recordedApps = map[string]Application{
		"nG5mNg_JtEg-mJ730enJncSohGw5qr3YhTmSIn2Oi48": {Confidential: true},
		"z2XvVi8JYhGooQIbcF69C2cB0UmB99zfKRDFmS1uyQU": {Confidential: false},
		"l1Ykn6CMcNaOlkZQ5LhkBahn2FH6WIMue_fPHXmZnSU": {Confidential: true, Scopes: []string{"view_public", "refund_sales"}},
	}
	recordedSecrets = []string{
		"gLooiF6oOKa3dUW3AvLRvzyVM0xnzsLai0eFibygIsc",
		"6Y1hkhtNxuYK5FgYIs0PLtYa4Jv_0VWfIelnwS6bBhc",
		"_LoG4mHLC3uZ_ZR8QYumNrlklKaMrmnOZ3C84xM6VEY",
	}
)

// The recordings for which the user had granted the same scopes before.
var grantedBefore = map[string]bool{"pkce_confidential_s256_ok.txt": true}

// The users in the recordings. The parameter lab_user=2, which only the recorded server has, chooses the second.
var (
	sailorJohn = User{
		ID: "6754923450134", AlternateID: "G_-mnBf9b1j9A7a4ub4nFQ==", Name: "Sailor John", Username: "sailorjohn", Email: "john@example.com",
		Bio: "I sail.", Picture: "https://public-files.gumroad.com/avatar-john.png", Products: []string{"knots", "ropes"},
	}
	sailor2 = User{
		ID: "2200000000002", AlternateID: "ZZ_-mnBf9b1j9A7a4ub4nQ==", Username: "sailor2", Email: "two@example.com",
		Picture: "https://public-files.gumroad.com/avatar-john.png",
	}
)

// TestReplay sends each recorded request to a Server in the same state and
// compares the answers.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob("../testdata/recordings/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			recording, err := os.ReadFile(file)
			require.NoError(t, err)
			s := NewServer()
			defer s.Close()
			s.SetUser(sailorJohn)
			for id, app := range recordedApps {
				if bytes.Contains(recording, []byte(id)) {
					app.RedirectURIs = []string{"http://127.0.0.1:3000/auth/gumroad/callback"}
					s.SetApplication(app)
				}
			}
			if grantedBefore[filepath.Base(file)] {
				s.issue(sailorJohn.ID, []string{"edit_products", "view_sales"})
			}
			// The values of this server, by the recorded ones: codes, tokens and
			// credentials.
			stands := map[string]string{}
			for id := range recordedApps {
				stands[id] = s.ClientID
			}
			for _, secret := range recordedSecrets {
				stands[secret] = s.ClientSecret
			}
			for _, part := range strings.Split(string(recording), "##### ")[1:] {
				title, exchange, _ := strings.Cut(part, "\n")
				request, answer, found := strings.Cut(exchange, "-----\n")
				require.True(t, found)
				t.Run(title, func(t *testing.T) { replay(t, s, stands, request, answer) })
			}
		})
	}
}

var randomValue = regexp.MustCompile(`^[\w-]{43}$`)

func replay(t *testing.T, s *Server, stands map[string]string, request, answer string) {
	if strings.Contains(request, "lab_user=2") {
		s.SetUser(sailor2)
	}
	method, _, _ := strings.Cut(request, " ")
	// This server has no token/info. Whether the token lives can be seen at /v2/user.
	tokenInfo := strings.Contains(request, TokenPath+"/info")
	request = strings.Replace(request, TokenPath+"/info", UserPath, 1)
	request = translate(request, stands)
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
	require.NoError(t, err)
	_, body, _ := strings.Cut(request, "\n\n")
	// Content-Length may not fit the new values.
	req.Body = io.NopCloser(strings.NewReader(strings.TrimSpace(body)))
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, req)
	got := recorder.Result()

	head, wantBody, _ := strings.Cut(answer, "\n\n")
	want, err := http.ReadResponse(bufio.NewReader(strings.NewReader(
		strings.ReplaceAll(head, "Transfer-Encoding: chunked\n", "")+"\n\n")), &http.Request{Method: method})
	require.NoError(t, err)

	assert.Equal(t, want.StatusCode, got.StatusCode)
	if tokenInfo {
		return
	}
	for _, header := range []string{"Content-Type", "Cache-Control", "WWW-Authenticate"} {
		assert.Equal(t, want.Header.Get(header), got.Header.Get(header), header)
	}
	compareLocation(t, stands, want.Header.Get("Location"), got.Header.Get("Location"))
	gotBody := recorder.Body.String()
	switch kind, _, _ := mime.ParseMediaType(want.Header.Get("Content-Type")); {
	case kind == "application/json":
		compareJSON(t, stands, wantBody, gotBody)
	case strings.TrimSpace(wantBody) == "":
		assert.Empty(t, gotBody)
	case want.StatusCode >= 400:
		// The page differs, but must say the same.
		said := regexp.MustCompile(`<pre>\s*(.*?)\s*</pre>`).FindStringSubmatch(wantBody)
		require.NotNil(t, said)
		assert.Contains(t, gotBody, said[1])
	case want.StatusCode == http.StatusOK:
		compareForms(t, stands, wantBody, gotBody)
	}
}

// translate replaces the recorded values by those of this server.
func translate(text string, stands map[string]string) string {
	for recorded, ours := range stands {
		text = strings.ReplaceAll(text, recorded, ours)
	}
	return text
}

// compareLocation compares exactly, except for the code.
func compareLocation(t *testing.T, stands map[string]string, want, got string) {
	recorded, ours := codeIn(t, want), codeIn(t, got)
	require.Equal(t, recorded == "", ours == "", got)
	if recorded != "" {
		assert.Regexp(t, randomValue, ours)
		stands[recorded] = ours
		want = strings.Replace(want, recorded, ours, 1)
	}
	assert.Equal(t, want, got)
}

func codeIn(t *testing.T, location string) string {
	address, err := url.Parse(location)
	require.NoError(t, err)
	return address.Query().Get("code")
}

// compareJSON compares all keys, and all values but tokens and times.
func compareJSON(t *testing.T, stands map[string]string, wantBody, gotBody string) {
	var want, got map[string]any
	require.NoError(t, json.Unmarshal([]byte(translate(wantBody, stands)), &want))
	require.NoError(t, json.Unmarshal([]byte(gotBody), &got), gotBody)
	for _, key := range []string{"access_token", "refresh_token"} {
		if recorded, _ := want[key].(string); recorded != "" {
			require.Regexp(t, randomValue, got[key])
			stands[recorded] = got[key].(string)
			want[key] = got[key]
		}
	}
	if want["created_at"] != nil {
		require.IsType(t, 0.0, got["created_at"])
		want["created_at"] = got["created_at"]
	}
	assert.Equal(t, want, got)
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)"(?: value="([^"]*)")?`)

// compareForms compares what the two buttons of the page send. Doorkeeper's page
// names the default response mode.
func compareForms(t *testing.T, stands map[string]string, want, got string) {
	fields := func(page string) [][]string {
		var found [][]string
		for _, field := range hiddenField.FindAllStringSubmatch(page, -1) {
			if field[1] == "response_mode" && field[2] == "query" {
				field[2] = ""
			}
			found = append(found, field[1:])
		}
		return found
	}
	assert.NotEmpty(t, fields(want))
	assert.Equal(t, fields(translate(want, stands)), fields(strings.ReplaceAll(got, "&#43;", "+")))
}
