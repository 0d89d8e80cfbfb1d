package gumroadtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// readParameters sets r.Form, r.PostForm and r.MultipartForm as Rails reads
// parameters: of any method and from JSON too, and the query takes precedence over
// the body. The body can be read again.
func readParameters(r *http.Request) error {
	r.Form, r.PostForm = url.Values{}, url.Values{}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	query, err := parseParameters(r.URL.RawQuery)
	if err != nil {
		return fmt.Errorf("reading the query: %w", err)
	}
	if r.PostForm, err = readBody(r, body); err != nil {
		return fmt.Errorf("reading the parameters in the body: %w", err)
	}
	maps.Copy(r.Form, r.PostForm)
	maps.Copy(r.Form, query)
	for name := range r.Form {
		if strings.HasPrefix(r.URL.Path, "/oauth/") && strings.Contains(name, "[") {
			return fmt.Errorf("the parameter %q is nested, and no parameter of this endpoint is", name)
		}
	}
	// Rack takes the method of a form from the body.
	if method := strings.ToUpper(r.PostForm.Get("_method")); method != "" && r.Method == http.MethodPost {
		r.Method = method
	}
	return nil
}

// readBody returns the parameters in the body.
func readBody(r *http.Request, body []byte) (url.Values, error) {
	contentType := r.Header.Get("Content-Type")
	if r.Method == http.MethodPost {
		contentType = cmp.Or(contentType, "application/x-www-form-urlencoded")
	}
	switch kind, _, _ := mime.ParseMediaType(contentType); kind {
	case "application/x-www-form-urlencoded":
		return parseParameters(string(body))
	case "multipart/form-data":
		// POST, since net/http reads the form of few other methods.
		parsed := &http.Request{Method: http.MethodPost, Header: r.Header, Body: io.NopCloser(bytes.NewReader(body))}
		err := parsed.ParseMultipartForm(int64(len(body)))
		r.MultipartForm = parsed.MultipartForm // or else r.FormValue would read the body too
		if err != nil {
			return nil, err
		}
		return asRails(parsed.PostForm)
	case "application/json":
		return readJSON(body)
	}
	return url.Values{}, nil
}

// parseParameters reads a query or a form.
func parseParameters(text string) (url.Values, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, err
	}
	return asRails(values)
}

// asRails leaves the last value of each parameter, except for one whose name ends
// with []. A blank parameter is absent.
func asRails(values url.Values) (url.Values, error) {
	read := url.Values{}
	for name, list := range values {
		last := list[len(list)-1]
		switch {
		case !utf8.ValidString(name + strings.Join(list, "")):
			return nil, fmt.Errorf("the parameter %q is not UTF-8", name)
		case strings.HasSuffix(name, "[]"):
			read[name] = list
		case strings.TrimSpace(last) != "":
			read.Set(name, last)
		}
	}
	return read, nil
}

// readJSON returns the strings, numbers and booleans of a JSON object. The name of
// any other value gets [] at its end.
func readJSON(body []byte) (url.Values, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var read any
	if err := decoder.Decode(&read); err != nil && err != io.EOF {
		return nil, err
	}
	values := url.Values{}
	object, _ := read.(map[string]any)
	for name, value := range object {
		switch value.(type) {
		case nil:
		case string, json.Number, bool:
			values.Set(name, fmt.Sprint(value))
		default:
			values.Set(name+"[]", fmt.Sprint(value))
		}
	}
	return asRails(values)
}
