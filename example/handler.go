package main

import "net/http"

// handler answers with a page, or returns the error to answer with.
type handler func(w http.ResponseWriter, r *http.Request) error

// page makes an http.Handler of h, with what every page needs.
func (a *app) page(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		// Browsers apply form-action to the redirect after the form as well.
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' https: data:; "+
			"form-action 'self' https://gumroad.com https://*.gumroad.com; base-uri 'none'; frame-ancestors 'none'")
		// Not no-referrer, which would take the Origin from our own forms.
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Content-Type-Options", "nosniff")

		err := error(foreign)
		if r.Method != http.MethodPost || a.sameOrigin(r) {
			err = h(w, r)
		}
		if err != nil {
			a.fail(w, err)
		}
	})
}

// sameOrigin reports whether a form was sent from a page of this application.
// SameSite=Lax keeps our cookies from other sites' forms, but not from those of
// neighbouring hosts, and beginning a login needs no cookie.
func (a *app) sameOrigin(r *http.Request) bool {
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case site != "":
		return site == "same-origin" || site == "none"
	case r.Header.Get("Origin") != "":
		return r.Header.Get("Origin") == a.base
	}
	return true // not a browser, or one from before 2020, which Lax must do for
}

// onlyAt has browsers come to base, where the callback and the cookies are, and
// not to another name of the same address.
func onlyAt(base string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if "http://"+r.Host != base {
			http.Redirect(w, r, base+r.URL.RequestURI(), http.StatusTemporaryRedirect)
			return
		}
		next.ServeHTTP(w, r)
	})
}
