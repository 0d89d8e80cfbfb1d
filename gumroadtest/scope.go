package gumroadtest

import (
	"fmt"
	"slices"
	"strings"

	gumroad "github.com/gumroad/goth-gumroad"
)

// publicScopes are the scopes of a new application at Gumroad: the documented ones
// and two more.
var publicScopes = []string{
	gumroad.ScopeViewProfile, gumroad.ScopeEditProfile, gumroad.ScopeEditProducts, gumroad.ScopeEditEmails,
	gumroad.ScopeViewSales, gumroad.ScopeViewPayouts, gumroad.ScopeViewTaxData, gumroad.ScopeMarkSalesAsShipped,
	gumroad.ScopeEditSales, gumroad.ScopeAccount, "ifttt", "revenue_share",
}

// otherScopes are the other scopes in Gumroad's source.
var otherScopes = []string{"view_public", "refund_sales", "mobile_api", "creator_api", "unfurl", "helper_api"}

// mustExist panics if Gumroad does not have one of the scopes.
func mustExist(scopes []string, method string) {
	for _, scope := range scopes {
		if !slices.Contains(publicScopes, scope) && !slices.Contains(otherScopes, scope) {
			panic(fmt.Sprintf("gumroadtest: %s: Gumroad has no scope %q", method, scope))
		}
	}
}

// checkScopes refuses scopes that are not allowed.
func checkScopes(scope string, allowed []string) *oauthError {
	if strings.ContainsAny(scope, "\t\n\r") {
		return invalidScope.because("the scopes in %q are not separated by blanks", scope)
	}
	for _, name := range splitScopes(scope) {
		if !slices.Contains(allowed, name) {
			return invalidScope.because("the scope %q is not allowed; allowed are %q", name, allowed)
		}
	}
	return nil
}

// splitScopes returns each scope once. It splits where Ruby does, except at what
// checkScopes refuses.
func splitScopes(scope string) []string {
	var scopes []string
	for _, name := range strings.FieldsFunc(scope, func(r rune) bool { return strings.ContainsRune(" \v\f", r) }) {
		if !slices.Contains(scopes, name) {
			scopes = append(scopes, name)
		}
	}
	return scopes
}

// overlap reports whether a scope is in both lists.
func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(scope string) bool { return slices.Contains(b, scope) })
}
