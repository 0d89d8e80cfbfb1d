package gumroadtest

import (
	"slices"

	gumroad "github.com/gumroad/goth-gumroad"
)

// Application is an application that is registered at Gumroad.
type Application struct {
	// Name is shown on the authorization page.
	Name string

	// RedirectURIs are the registered redirect URIs, besides the callback URLs of
	// [Server.Provider]. As in the one field of Gumroad's form, a text with spaces is
	// several URIs. Each needs a scheme, and with http or https a host. It must be
	// ASCII and without a fragment. A login with any other fails with
	// invalid_redirect_uri.
	RedirectURIs []string

	// Scopes are the scopes that the application may request. If Scopes is empty,
	// they are Gumroad's public scopes, as for a new application. An older one has
	// fewer: it keeps those of the day on which it was registered.
	Scopes []string

	// Confidential is whether the application must send its secret. No application
	// that people register at Gumroad is confidential: the authorization page comes
	// at every login, and the secret is optional, though a wrong one is refused. For
	// a confidential application, which only Gumroad can make, the server skips the
	// page if the user granted the same scopes before.
	Confidential bool
}

// Application returns the application, with all of its scopes. To change a part of
// it, change the returned value and call [Server.SetApplication].
func (s *Server) Application() Application {
	defer s.lock()()
	return s.app.clone()
}

// SetApplication replaces the application, except for its credentials and for the
// callback URLs that [Server.Provider] registered. Existing tokens and codes stay
// valid. SetApplication panics if Gumroad does not have one of the scopes.
func (s *Server) SetApplication(app Application) {
	mustExist(app.Scopes, "SetApplication")
	if len(app.Scopes) == 0 {
		app.Scopes = publicScopes
	}
	defer s.lock()()
	s.app = app.clone()
}

// clone returns a copy that shares nothing.
func (a Application) clone() Application {
	a.RedirectURIs = slices.Clone(a.RedirectURIs)
	a.Scopes = slices.Clone(a.Scopes)
	return a
}

// Provider returns a provider that logs in to this server, and registers its
// callback URL with the application. Without scopes it asks for view_profile, as
// [gumroad.New] does. Its HTTPClient is [Server.Client], so a program that calls
// Gumroad's API with the provider's client reaches this server too.
func (s *Server) Provider(callbackURL string, scopes ...string) *gumroad.Provider {
	unlock := s.lock()
	if !slices.Contains(s.callbacks, callbackURL) {
		s.callbacks = append(s.callbacks, callbackURL)
	}
	unlock()
	provider := gumroad.NewCustomisedURL(s.ClientID, s.ClientSecret, callbackURL,
		s.URL+AuthorizePath, s.URL+TokenPath, s.URL+UserPath, scopes...)
	provider.HTTPClient = s.Client()
	return provider
}
