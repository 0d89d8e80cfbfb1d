package readme

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// saved matches a Go file of a page, and the name under which the page tells the
// reader to save it.
var saved = regexp.MustCompile("(?s)`(\\w+\\.go)`[^`]*?\n\n```go\n(package main\n.*?)```\n")

// TestProgram builds a page's program as a reader would: the README's program with
// the changes of the page's diff blocks, and the page's files beside it. The tests
// of the program are in testdata.
func TestProgram(t *testing.T) {
	for _, name := range []string{"api", "omniauth", "tokens"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			module := newModule(t)
			page := readPages(t, "docs/"+name+".md")[0]
			files := map[string]string{"main.go": changed(t, page)}
			for _, found := range saved.FindAllStringSubmatch(page.text, -1) {
				files[found[1]] = found[2]
			}
			tests, err := os.ReadFile(filepath.Join("testdata", name+"_test.go"))
			require.NoError(t, err)
			files["program_test.go"] = string(tests)
			for _, b := range page.blocks("sql") {
				files["page.sql"] += b.text
			}
			for name, code := range files {
				require.NoError(t, os.WriteFile(filepath.Join(module, name), []byte(code), 0o600))
			}
			output, err := command(module, "go vet . && go test -count=1 .").CombinedOutput()
			require.NoError(t, err, string(output))
		})
	}
}

// changed returns the README's program with the changes of the page's diff blocks.
// A diff block has the lines around a change, as "diff -u" prints them.
func changed(t *testing.T, p page) string {
	program := ""
	for _, b := range readPages(t, "README.md")[0].blocks("go") {
		if strings.HasPrefix(b.text, "package main") {
			program = b.text
			break
		}
	}
	for _, b := range p.blocks("diff") {
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
			"%s:%d: these lines must occur once in the README's program:\n%s", p.path, b.line, &before)
		program = strings.Replace(program, before.String(), after.String(), 1)
	}
	return program
}
