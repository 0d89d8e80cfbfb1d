package gumroadtest

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sendForm sends a body that is a form and returns the status and the location of
// the answer.
func sendForm(t *testing.T, method, address, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := noRedirects.Do(request)
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Location")
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// pageQuery returns the query of an authorization request, with these texts added.
func pageQuery(s *Server, more ...string) string {
	query := url.Values{"client_id": {s.ClientID}, "redirect_uri": {callbackURL}, "scope": {"view_profile"}}.Encode()
	return strings.Join(append([]string{query}, more...), "&")
}

// Each request passed in an earlier version and is refused by Gumroad: on the page,
// by its button, and by Authorize.
func TestAuthorizeReadsParametersAsRails(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	evil := "redirect_uri=" + url.QueryEscape("https://evil.example/cb")
	for name, test := range map[string]struct {
		more string
		page int // the status of the page
		want string
	}{
		"the last redirect URI":     {evil, 400, "invalid_redirect_uri"},
		"the last client":           {"client_id=another", 401, "invalid_client"},
		"the last scope":            {"scope=everything", 400, "invalid_scope"},
		"the last scope is none":    {"scope=", 400, "invalid_scope"},
		"a blank client":            {"client_id=%20", 400, "invalid_request"},
		"a client of other blanks":  {"client_id=%C2%A0%09", 400, "invalid_request"},
		"a broken escape":           {"state=%zz", 400, `invalid URL escape "%zz"`},
		"a broken escape in a name": {"%=1", 400, `invalid URL escape "%"`},
		"invalid UTF-8":             {"state=%ff", 400, `the parameter "state" is not UTF-8`},
		"an invalid name":           {"%ff=1", 400, `the parameter "\xff" is not UTF-8`},
		"invalid, not the last":     {"a=%ff&a=1", 400, `the parameter "a" is not UTF-8`},
	} {
		t.Run(name, func(t *testing.T) {
			query := pageQuery(s, test.more)
			_, err := s.Authorize("https://gumroad.com/oauth/authorize?" + query)
			require.ErrorContains(t, err, test.want)
			assert.Equal(t, test.page, get(t, s.URL+AuthorizePath+"?"+query).status, "the page")
			status, location := sendForm(t, http.MethodPost, s.URL+AuthorizePath, query)
			if status == http.StatusFound {
				assert.Contains(t, location, "?error="+test.want)
			} else {
				assert.Equal(t, test.page, status, "the button")
			}
		})
	}
	// The other way round, the last is good.
	_, err := s.Authorize(s.URL + AuthorizePath + "?" + evil + "&" + pageQuery(s))
	assert.NoError(t, err)
	back, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s, "state=%20"))
	require.NoError(t, err)
	assert.NotContains(t, back, "state", "a blank state is none")
}

func TestTokenReadsParametersAsRails(t *testing.T) {
	s := NewServer()
	defer s.Close()
	p := s.Provider(callbackURL)
	for name, test := range map[string]struct {
		query, more string
		want        int
	}{
		"good":                      {"", "", 200},
		"the last secret":           {"", "&client_secret=wrong", 401},
		"the last code":             {"", "&code=unknown", 400},
		"the query's secret":        {"?client_secret=wrong", "", 401},
		"the query's code":          {"?code=unknown", "", 400},
		"the query's grant type":    {"?grant_type=password", "", 400},
		"a broken escape":           {"", "&a=%zz", 400},
		"a broken escape in query":  {"?a=%zz", "", 400},
		"invalid UTF-8":             {"", "&a=%ff", 400},
		"a nested parameter":        {"", "&client_secret[]=wrong", 400},
		"a nested one in the query": {"?code[a]=b", "", 400},
		"a blank secret is absent":  {"", "&client_secret=%20", 200},
		"a blank verifier, too":     {"", "&code_verifier=%20", 400},
	} {
		t.Run(name, func(t *testing.T) {
			_, params := authorized(t, s, p)
			form := url.Values{"code": params["code"], "redirect_uri": {callbackURL}, "client_id": {s.ClientID}, "client_secret": {s.ClientSecret}}
			if !strings.Contains(test.more, "verifier") {
				// The provider's own request has a challenge.
				back, err := s.Authorize(s.URL + AuthorizePath + "?" + pageQuery(s))
				require.NoError(t, err)
				address, _ := url.Parse(back)
				form["code"] = address.Query()["code"]
			}
			status, _ := sendForm(t, http.MethodPost, s.URL+TokenPath+test.query, form.Encode()+test.more)
			assert.Equal(t, test.want, status)
		})
	}
}

