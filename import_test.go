package gumroad_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A program that logs in with Gumroad compiles this, and nothing more.
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
