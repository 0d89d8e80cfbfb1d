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

	"golang.org/x/net/idna"
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
	switch {
	case cfg.key != "" && cfg.secret == "":
		return cfg, errors.New("GUMROAD_KEY is set but GUMROAD_SECRET is not: set both to log in at Gumroad, or neither to log in at the test server")
	case cfg.key == "" && cfg.secret != "":
		return cfg, errors.New("GUMROAD_SECRET is set but GUMROAD_KEY is not: set both to log in at Gumroad, or neither to log in at the test server")
	case cfg.sessionSecret == "" && cfg.key == "":
		cfg.sessionSecret = rand.Text() + rand.Text()
	case utf8.RuneCountInString(cfg.sessionSecret) < 32:
		return cfg, errors.New(`SESSION_SECRET is not set or too short: set it to 32 random characters or more, such as those that "openssl rand -hex 32" prints, and keep it`)
	}
	if cfg.key != "" {
		cfg.databaseURL = cmp.Or(cfg.databaseURL, "file:gumroad-example.db")
	}

	cfg.port = cmp.Or(getenv("PORT"), "3000")
	if !isPort(cfg.port) {
		return cfg, fmt.Errorf("PORT is %q: want a number from 0 to 65535", cfg.port)
	}
	cfg.listen = "127.0.0.1:" + cfg.port
	if given := getenv("BASE_URL"); given != "" {
		cfg.listen = ":" + cfg.port
		if cfg.baseURL, err = origin(given); err != nil {
			return cfg, fmt.Errorf("BASE_URL %w", err)
		}
	}
	return cfg, nil
}

func isPort(s string) bool {
	n, _ := strconv.ParseUint(s, 10, 16)
	return s == strconv.FormatUint(n, 10)
}

// origin returns the scheme, the host and the port as browsers write them. If
// browsers write the host differently, it returns an error, since the redirect URI
// must match the one registered at Gumroad exactly.
func origin(given string) (string, error) {
	given = strings.TrimSuffix(strings.ToLower(given), "/")
	u, err := url.Parse(given)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || given != u.Scheme+"://"+u.Host || strings.HasSuffix(u.Host, ":") ||
		(u.Port() != "" && !isPort(u.Port())) || u.Port() == "0" {
		return "", errors.New("must be a scheme and a host and nothing else, such as https://login.example.com")
	}
	host, err := browserHost(u.Hostname())
	if err != nil {
		return "", err
	}
	port := ""
	if u.Port() != "" && u.Port() != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		port = ":" + u.Port()
	}
	if strings.TrimSuffix(u.Host, ":"+u.Port()) != host {
		return "", fmt.Errorf("must be as browsers write it: set it to %s://%s%s", u.Scheme, host, port)
	}
	return u.Scheme + "://" + host + port, nil
}

var (
	hostName = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)
	numeric  = regexp.MustCompile(`(^|\.)(\d+|0x[0-9a-f]*)$`) // what browsers read as an IP address
)

// browserHost returns the host as browsers write it in an address.
func browserHost(host string) (string, error) {
	ip, _ := netip.ParseAddr(host)
	switch {
	case ip.Is4():
		return host, nil
	case ip.Is6() && !ip.Is4In6():
		return "[" + ip.String() + "]", nil
	}
	if !hostName.MatchString(host) { // IDNA has no underscore
		var err error
		host, err = idna.Lookup.ToASCII(strings.TrimSuffix(host, "."))
		if err != nil || !hostName.MatchString(host) {
			return "", errors.New("has a host that browsers do not accept: use one such as login.example.com")
		}
	}
	if numeric.MatchString(host) {
		return "", errors.New("has a host that browsers write differently: write all four numbers of an IP address, such as 127.0.0.1")
	}
	return host, nil
}
