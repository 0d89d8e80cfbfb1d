// Command example is a web application that people log in to with Gumroad. It is
// meant to be read and copied. README.md describes its pages and its settings.
//
//	go run ./example
//
// Without GUMROAD_KEY and GUMROAD_SECRET, users log in at the test server of package
// gumroadtest, which runs inside this program.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	gumroad "github.com/gumroad/goth-gumroad"
	"github.com/gumroad/goth-gumroad/gumroadtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C stops at once
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
	db, err := openDatabase(ctx, cfg.databaseURL)
	if err != nil {
		return err
	}
	defer db.Close()
	listener, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return fmt.Errorf("listening on port %s: %w; set PORT to a free port", cfg.port, err)
	}
	defer listener.Close()
	base, err := url.Parse(cmp.Or(cfg.baseURL, "http://"+listener.Addr().String()))
	if err != nil {
		return err
	}
	callback := base.String() + "/auth/gumroad/callback"
	mux := http.NewServeMux()
	provider := gumroad.New(cfg.key, cfg.secret, callback, asked.Scope)
	if cfg.key == "" {
		var test *gumroadtest.Server
		test, provider = newTestGumroad(mux, base, callback)
		defer test.Close()
	}
	app, err := newApp(ctx, provider, db, base, cfg.sessionSecret, cfg.key == "")
	if err != nil {
		return err
	}
	mux.Handle("/", app)
	var handler http.Handler = mux
	if cfg.baseURL == "" {
		handler = onlyAt(base, mux)
	}

	_, port, _ := net.SplitHostPort(listener.Addr().String())
	fmt.Fprintf(stdout, "Listening on port %s. Open %s in a browser. Ctrl-C stops it.\n", port, base)
	if cfg.key == "" {
		fmt.Fprintln(stdout, "Users log in at a test server inside this program, which forgets everything when it stops.")
	} else {
		fmt.Fprintf(stdout, "Users log in at %s. Register this redirect URI there:\n%s\n", provider.AuthURL, callback)
	}
	return serve(ctx, listener, newServer(handler), stdout)
}

func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		// A login can take three requests to Gumroad. A refresh can wait for another one.
		WriteTimeout: 3*gumroad.RequestTimeout + 10*time.Second,
		IdleTimeout:  2 * time.Minute,
	}
}

// serve answers until ctx is done. Then it waits for requests in progress, so that a
// login in progress can finish.
func serve(ctx context.Context, listener net.Listener, server *http.Server, stdout io.Writer) error {
	var silent sync.Map // the connections without a request yet
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateNew {
			silent.Store(conn, nil)
		} else {
			silent.Delete(conn)
		}
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	fmt.Fprintln(stdout, "Stopping. Waiting for requests in progress. Press Ctrl-C again to stop at once.")
	// Shutdown would wait five seconds for these. One second is enough for a request
	// that a proxy is just sending.
	server.RegisterOnShutdown(func() {
		time.Sleep(time.Second)
		silent.Range(func(conn, _ any) bool {
			conn.(net.Conn).Close()
			return true
		})
	})
	patience, cancel := context.WithTimeout(context.Background(), server.WriteTimeout)
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// onlyAt redirects requests for another host name to base, which has the cookies.
func onlyAt(base *url.URL, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == base.Host {
			next.ServeHTTP(w, r)
			return
		}
		// The text of the request line is not used, since after our host it could
		// name another host.
		there := url.URL{Scheme: base.Scheme, Host: base.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, there.String(), http.StatusTemporaryRedirect)
	})
}
