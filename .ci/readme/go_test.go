package readme

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// packages lists the packages that a block can use without an import. A package's
// name is the last part of its path, or the part before "=".
var packages = strings.Fields(`
	bytes cmp context crypto/rand crypto/sha512 database/sql encoding/gob encoding/json errors fmt html io log log/slog
	maps net/http net/http/cookiejar net/http/httptest net/url os slices strconv strings sync testing time
	scs=github.com/alexedwards/scs/v2 github.com/boj/redistore
	github.com/gin-gonic/gin chi=github.com/go-chi/chi/v5 fiber=github.com/gofiber/fiber/v3
	github.com/gofiber/fiber/v3/middleware/adaptor echo=github.com/labstack/echo/v5 github.com/gorilla/mux
	github.com/gorilla/sessions github.com/markbates/goth github.com/markbates/goth/gothic
	gumroad=github.com/gumroad/goth-gumroad github.com/gumroad/goth-gumroad/gumroadtest
	github.com/stretchr/testify/assert github.com/stretchr/testify/require
	crypto/aes crypto/cipher crypto/hkdf crypto/sha256 retryablehttp=github.com/hashicorp/go-retryablehttp`)

// given is the function around a block of statements. Its parameters are the
// variables that the statements can use.
const (
	given     = "func statements(w http.ResponseWriter, r *http.Request, ctx context.Context, provider *gumroad.Provider, user goth.User, err error, db *sql.DB) {\n{\n"
	givenSave = "func save(userID string, tokens ...string) {}\n"
)

// source is a Go file made of a block.
type source struct {
	block
	code     string
	pkg      string
	declares map[string]bool
}

func (s source) isTest() bool { return strings.Contains(s.code, "*testing.T") }

// newSource makes a Go file of a block.
func newSource(t *testing.T, b block) source {
	file, err := filepath.Abs(filepath.Join(root, b.page.path))
	require.NoError(t, err)
	code := fmt.Sprintf("//line %s:%d\n%s", file, b.line, b.text)
	if parse(code) == nil {
		whole := "package main\n" + code
		if parse(whole) == nil {
			if whole = "package main\n" + given + code + "}\n}\n"; !strings.Contains(b.page.text, "func save(") {
				whole += givenSave
			}
		}
		code = strings.Replace(whole, "package main\n", "package main\n"+imports(whole), 1)
	}
	s := source{block: b, code: code, pkg: "main", declares: map[string]bool{}}
	if parsed := parse(code); parsed != nil {
		s.pkg = parsed.Name.Name
		for _, decl := range parsed.Decls {
			for _, name := range declared(decl) {
				s.declares[name] = true
			}
		}
	}
	delete(s.declares, "init")
	delete(s.declares, "_")
	return s
}

// parse returns the parsed file, or nil if code is not a Go file.
func parse(code string) *ast.File {
	file, err := parser.ParseFile(token.NewFileSet(), "", code, 0)
	if err != nil {
		return nil
	}
	return file
}

// declared returns the names that decl declares for the package.
func declared(decl ast.Decl) []string {
	var names []string
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv == nil {
			names = append(names, decl.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// imports returns the imports that the code lacks.
func imports(code string) string {
	file := parse(code)
	if file == nil {
		return ""
	}
	var list strings.Builder
	for _, pkg := range packages {
		name, importPath, named := strings.Cut(pkg, "=")
		if !named {
			name, importPath = path.Base(pkg), pkg
		}
		used := func(ident *ast.Ident) bool { return ident.Name == name }
		imported := func(spec *ast.ImportSpec) bool { return spec.Path.Value == strconv.Quote(importPath) }
		if slices.ContainsFunc(file.Unresolved, used) && !slices.ContainsFunc(file.Imports, imported) {
			fmt.Fprintf(&list, "import %s %q\n", name, importPath)
		}
	}
	return list.String()
}

// folder is a package that holds a block and the earlier blocks that it may use.
type folder struct {
	source
	name string // the folder's name in the module
	port string // the port that replaces 3000 in localhost:3000
}

// TestGo compiles every go block, and runs the tests and the programs.
func TestGo(t *testing.T) {
	for _, p := range readPages(t, "README.md", "SECURITY.md", "example/README.md", "docs/*.md") {
		t.Run(p.name(), func(t *testing.T) {
			module := newModule(t)
			folders := write(t, module, p)
			if len(folders) == 0 {
				return
			}
			output, err := command(module, "go vet ./...").CombinedOutput()
			require.NoError(t, err, string(output))
			for _, f := range folders {
				t.Run(fmt.Sprint("line ", f.line), func(t *testing.T) {
					switch {
					case f.isTest():
						output, err := command(module, "go test -count=1 ./"+f.name).CombinedOutput()
						assert.NoError(t, err, string(output))
					case f.declares["main"] && f.port != "":
						walk(t, build(t, module, f), f)
					case f.declares["main"]:
						runToTheEnd(t, build(t, module, f))
					}
				})
			}
		})
	}
}

// newModule makes a module with the same requirements as this one.
func newModule(t *testing.T) string {
	dir := t.TempDir()
	checkout, err := filepath.Abs(root)
	require.NoError(t, err)
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		data = []byte(strings.Replace(string(data), "=> "+root, "=> "+checkout, 1))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}

// write makes a folder for each go block of the page.
func write(t *testing.T, module string, p page) []folder {
	var folders []folder
	var earlier []source
	for _, b := range p.blocks("go") {
		s := newSource(t, b)
		f := folder{source: s, name: fmt.Sprint("line", s.line)}
		if strings.Contains(s.code, "localhost:3000") {
			f.port = freePort(t)
		}
		dir := filepath.Join(module, f.name)
		require.NoError(t, os.Mkdir(dir, 0o700))
		known := map[string]bool{"statements": true}
		for i := len(earlier); i >= 0; i-- {
			file, add := "block", s
			if i < len(earlier) {
				add = earlier[i]
				file = fmt.Sprint("line", add.line)
				if add.pkg != s.pkg || overlap(known, add.declares) {
					continue
				}
			}
			for name := range add.declares {
				known[name] = true
			}
			if add.isTest() {
				file += "_test"
			}
			code := strings.ReplaceAll(add.code, "localhost:3000", "localhost:"+f.port)
			require.NoError(t, os.WriteFile(filepath.Join(dir, file+".go"), []byte(code), 0o600))
		}
		if s.declares["main"] {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "gumroad_is_gumroadtest.go"), []byte(rig), 0o600))
		} else if !s.declares["statements"] && !s.isTest() {
			earlier = append(earlier, s)
		}
		folders = append(folders, f)
	}
	return folders
}

func overlap(a, b map[string]bool) bool {
	for name := range b {
		if a[name] {
			return true
		}
	}
	return false
}

// freePort returns a port of localhost on which nobody listens.
func freePort(t *testing.T) string {
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}