// In JSON, a parameter that is an object or a list is nested.
func TestNestedJSON(t *testing.T) {
	s := NewServer()
	defer s.Close()
	for _, secret := range []string{`["a"]`, `{"a":1}`} {
		resp, err := http.Post(s.URL+TokenPath, "application/json", strings.NewReader(`{"code":"a","client_secret":`+secret+`}`))
		require.NoError(t, err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		assert.Equal(t, 400, resp.StatusCode)
		assert.Contains(t, string(body), `the parameter "client_secret[]" is nested`)
	}
}

// A handler reads the same in each way that net/http has.
func TestHandlerReadsParametersAsRails(t *testing.T) {
	s := NewServer()
	defer s.Close()
	type read struct{ a, b string }
	got := map[string]read{}
	var body string
	var list []string
	handler := func(prepare func(*http.Request)) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			prepare(r)
			got["FormValue"] = read{r.FormValue("a"), r.FormValue("b")}
			got["PostFormValue"] = read{r.PostFormValue("a"), r.PostFormValue("b")}
			got["Form"] = read{r.Form.Get("a"), r.Form.Get("b")}
			got["PostForm"] = read{r.PostForm.Get("a"), r.PostForm.Get("b")}
			list = r.Form["list[]"]
			sent, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			body = string(sent)
		}
	}
	s.Handle("/none", handler(func(*http.Request) {}), NoToken)
	s.Handle("/form", handler(func(r *http.Request) { assert.NoError(t, r.ParseForm()) }), NoToken)
	s.Handle("/multipart", handler(func(r *http.Request) { r.ParseMultipartForm(1 << 20) }), NoToken)

	var parts bytes.Buffer
	writer := multipart.NewWriter(&parts)
	writer.WriteField("a", "first")
	writer.WriteField("a", "body")
	writer.WriteField("b", "body")
	writer.Close()
	for name, test := range map[string]struct {
		contentType, body string
		form, post        read
	}{
		"form":         {"application/x-www-form-urlencoded; charset=utf-8", "a=first&a=body&b=first&b=body", read{"query", "body"}, read{"body", "body"}},
		"blank":        {"application/x-www-form-urlencoded", "a=body&b=%20", read{"query", ""}, read{"body", ""}},
		"multipart":    {writer.FormDataContentType(), parts.String(), read{"query", "body"}, read{"body", "body"}},
		"JSON":         {"application/json; charset=utf-8", `{"a":"body","b":12345678901234567890,"c":null}`, read{"query", "12345678901234567890"}, read{"body", "12345678901234567890"}},
		"JSON, bool":   {"application/json", `{"b":false}`, read{"query", "false"}, read{"", "false"}},
		"JSON, list":   {"application/json", `["a"]`, read{"query", ""}, read{}},
		"JSON, empty":  {"application/json", ``, read{"query", ""}, read{}},
		"another type": {"text/plain", "b=1", read{"query", ""}, read{}},
		"broken type":  {";", "b=1", read{"query", ""}, read{}},
		"nothing":      {"application/x-www-form-urlencoded", "", read{"query", ""}, read{}},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			for _, path := range []string{"/none", "/form", "/multipart"} {
				t.Run(name+" "+method+path, func(t *testing.T) {
					request, err := http.NewRequest(method, s.URL+"/v2"+path+"?a=first&a=query&list[]=1&list[]=2", strings.NewReader(test.body))
					require.NoError(t, err)
					request.Header.Set("Content-Type", test.contentType)
					resp, err := http.DefaultClient.Do(request)
					require.NoError(t, err)
					resp.Body.Close()
					require.Equal(t, 200, resp.StatusCode)
					assert.Equal(t, map[string]read{"FormValue": test.form, "Form": test.form, "PostFormValue": test.post, "PostForm": test.post}, got)
					assert.Equal(t, []string{"1", "2"}, list)
					assert.Equal(t, test.body, body)
				})
			}
		}
	}
}

