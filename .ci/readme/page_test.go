// Package readme checks the documentation: README.md, SECURITY.md,
// example/README.md and docs/*.md.
//
//	GOWORK=off go test -count=1 ./...                               checks everything
//	GOWORK=off go test -count=1 -run 'TestGo$/tokens' ./...         checks the code of docs/tokens.md
//	GOWORK=off go test -count=1 -run 'TestGo$/^README' -v ./...     checks README.md and prints its program's log
//	GOWORK=off go test -count=1 -run 'TestLinks|TestLength' ./...   checks only links and length
//
// # How code on a page is checked
//
// A block of Go on a page compiles as a reader pastes it. It is one of these:
//
//   - A file. The block begins with "package", and the text before it names the
//     file, as in "Save this as `name.go`". The files of a page stand in one folder,
//     beside the README's program, which is main.go. A file with a main function,
//     or of another package, has a folder of its own. If the paragraph before the
//     file links to a Go file of the repository, what follows the imports stands
//     there word for word. If a later block has the name of an earlier one, it
//     replaces the earlier one, and both folders are checked.
//   - A change of the README's program, in a diff block. Its lines are as "diff -u"
//     prints them.
//   - A quotation. The paragraph before it links to a Go file of the repository, or
//     to README.md#log-in, and the block stands there word for word.
//
// The folder is the module "app". The lines of console blocks that begin with
// "$ mkdir" or "$ cp ../goth-gumroad/" run in it first.
//
// go vet and go test run in each folder. The tests are the page's own and those of
// testdata/PAGE_test.go. The blocks of SQL are in page.sql. If testdata has no tests
// for the page, walk in walk_test.go visits a changed README program as browsers and
// attackers do, with gumroadtest as its Gumroad.
//
// Each line of an sh block of README.md and docs/*.md runs at the top of the
// repository. Call a block console or text if it must not run.
//
// If a page uses a new package, import it in imports.go, and run "GOWORK=off go mod
// tidy".
package readme

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	before   string // the page's text before the block, without other blocks
	line     int    // the line of the page on which text begins
	language string
	text     string
}

// paragraph returns the paragraph before the block.
func (b block) paragraph() string {
	text := strings.TrimSpace(b.before)
	return text[strings.LastIndex(text, "\n\n")+1:]
}

var fence = regexp.MustCompile("(?ms)^( *)```(\\w*)\n(.*?)^ *```$")

// blocks returns the page's blocks in these languages.
func (p page) blocks(languages ...string) []block {
	var found []block
	for _, at := range fence.FindAllStringSubmatchIndex(p.text, -1) {
		indent, text := p.text[at[2]:at[3]], p.text[at[6]:at[7]]
		b := block{
			page:     p,
			before:   fence.ReplaceAllString(p.text[:at[0]], ""),
			line:     2 + strings.Count(p.text[:at[0]], "\n"),
			language: p.text[at[4]:at[5]],
			text:     strings.ReplaceAll("\n"+text, "\n"+indent, "\n")[1:],
		}
		if slices.Contains(languages, b.language) {
			found = append(found, b)
		}
	}
	return found
}

// TestLength keeps the README short.
func TestLength(t *testing.T) {
	require.Less(t, strings.Count(readPages(t, "README.md")[0].text, "\n"), 230)
}
