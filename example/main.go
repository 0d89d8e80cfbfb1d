// Command example is a web application that people log in to with Gumroad. It is
// meant to be read and copied; README.md has the walk through its pages.
//
//	go run ./example
//
// Without GUMROAD_KEY and GUMROAD_SECRET it logs in at the Gumroad of package
// gumroadtest, which runs inside this program.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second Ctrl-C does not wait
	if err := run(ctx, os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

// run serves the application until ctx is done.
func run(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	cfg, err := readConfig(getenv)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return fmt.Errorf("listening on port %s: %w; set PORT to a free port", cfg.port, err)
	}
	base := cfg.baseURL
	if base == "" {
		base = origin("http", listener.Addr().String())
	}
	handler, end := newSite(cfg, base)
	defer end()
	if cfg.baseURL == "" {
		handler = onlyAt(base, handler)
	}

	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		// A login can take three requests to Gumroad.
		WriteTimeout: 3*gumroad.RequestTimeout + 10*time.Second,
		IdleTimeout:  2 * time.Minute,
	}
	fmt.Fprintf(stdout, "Open %s in a browser. Ctrl-C ends it.\n", base)

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	// Whoever is in the middle of a login gets an answer still.
	patience, cancel := context.WithTimeout(context.Background(), server.WriteTimeout)
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// config is what the environment says.
type config struct {
	port          string
	listen        string
	baseURL       string // where browsers find the application, "" for where it listens
	key, secret   string // of the application at Gumroad, "" for the test server
	sessionSecret string
}

func readConfig(getenv func(string) string) (config, error) {
	cfg := config{
		port:          cmp.Or(getenv("PORT"), "3000"),
		key:           getenv("GUMROAD_KEY"),
		secret:        getenv("GUMROAD_SECRET"),
		sessionSecret: getenv("SESSION_SECRET"),
	}
	switch {
	case cfg.key != "" && cfg.secret == "":
		return cfg, errors.New("GUMROAD_KEY is set but GUMROAD_SECRET is not: set both to log in at Gumroad, or neither to log in at the test server")
	case cfg.key == "" && cfg.secret != "":
		return cfg, errors.New("GUMROAD_SECRET is set but GUMROAD_KEY is not: set both to log in at Gumroad, or neither to log in at the test server")
	}
	if _, err := strconv.ParseUint(cfg.port, 10, 16); err != nil {
		return cfg, fmt.Errorf("PORT is %q: want a number from 0 to 65535", cfg.port)
	}
	cfg.listen = "127.0.0.1:" + cfg.port
	if given := getenv("BASE_URL"); given != "" {
		u, err := url.Parse(given)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil ||
			(u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || !goodPort(u) {
			return cfg, fmt.Errorf("BASE_URL is %q: want only a scheme and a host, such as https://login.example.com", given)
		}
		cfg.baseURL = origin(u.Scheme, u.Host)
		cfg.listen = ":" + cfg.port
	}
	return cfg, nil
}

// goodPort reports whether the address has a port that there is, or none.
func goodPort(u *url.URL) bool {
	_, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil || (u.Port() == "" && !strings.HasSuffix(u.Host, ":"))
}

// origin returns scheme and host as browsers write them.
func origin(scheme, host string) string {
	if scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + strings.ToLower(host)
}

// newSite returns the application at base, and what to call when it is not
// needed any more.
func newSite(cfg config, base string) (http.Handler, func()) {
	callback := base + "/auth/gumroad/callback"
	if cfg.key != "" {
		provider := gumroad.New(cfg.key, cfg.secret, callback, gumroad.ScopeViewProfile)
		return newApp(provider, base, cfg.sessionSecret, false), func() {}
	}

	// The browser finds the test server at the application's own address, so
	// that one port is enough.
	test := gumroadtest.NewServer()
	test.SetApplication(gumroadtest.Application{Name: "Example", RedirectURIs: []string{callback}, Confidential: true})
	user := test.User()
	user.Picture = "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(sailor)
	test.SetUser(user)
	provider := gumroad.NewCustomisedURL(test.ClientID, test.ClientSecret, callback,
		base+"/gumroad"+gumroadtest.AuthorizePath, test.URL+gumroadtest.TokenPath, test.URL+gumroadtest.UserPath,
		gumroad.ScopeViewProfile)
	mux := http.NewServeMux()
	mux.Handle("/", newApp(provider, base, cfg.sessionSecret, true))
	mux.Handle("/gumroad/", http.StripPrefix("/gumroad", test))
	return mux, test.Close
}

// sailor is a picture for the user of the test server, whose own is nowhere.
//
//go:embed sailor.svg
var sailor []byte
