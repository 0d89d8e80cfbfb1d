package gumroad_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A program that imports the provider compiles only these packages and the
// standard library.
func TestImports(t *testing.T) {
	t.Parallel()
	list, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{
		"github.com/gumroad/goth-gumroad",
		"github.com/markbates/goth",
		"golang.org/x/oauth2",
		"golang.org/x/oauth2/internal",
	}, strings.Fields(string(list)))
}

// A program that requires this module gets these modules in its go.sum. It gets
// nothing that only the example or a tool needs, such as a database driver.
func TestModules(t *testing.T) {
	t.Parallel()
	sum, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	modules := map[string]bool{}
	for line := range strings.Lines(string(sum)) {
		modules[strings.Fields(line)[0]] = true
	}
	assert.Equal(t, map[string]bool{
		"github.com/go-chi/chi/v5":        true,
		"github.com/google/gofuzz":        true,
		"github.com/gorilla/mux":          true,
		"github.com/gorilla/securecookie": true,
		"github.com/gorilla/sessions":     true,
		"github.com/markbates/goth":       true,
		"github.com/stretchr/testify":     true,
		"go.yaml.in/yaml/v3":              true,
		"golang.org/x/oauth2":             true,
	}, modules)
}