// Rack takes a POST without a type for a form.
func TestBodyWithoutAType(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Handle("/a", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.FormValue("b")) }), NoToken)
	for method, want := range map[string]string{http.MethodPost: "1", http.MethodPut: ""} {
		request, err := http.NewRequest(method, s.URL+"/v2/a", strings.NewReader("b=1"))
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		assert.Equal(t, want, string(body), method)
	}
}

// A file of a multipart form reaches the handler.
func TestMultipartFile(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Handle("POST /files", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, header, err := r.FormFile("file")
		if assert.NoError(t, err) {
			io.WriteString(w, header.Filename+" ")
			io.Copy(w, file)
		}
	}), NoToken)
	var parts bytes.Buffer
	writer := multipart.NewWriter(&parts)
	file, _ := writer.CreateFormFile("file", "knots.txt")
	io.WriteString(file, "a knot")
	writer.Close()
	resp, err := http.Post(s.URL+"/v2/files", writer.FormDataContentType(), &parts)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	assert.Equal(t, "knots.txt a knot", string(body))
}

func TestBrokenBodies(t *testing.T) {
	s := NewServer()
	defer s.Close()
	for name, test := range map[string]struct{ contentType, body, want string }{
		"form":                {"application/x-www-form-urlencoded", "a=%zz", `reading the parameters in the body: invalid URL escape "%zz"`},
		"JSON":                {"application/json", `{"a":`, "reading the parameters in the body: unexpected end of JSON input"},
		"JSON, and more":      {"application/json", `{"a":1}}`, "reading the parameters in the body: invalid character '}' after top-level value"},
		"JSON, not UTF-8":     {"application/json", "{\"a\":\"\xff\"}", "reading the parameters in the body: the JSON is not UTF-8"},
		"multipart":           {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nabc", "reading the parameters in the body: "},
		"multipart, no bound": {"multipart/form-data", "", "reading the parameters in the body: no multipart boundary"},
	} {
		resp, err := http.Post(s.URL+TokenPath, test.contentType, strings.NewReader(test.body))
		require.NoError(t, err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		assert.Equal(t, 400, resp.StatusCode, name)
		assert.Contains(t, string(body), "gumroadtest: "+test.want, name)
		assert.Contains(t, lastRequest(s).Reason, test.want, name)
	}
}

// Only the form in a POST can name another method.
func TestMethodOverride(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Provider(callbackURL)
	_, location := sendForm(t, http.MethodPost, s.URL+AuthorizePath, pageQuery(s, "_method=DELETE"))
	assert.Contains(t, location, "?error=access_denied")
	_, location = sendForm(t, http.MethodPost, s.URL+AuthorizePath+"?_method=delete", pageQuery(s))
	assert.Contains(t, location, "?code=")
	resp, err := noRedirects.Post(s.URL+AuthorizePath+"?"+pageQuery(s), "application/json", strings.NewReader(`{"_method":"delete"}`))
	require.NoError(t, err)
	resp.Body.Close()
	assert.Contains(t, resp.Header.Get("Location"), "?code=")
	status, _ := sendForm(t, http.MethodPost, s.URL+AuthorizePath, pageQuery(s, "_method=put"))
	assert.Equal(t, 404, status)
	status, _ = sendForm(t, http.MethodGet, s.URL+AuthorizePath+"?"+pageQuery(s), "_method=delete")
	assert.Equal(t, 200, status, "the page")
}
