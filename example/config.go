package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// config holds the settings from the environment.
type config struct {
	port, listen  string
	baseURL       string // where browsers find the application, "" for where it listens
	key, secret   string // of the application at Gumroad, "" for the test server
	sessionSecret string
	databaseURL   string // "" for memory
}

func readConfig(getenv func(string) string) (cfg config, err error) {
	for _, name := range []string{"PORT", "BASE_URL", "GUMROAD_KEY", "GUMROAD_SECRET", "SESSION_SECRET", "DATABASE_URL"} {
		if value := getenv(name); value != strings.TrimSpace(value) {
			return cfg, fmt.Errorf("%s begins or ends with a space or a line break: remove it", name)
		}
	}
	cfg.key, cfg.secret = getenv("GUMROAD_KEY"), getenv("GUMROAD_SECRET")
	cfg.sessionSecret, cfg.databaseURL = getenv("SESSION_SECRET"), getenv("DATABASE_URL")
	cfg.port, cfg.baseURL = cmp.Or(getenv("PORT"), "3000"), getenv("BASE_URL")
	switch {
	case cfg.key != "" && cfg.secret == "":
		return cfg, errors.New("GUMROAD_KEY is set but GUMROAD_SECRET is not: set both to log in at Gumroad, or neither to log in at the test server")
	case cfg.key == "" && cfg.secret != "":
		return cfg, errors.New("GUMROAD_SECRET is set but GUMROAD_KEY is not: set both to log in at Gumroad, or neither to log in at the test server")
	case cfg.key == "" && cfg.baseURL != "":
		return cfg, errors.New("BASE_URL is set but GUMROAD_KEY is not: at the test server, anybody who can open BASE_URL could log in; set GUMROAD_KEY and GUMROAD_SECRET, or remove BASE_URL")
	case cfg.sessionSecret == "" && cfg.key == "":
		cfg.sessionSecret = rand.Text() + rand.Text()
	case utf8.RuneCountInString(cfg.sessionSecret) < 32:
		return cfg, errors.New(`SESSION_SECRET is not set or too short: set it to 32 random characters or more, such as those that "openssl rand -hex 32" prints, and keep it`)
	}
	if cfg.key != "" {
		cfg.databaseURL = cmp.Or(cfg.databaseURL, "file:gumroad-example.db")
	}
	if !isPort(cfg.port) {
		return cfg, fmt.Errorf("PORT is %q: want a number from 0 to 65535", cfg.port)
	}
	cfg.listen = "127.0.0.1:" + cfg.port
	if cfg.baseURL != "" {
		cfg.listen = ":" + cfg.port
		if !isOrigin(cfg.baseURL) {
			return cfg, errors.New("BASE_URL must be as browsers write it, with a scheme, a host and perhaps a port, in lower-case ASCII and without a slash at the end, such as https://login.example.com, http://127.0.0.1:3000 or https://xn--bcher-kva.example:8443")
		}
	}
	return cfg, nil
}

func isPort(s string) bool {
	n, _ := strconv.ParseUint(s, 10, 16)
	return s == strconv.FormatUint(n, 10)
}

var (
	origin  = regexp.MustCompile(`^https?://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])(:[1-9][0-9]*)?$`)
	numeric = regexp.MustCompile(`(^|\.)(\d+|0x[0-9a-f]*)$|:`) // a host that browsers read as an IP address
)

// isOrigin reports whether text is a scheme, a host and a port as browsers write them.
// Browsers send the redirect URI to Gumroad, where it must match exactly.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || !origin.MatchString(text) {
		return false
	}
	ip, _ := netip.ParseAddr(u.Hostname())
	if numeric.MatchString(u.Hostname()) && (ip.String() != u.Hostname() || ip.Is4In6()) {
		return false
	}
	byDefault := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return u.Port() == "" || isPort(u.Port()) && u.Port() != byDefault
}
