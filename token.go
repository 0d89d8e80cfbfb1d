package gumroad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/oauth2"
)

// post returns a request that posts form and the client's credentials to the
// token endpoint.
func (p *Provider) post(doing string, form url.Values, secrets ...string) *request {
	if p.ClientKey != "" {
		form.Set("client_id", p.ClientKey)
	}
	if p.Secret != "" {
		form.Set("client_secret", p.Secret)
	}
	return &request{doing: doing, url: p.TokenURL, form: form, secrets: secrets, client: p.HTTPClient, stall: p.stall}
}

// token asks the token endpoint for a token. It also returns the whole answer.
func (p *Provider) token(doing string, form url.Values, secrets ...string) (*oauth2.Token, map[string]any, error) {
	r := p.post(doing, form, secrets...)
	answer, body, err := r.send(context.Background())
	if err != nil {
		return nil, nil, err
	}
	token := &oauth2.Token{TokenType: firstText(answer, "token_type")}
	if token.AccessToken, err = tokenText(answer, "access_token"); err == nil && token.AccessToken == "" {
		err = errors.New("the answer has no access_token")
	}
	if err == nil {
		token.RefreshToken, err = tokenText(answer, "refresh_token")
	}
	if _, expires := answer["expires_in"]; expires && err == nil {
		token.ExpiresIn, err = lifetime(exact(body, "expires_in"))
	}
	if err != nil {
		return nil, nil, r.fail(err)
	}
	if token.ExpiresIn != 0 {
		token.Expiry = time.Now().Add(time.Duration(token.ExpiresIn) * time.Second)
	}
	return token, answer, nil
}

// tokenText returns the token in this field, or "" if there is none.
func tokenText(answer map[string]any, field string) (string, error) {
	text, ok := answer[field].(string)
	// encoding/json replaces what is not UTF-8 with U+FFFD.
	if answer[field] != nil && !ok || strings.ContainsRune(text, utf8.RuneError) {
		return "", fmt.Errorf("the %s in the answer is not a string", field)
	}
	return text, nil
}

// lifetime returns how long an access token is valid, in seconds. It returns 0 if
// the token does not expire. Like x/oauth2 it accepts a number or a string that is
// one, and returns at most 68 years.
func lifetime(expiresIn []byte) (int64, error) {
	// encoding/json leaves it unchanged for null.
	number := json.Number("0")
	err := json.Unmarshal(expiresIn, &number)
	seconds, notWhole := strconv.ParseUint(number.String(), 10, 63)
	if err != nil || notWhole != nil {
		return 0, errors.New("the expires_in in the answer is not a number of seconds")
	}
	return int64(min(seconds, math.MaxInt32)), nil
}
