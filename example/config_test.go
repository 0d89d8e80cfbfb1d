package main

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// withKey adds what a BASE_URL needs.
func withKey(vars map[string]string) map[string]string {
	if _, given := vars["GUMROAD_KEY"]; !given && vars["BASE_URL"] != "" {
		vars["GUMROAD_KEY"], vars["GUMROAD_SECRET"], vars["SESSION_SECRET"] = "k", "s", testSecret
	}
	return vars
}

func TestConfigErrors(t *testing.T) {
	for name, test := range map[string]struct {
		vars map[string]string
		says []string
	}{
		"only the key":            {map[string]string{"GUMROAD_KEY": "k"}, []string{"GUMROAD_KEY is set but GUMROAD_SECRET is not"}},
		"only the secret":         {map[string]string{"GUMROAD_SECRET": "hush"}, []string{"GUMROAD_SECRET is set but GUMROAD_KEY is not"}},
		"a blank key":             {map[string]string{"GUMROAD_KEY": " ", "GUMROAD_SECRET": "hush"}, []string{"GUMROAD_KEY begins or ends with a space"}},
		"a secret with a newline": {map[string]string{"GUMROAD_KEY": "k", "GUMROAD_SECRET": "hush\n"}, []string{"GUMROAD_SECRET begins or ends with a space"}},
		"a blank database":        {map[string]string{"DATABASE_URL": "\t"}, []string{"DATABASE_URL begins or ends with a space"}},
		"a blank port":            {map[string]string{"PORT": " 3000"}, []string{"PORT begins or ends with a space"}},
		"a blank address":         {map[string]string{"BASE_URL": "https://example.com "}, []string{"BASE_URL begins or ends with a space"}},
		"a blank session secret":  {map[string]string{"SESSION_SECRET": " "}, []string{"SESSION_SECRET begins or ends with a space"}},
		"no session secret":       {map[string]string{"GUMROAD_KEY": "k", "GUMROAD_SECRET": "hush"}, []string{"SESSION_SECRET", "32", "openssl rand -hex 32"}},
		"a short session secret":  {map[string]string{"GUMROAD_KEY": "k", "GUMROAD_SECRET": "s", "SESSION_SECRET": "hush" + strings.Repeat("ü", 27)}, []string{"SESSION_SECRET", "too short"}},
		"a short one for tests":   {map[string]string{"SESSION_SECRET": "hush"}, []string{"SESSION_SECRET"}},
		"a port by name":          {map[string]string{"PORT": "http"}, []string{"PORT", `"http"`}},
		"a port beyond the last":  {map[string]string{"PORT": "65536"}, []string{"PORT", `"65536"`}},
		"a port with a sign":      {map[string]string{"PORT": "+80"}, []string{"PORT", `"+80"`}},
		"a port with zeros":       {map[string]string{"PORT": "080"}, []string{"PORT", `"080"`}},
		"an address without http": {map[string]string{"BASE_URL": "example.com"}, []string{"BASE_URL", "https://login.example.com"}},
		"an address with a path":  {map[string]string{"BASE_URL": "https://example.com/app"}, []string{"BASE_URL"}},
		"an address with a query": {map[string]string{"BASE_URL": "https://example.com?x=1"}, []string{"BASE_URL"}},
		"with an empty query":     {map[string]string{"BASE_URL": "https://example.com?"}, []string{"BASE_URL"}},
		"with a fragment":         {map[string]string{"BASE_URL": "https://example.com#x"}, []string{"BASE_URL"}},
		"with a user":             {map[string]string{"BASE_URL": "https://ann:hush@example.com"}, []string{"BASE_URL"}},
		"port 0":                  {map[string]string{"BASE_URL": "http://localhost:0"}, []string{"BASE_URL"}},
		"a port of nowhere":       {map[string]string{"BASE_URL": "https://example.com:65536"}, []string{"BASE_URL"}},
		"a port left out":         {map[string]string{"BASE_URL": "https://example.com:"}, []string{"BASE_URL"}},
		"an address of nowhere":   {map[string]string{"BASE_URL": "https://:3000"}, []string{"BASE_URL"}},
		"another scheme":          {map[string]string{"BASE_URL": "ftp://example.com"}, []string{"BASE_URL"}},
		"letters beyond ASCII":    {map[string]string{"BASE_URL": "https://bücher.example:8443"}, []string{"BASE_URL", "https://xn--bcher-kva.example:8443"}},
		"capitals":                {map[string]string{"BASE_URL": "https://Example.com"}, []string{"BASE_URL"}},
		"a slash at the end":      {map[string]string{"BASE_URL": "https://example.com/"}, []string{"BASE_URL", "without a slash"}},
		"the default port":        {map[string]string{"BASE_URL": "https://example.com:443"}, []string{"BASE_URL"}},
		"an invisible letter":     {map[string]string{"BASE_URL": "https://a\u200db.example"}, []string{"BASE_URL"}},
		"a short IP address":      {map[string]string{"BASE_URL": "http://127.1:3000"}, []string{"BASE_URL", "http://127.0.0.1:3000"}},
		"a hexadecimal one":       {map[string]string{"BASE_URL": "http://0x7f000001"}, []string{"BASE_URL"}},
		"an IP address and a dot": {map[string]string{"BASE_URL": "http://127.0.0.1."}, []string{"BASE_URL"}},
		"a long IPv6 address":     {map[string]string{"BASE_URL": "http://[0:0:0:0:0:0:0:1]:3000"}, []string{"BASE_URL"}},
		"an IPv6 zone":            {map[string]string{"BASE_URL": "http://[fe80::1%25eth0]:3000"}, []string{"BASE_URL"}},
		"IPv4 in IPv6":            {map[string]string{"BASE_URL": "http://[::ffff:7f00:1]:3000"}, []string{"BASE_URL"}},
		"a blank in the host":     {map[string]string{"BASE_URL": "http://exa%20mple.com"}, []string{"BASE_URL"}},
		"a dot at the end":        {map[string]string{"BASE_URL": "https://example.com."}, []string{"BASE_URL"}},
		"everybody's test server": {map[string]string{"BASE_URL": "https://example.com", "GUMROAD_KEY": ""}, []string{"BASE_URL is set but GUMROAD_KEY is not"}},
		"a database of a kind":    {map[string]string{"DATABASE_URL": "mysql://ann:hush@localhost/x", "PORT": "0"}, []string{"DATABASE_URL must be", "postgres://", "file:"}},
		"a database without name": {map[string]string{"DATABASE_URL": "file:", "PORT": "0"}, []string{"DATABASE_URL must be"}},
		"a database of one word":  {map[string]string{"DATABASE_URL": "example.db", "PORT": "0"}, []string{"DATABASE_URL must be"}},
		"a folder that is not":    {map[string]string{"DATABASE_URL": "file:/nowhere/example.db", "PORT": "0"}, []string{"opening the database", "/nowhere/example.db"}},
		"a broken postgres":       {map[string]string{"DATABASE_URL": "postgres://ann:hush@localhost:x/db", "PORT": "0"}, []string{"DATABASE_URL"}},
		"no postgres there":       {map[string]string{"DATABASE_URL": "postgres://ann:hush@127.0.0.1:1/db", "PORT": "0"}, []string{"database", "127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(context.Background(), env(withKey(test.vars)), io.Discard)
			require.Error(t, err)
			for _, text := range test.says {
				assert.Contains(t, err.Error(), text)
			}
			assert.NotContains(t, err.Error(), "hush")
		})
	}
}

