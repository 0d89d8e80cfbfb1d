package gumroadtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
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
	if r.Body == nil {
		r.Body = http.NoBody
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	query, err := asRails(url.ParseQuery(r.URL.RawQuery))
	if err != nil {
		return fmt.Errorf("reading the query: %w", err)
	}
	if r.PostForm, err = readBody(r, body); err != nil {
		return fmt.Errorf("reading the parameters in the body: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Form = url.Values{}
	maps.Copy(r.Form, r.PostForm)
	maps.Copy(r.Form, query)
	for name := range r.Form {
		if strings.HasPrefix(r.URL.Path, "/oauth/") && strings.Contains(name, "[") {
			return fmt.Errorf("the parameter %q is nested, and no parameter of this endpoint is", name)
		}
	}
	return nil
}

// readBody returns the parameters in the body. Rack takes the method of a form from
// them.
func readBody(r *http.Request, body []byte) (values url.Values, err error) {
	values = url.Values{} // not nil, or else net/http would read the body
	contentType := r.Header.Get("Content-Type")
	if r.Method == http.MethodPost {
		contentType = cmp.Or(contentType, "application/x-www-form-urlencoded")
	}
	switch kind, _, _ := mime.ParseMediaType(contentType); kind {
	case "application/x-www-form-urlencoded":
		values, err = asRails(url.ParseQuery(string(body)))
	case "multipart/form-data":
		r.Form, r.PostForm = url.Values{}, url.Values{} // or else it reads the query
		err = r.ParseMultipartForm(int64(len(body)))
		values, err = asRails(r.PostForm, err)
	case "application/json":
		return asRails(readJSON(body))
	}
	if method := strings.ToUpper(values.Get("_method")); method != "" && r.Method == http.MethodPost {
		r.Method = method
	}
	return values, err
}

// asRails leaves the last value of each parameter that was read, except for one whose
// name ends with []. A blank parameter is absent.
func asRails(values url.Values, err error) (url.Values, error) {
	if err != nil {
		return nil, err
	}
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
	if !utf8.Valid(body) {
		return nil, errors.New("the JSON is not UTF-8")
	}
	values := url.Values{}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil && len(body) > 0 && !errors.As(err, new(*json.UnmarshalTypeError)) {
		return nil, err
	}
	for name, value := range object {
		var text string
		switch {
		case value[0] == '{' || value[0] == '[':
			name += "[]"
		case json.Unmarshal(value, &text) == nil:
			value = []byte(text) // which null leaves empty
		}
		values.Set(name, string(value))
	}
	return values, nil
}
