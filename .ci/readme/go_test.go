package readme

import (
	"fmt"
	"go/format"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	fileName = regexp.MustCompile("`(\\w+\\.go)`")
	hasMain  = regexp.MustCompile(`(?m)^func main\(\)`)
	goFile   = regexp.MustCompile(`\]\(([^)#\s]+\.go)(?:#[^)]*)?\)`)
)

// program is what a reader has after following a page: the files of one folder.
type program struct {
	page  page
	line  int               // the line of the page on which the last file begins
	files map[string]string // by name
	alone bool              // without the README's program
}

// TestGo builds the programs of every page, and runs their tests. It visits those
// that change the README's program, unless testdata has tests for the page.
func TestGo(t *testing.T) {
	for _, p := range readPages(t, "README.md", "SECURITY.md", "docs/*.md") {
		t.Run(p.name(), func(t *testing.T) {
			t.Parallel()
			tests, err := os.ReadFile(filepath.Join("testdata", strings.TrimSuffix(filepath.Base(p.path), ".md")+"_test.go"))
			if err != nil {
				require.ErrorIs(t, err, os.ErrNotExist)
			}
			for _, made := range programs(t, p) {
				t.Run(fmt.Sprint("line ", made.line), func(t *testing.T) {
					changed := !made.alone && made.files["main.go"] != readme(t)
					visited := tests == nil && (changed || p.path == "README.md")
					if tests != nil {
						made.files["page_test.go"] = string(tests)
					}
					port := freePort(t)
					module := newModule(t)
					for name, text := range made.files {
						text = strings.ReplaceAll(text, "localhost:3000", "localhost:"+port)
						require.NoError(t, os.WriteFile(filepath.Join(module, name), []byte(text), 0o600))
					}
					output, err := command(module, copies(p)+"go vet . && go test -short -count=1 .").CombinedOutput()
					require.NoError(t, err, string(output))
					if visited {
						require.NoError(t, os.WriteFile(filepath.Join(module, "gumroad_is_gumroadtest.go"), []byte(rig), 0o600))
						walk(t, build(t, module), port)
					}
				})
			}
		})
	}
}

// readme returns the README's program.
func readme(t *testing.T) string {
	for _, b := range readPages(t, "README.md")[0].blocks("go") {
		if strings.HasPrefix(b.text, "package main") {
			return b.text
		}
	}
	t.Fatal("README.md has no program")
	return ""
}

// programs follows the page from top to bottom. See the package's documentation.
func programs(t *testing.T, p page) []program {
	var all []program
	now := program{page: p, files: map[string]string{"main.go": readme(t)}}
	for _, b := range p.blocks("sql") {
		now.files["page.sql"] += b.text
	}
	finish := func() {
		if now.line > 0 {
			all = append(all, program{p, now.line, maps.Clone(now.files), false})
		}
	}
	name := "page.go"
	for _, b := range p.blocks("go", "diff") {
		switch {
		case b.language == "diff":
			now.files["main.go"] = change(t, now.files["main.go"], b)
		case !strings.HasPrefix(b.text, "package "):
			checkQuotation(t, b)
			continue
		default:
			formatted, err := format.Source([]byte(b.text))
			if assert.NoError(t, err, "%s:%d", p.path, b.line) {
				assert.Equal(t, string(formatted), b.text, "%s:%d: gofmt changes this file", p.path, b.line)
			}
			section := b.before[strings.LastIndex(b.before, "\n#")+1:]
			if names := fileName.FindAllStringSubmatch(section, -1); names != nil {
				name = names[len(names)-1][1]
			}
			file, err := filepath.Abs(filepath.Join(root, p.path))
			require.NoError(t, err)
			text := fmt.Sprintf("//line %s:%d\n%s", file, b.line, b.text)
			if linked(t, b) != "" {
				_, copied, _ := strings.Cut(b.text, "\n)\n")
				b.text = strings.TrimPrefix(copied, "\n")
				checkQuotation(t, b)
			}
			if hasMain.MatchString(b.text) || !strings.Contains(text, "\npackage main\n") {
				all = append(all, program{p, b.line, map[string]string{"main.go": text}, true})
				continue
			}
			if _, known := now.files[name]; known {
				finish()
			}
			now.files[name] = text
		}
		now.line = b.line
	}
	finish()
	return all
}

// copies returns the commands in the page's console blocks that copy files of a
// checkout, which a reader has beside the program.
func copies(p page) string {
	var commands strings.Builder
	for _, b := range p.blocks("console") {
		for line := range strings.Lines(b.text) {
			if strings.HasPrefix(line, "$ mkdir ") || strings.HasPrefix(line, "$ cp ../goth-gumroad/") {
				commands.WriteString(strings.ReplaceAll(line[2:], "../goth-gumroad/", "checkout/"))
			}
		}
	}
	return commands.String()
}

// change returns the program with the change of a diff block, whose lines are as
// "diff -u" prints them.
func change(t *testing.T, program string, b block) string {
	var before, after strings.Builder
	for line := range strings.Lines(b.text) {
		if line[0] != '+' {
			before.WriteString(line[1:])
		}
		if line[0] != '-' {
			after.WriteString(line[1:])
		}
	}
	require.Equal(t, 1, strings.Count(program, before.String()),
		"%s:%d: these lines must occur once in the README's program:\n%s", b.page.path, b.line, &before)
	return strings.Replace(program, before.String(), after.String(), 1)
}

// linked returns the Go file to which the paragraph before the block links, or "".
func linked(t *testing.T, b block) string {
	link := goFile.FindStringSubmatch(b.paragraph())
	if link == nil {
		return ""
	}
	data, err := os.ReadFile(filepath.Join(root, filepath.Dir(b.page.path), link[1]))
	require.NoError(t, err, "%s:%d", b.page.path, b.line)
	return string(data)
}

// checkQuotation checks that the block stands in the file to which the paragraph
// before it links. A link to the README means its program.
func checkQuotation(t *testing.T, b block) {
	source := linked(t, b)
	if source == "" && strings.Contains(b.paragraph(), "README.md#log-in)") {
		source = readme(t)
	}
	for _, indent := range []string{"", "\t", "\t\t", "\t\t\t"} {
		text := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(b.text, indent+"$1")
		if strings.Contains("\n"+source, "\n"+text) {
			return
		}
	}
	t.Errorf("%s:%d: this is neither a file nor a quotation of the file that the paragraph before it links to:\n%s", b.page.path, b.line, b.text)
}

// newModule makes a module "app" with the same requirements as this one. In its
// folder, checkout is the checkout of this repository.
func newModule(t *testing.T) string {
	dir := t.TempDir()
	checkout, err := filepath.Abs(root)
	require.NoError(t, err)
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		text := strings.Replace(string(data), "=> "+root, "=> "+checkout, 1)
		text = regexp.MustCompile(`(?m)^module .*`).ReplaceAllString(text, "module app")
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.NoError(t, os.Symlink(checkout, filepath.Join(dir, "checkout")))
	return dir
}

// freePort returns a port of localhost on which nobody listens. It is none of those
// that the system gives to other servers in the meantime.
func freePort(t *testing.T) string {
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(10000))
		if listener, err := net.Listen("tcp", "localhost:"+port); err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("there is no free port")
	return ""
}