func TestConfig(t *testing.T) {
	for name, test := range map[string]struct {
		vars            map[string]string
		listen, baseURL string
	}{
		"nothing set":       {nil, "127.0.0.1:3000", ""},
		"a port":            {map[string]string{"PORT": "8080"}, "127.0.0.1:8080", ""},
		"default port":      {map[string]string{"BASE_URL": "https://example.com"}, ":3000", "https://example.com"},
		"another port":      {map[string]string{"BASE_URL": "http://example.com:443"}, ":3000", "http://example.com:443"},
		"an address":        {map[string]string{"BASE_URL": "https://example.com", "PORT": "80"}, ":80", "https://example.com"},
		"a database":        {map[string]string{"DATABASE_URL": "postgres:///x"}, "127.0.0.1:3000", ""},
		"an underscore":     {map[string]string{"BASE_URL": "http://web_1:3000"}, ":3000", "http://web_1:3000"},
		"an IP address":     {map[string]string{"BASE_URL": "http://127.0.0.1:3000"}, ":3000", "http://127.0.0.1:3000"},
		"an IPv6 address":   {map[string]string{"BASE_URL": "http://[::1]:3000"}, ":3000", "http://[::1]:3000"},
		"digits in a name":  {map[string]string{"BASE_URL": "http://web1.4you.example"}, ":3000", "http://web1.4you.example"},
		"Punycode":          {map[string]string{"BASE_URL": "https://xn--bcher-kva.example"}, ":3000", "https://xn--bcher-kva.example"},
		"a host of letters": {map[string]string{"BASE_URL": "http://localhost:3000"}, ":3000", "http://localhost:3000"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := readConfig(env(withKey(test.vars)))
			require.NoError(t, err)
			require.Equal(t, test.listen, cfg.listen)
			require.Equal(t, test.baseURL, cfg.baseURL)
		})
	}
}

// The tokens of the test server end with the program, so they need no file. Those of
// Gumroad do not end.
func TestConfigOfSecretAndDatabase(t *testing.T) {
	one, err := readConfig(env(nil))
	require.NoError(t, err)
	other, err := readConfig(env(nil))
	require.NoError(t, err)
	require.NotEqual(t, one.sessionSecret, other.sessionSecret)
	require.GreaterOrEqual(t, len(one.sessionSecret), 32)
	require.Empty(t, one.databaseURL)

	vars := map[string]string{"GUMROAD_KEY": "k", "GUMROAD_SECRET": "s", "SESSION_SECRET": testSecret}
	real, err := readConfig(env(vars))
	require.NoError(t, err)
	require.Equal(t, testSecret, real.sessionSecret, "replicas have the same")
	require.Equal(t, "file:gumroad-example.db", real.databaseURL)
	vars["DATABASE_URL"] = "postgres://localhost/x"
	real, err = readConfig(env(vars))
	require.NoError(t, err)
	require.Equal(t, "postgres://localhost/x", real.databaseURL)
	vars["SESSION_SECRET"] = strings.Repeat("ü", 32)
	_, err = readConfig(env(vars))
	require.NoError(t, err, "32 characters are enough")
}
