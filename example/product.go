package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	gumroad "github.com/gumroad/goth-gumroad"
)

// productPage is a page of Gumroad's answer to GET /products.
type productPage struct {
	Success  bool      `json:"success"`
	Products []product `json:"products"`
	Next     string    `json:"next_page_key,omitempty"` // empty on the last page
}

type product struct {
	Name      string `json:"name"`
	Price     string `json:"formatted_price"`
	URL       string `json:"short_url"`
	Published bool   `json:"published"`
}

// Title is the name to show.
func (p product) Title() string {
	if !visible.MatchString(p.Name) {
		return "Product without a name"
	}
	return p.Name
}

const maxProductPage = 2 << 20 // bytes

// errNoAnswer means that Gumroad's API did not answer, or with something else than JSON.
var errNoAnswer = errors.New("no answer from Gumroad")

// fetchProducts gets a page of the user's products from Gumroad. An empty key means
// the first page. If the token is no longer valid, the error wraps
// gumroad.ErrUnauthorized. If Gumroad refuses otherwise, it wraps a *gumroad.Error.
func fetchProducts(ctx context.Context, provider *gumroad.Provider, accessToken, key string) (page productPage, err error) {
	ctx, cancel := context.WithTimeout(ctx, gumroad.RequestTimeout)
	defer cancel()
	address := strings.TrimSuffix(provider.ProfileURL, "/user") + "/products?" + url.Values{"page_key": {key}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return page, fmt.Errorf("listing the products: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	resp, err := provider.Client().Do(req)
	var body []byte
	if err == nil {
		defer resp.Body.Close()
		body, err = io.ReadAll(http.MaxBytesReader(nil, resp.Body, maxProductPage))
	}
	if err == nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(body, &page)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("%w: %w", errNoAnswer, err)
	case resp.StatusCode == http.StatusUnauthorized && (len(body) == 0 || strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer")):
		err = gumroad.ErrUnauthorized
	case !page.Success:
		err = &gumroad.Error{StatusCode: resp.StatusCode}
	default:
		return page, nil
	}
	return page, fmt.Errorf("listing the products: %w", err)
}
