// Package readme checks the documentation: README.md, SECURITY.md,
// example/README.md and docs/*.md.
//
//	GOWORK=off go test -count=1 ./...                               checks everything
//	GOWORK=off go test -count=1 -run 'TestGo$/tokens' ./...         checks the code of docs/tokens.md
//	GOWORK=off go test -count=1 -run 'TestGo$/^README' -v ./...     checks README.md and prints its program's log
//	GOWORK=off go test -count=1 -run 'TestLinks|TestLength' ./...   checks only links and length
//
// # How a go block is checked
//
// Every go block is compiled by go vet in a temporary module. An error names the
// page and the line. A block is one of these:
//
//   - A whole file, which begins with "package".
//   - Declarations. Package names such as http or gumroad need no import.
//   - Statements. They can use the variables w, r, ctx, provider, user, err and
//     db, and can call save. See given in go_test.go.
//
// A block can use the declarations of earlier blocks of the same page. If two of
// them declare the same name, the block uses the later one. Blocks cannot use the
// declarations of a program.
//
// # What runs
//
//   - A block with a *testing.T runs with go test.
//   - A program that listens on localhost:3000 runs with gumroadtest as its
//     Gumroad. walk in walk_test.go logs in to it as browsers and attackers do.
//   - Any other program runs with gumroadtest too and must exit with 0. The
//     variable GUMROAD_ACCESS_TOKEN has a token with the scope account.
//   - Each line of an sh block of README.md and docs/*.md runs at the top of the
//     repository. Call a block console or text if it must not run.
//
// If a page uses a new package, import it in imports.go. If blocks use it without
// an import, add it to packages in go_test.go. Then run "GOWORK=off go mod tidy".
package readme

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// page is a file of the documentation.
type page struct {
	path string // relative to the root of the repository
	text string
}

// readPages returns the pages that match one of the patterns.
func readPages(t *testing.T, patterns ...string) []page {
	var pages []page
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			path, err := filepath.Rel(root, file)
			require.NoError(t, err)
			pages = append(pages, page{filepath.ToSlash(path), string(data)})
		}
	}
	require.NotEmpty(t, pages)
	return pages
}

// name returns the name of the page's subtest.
func (p page) name() string { return strings.ReplaceAll(strings.TrimSuffix(p.path, ".md"), "/", "-") }

// block is a fenced block of a page.
type block struct {
	page     page
	line     int // the line of the page on which text begins
	language string
	text     string
}

var fence = regexp.MustCompile("(?ms)^( *)```(\\w*)\n(.*?)^ *```$")

// blocks returns the page's blocks in this language.
func (p page) blocks(language string) []block {
	var found []block
	for _, at := range fence.FindAllStringSubmatchIndex(p.text, -1) {
		indent, text := p.text[at[2]:at[3]], p.text[at[6]:at[7]]
		b := block{
			page:     p,
			line:     2 + strings.Count(p.text[:at[0]], "\n"),
			language: p.text[at[4]:at[5]],
			text:     strings.ReplaceAll("\n"+text, "\n"+indent, "\n")[1:],
		}
		if b.language == language {
			found = append(found, b)
		}
	}
	return found
}

// TestLength keeps the README short.
func TestLength(t *testing.T) {
	require.Less(t, strings.Count(readPages(t, "README.md")[0].text, "\n"), 230)
}
