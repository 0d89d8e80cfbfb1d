// Package readme checks the documentation from its own text: README.md,
// SECURITY.md, example/README.md and docs/*.md.
//
//	GOWORK=off go test -count=1 ./...                               everything
//	GOWORK=off go test -count=1 -run 'TestGo$/tokens' ./...         the code of docs/tokens.md
//	GOWORK=off go test -count=1 -run 'TestGo$/^README' -v ./...     README.md's, with what its program logs
//	GOWORK=off go test -count=1 -run 'TestLinks|TestLength' ./...   takes no time
//
// # How a go block is checked
//
// Every go block is compiled with go vet, in a module that is thrown away. An
// error names the page and the line in it. A block is one of these:
//
//   - A whole file, which begins with "package".
//   - Declarations. Package names such as http or gumroad need no import.
//   - Statements. They stand in a function that has the variables w, r, ctx,
//     provider, user, err and db, and can call save; see given.
//
// A block can use what an earlier block of the same page declares. Where two
// blocks declare the same name, the nearer one counts. Programs are not used by
// other blocks.
//
// # What runs
//
//   - A block with a *testing.T runs with go test.
//   - A program that listens on localhost:3000 is started against gumroadtest,
//     and walk in walk_test.go logs in to it as browsers and attackers do.
//   - Any other program runs against gumroadtest and must exit with 0. It finds a
//     token with the scope account in GUMROAD_ACCESS_TOKEN.
//   - Each line of an sh block of README.md and docs/*.md runs at the top of the
//     repository. Call a block console or text if it must not run.
//
// A package that no page has used before must be imported in imports.go, and
// named in packages if blocks use it without an import. Then run
// "GOWORK=off go mod tidy".
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
	path string // from the root
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

// name returns what a subtest is called.
func (p page) name() string { return strings.ReplaceAll(strings.TrimSuffix(p.path, ".md"), "/", "-") }

// block is a fenced block of a page.
type block struct {
	page     page
	line     int // of the first line of text
	language string
	text     string
}

var fence = regexp.MustCompile("(?ms)^( *)```(\\w*)\n(.*?)^ *```$")

// blocks returns the page's blocks in the language.
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

// TestLength keeps the README one that is read.
func TestLength(t *testing.T) {
	require.Less(t, strings.Count(readPages(t, "README.md")[0].text, "\n"), 200)
}
