// Package readme checks the README from its own text: every Go block compiles,
// every command runs.
package readme

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// block is a fenced piece of the README.
type block struct {
	line     int
	language string
	text     string
}

func blocks(t *testing.T) []block {
	data, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	var found []block
	for _, at := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllSubmatchIndex(data, -1) {
		found = append(found, block{
			line:     1 + strings.Count(string(data[:at[0]]), "\n"),
			language: string(data[at[2]:at[3]]),
			text:     string(data[at[4]:at[5]]),
		})
	}
	require.NotEmpty(t, found)
	return found
}

// imports are the packages that the README's pieces of code use, by name.
var imports = map[string]string{
	"chi": "github.com/go-chi/chi/v5", "echo": "github.com/labstack/echo/v4", "gin": "github.com/gin-gonic/gin",
	"context": "context", "errors": "errors", "fmt": "fmt", "io": "io", "cookiejar": "net/http/cookiejar", "http": "net/http", "httptest": "net/http/httptest",
	"os": "os", "testing": "testing", "sessions": "github.com/gorilla/sessions", "goth": "github.com/markbates/goth", "gothic": "github.com/markbates/goth/gothic",
	"require": "github.com/stretchr/testify/require", "gumroad": "github.com/gumroad/goth-gumroad", "gumroadtest": "github.com/gumroad/goth-gumroad/gumroadtest",
}

// TestGo compiles each Go block in a new module: a program as it is, a piece of
// one inside a handler, which has the names that the README speaks of. A test runs.
func TestGo(t *testing.T) {
	for _, b := range blocks(t) {
		if b.language != "go" {
			continue
		}
		t.Run(fmt.Sprint("line ", b.line), func(t *testing.T) {
			t.Parallel()
			code := b.text
			if !strings.HasPrefix(code, "package ") {
				if !strings.HasPrefix(code, "func ") {
					code = "func handler(w http.ResponseWriter, r *http.Request, provider *gumroad.Provider, user goth.User, err error) {\n{\n" + code + "}\n}\n"
				}
				code += "func save(id string, tokens ...string) {}\nfunc main() {}\n"
				var list strings.Builder
				for name, path := range imports {
					if regexp.MustCompile(`\b` + name + `\.`).MatchString(code) {
						fmt.Fprintf(&list, "import %s %q\n", name, path)
					}
				}
				code = "package main\n\n" + list.String() + code
			}
			dir := module(t)
			file, check := "main.go", "go vet ."
			if strings.Contains(code, "*testing.T") {
				file, check = "main_test.go", "go test ."
				require.NoError(t, os.WriteFile(filepath.Join(dir, "app.go"), []byte(newApp.Replace(program(t))), 0o600))
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(code), 0o600))
			output, err := command(dir, check).CombinedOutput()
			assert.NoError(t, err, "%s\n%s", output, code)
		})
	}
}

// newApp makes of the program what the README's test has of it.
var newApp = strings.NewReplacer("func main() {", "func newApp() http.Handler {",
	`fmt.Println(http.ListenAndServe("localhost:3000", mux))`, "return mux")

// program returns the program to paste.
func program(t *testing.T) string {
	for _, b := range blocks(t) {
		if strings.HasPrefix(b.text, "package main") {
			return b.text
		}
	}
	require.Fail(t, "no program")
	return ""
}

// module makes a module that has what this one has.
func module(t *testing.T) string {
	dir := t.TempDir()
	checkout, err := filepath.Abs(root)
	require.NoError(t, err)
	mod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	sum, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	mod = []byte(strings.Replace(string(mod), "=> "+root, "=> "+checkout, 1))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), mod, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o600))
	return dir
}

func command(dir, line string) *exec.Cmd {
	cmd := exec.Command("bash", "-ec", line)
	cmd.Dir = dir
	// The benchmarks are to run, not to be measured here. This module runs with
	// GOWORK=off, the README's commands do not.
	cmd.Env = append(os.Environ(), "ROUNDS=1", "BENCHTIME=1ms", "GOWORK=")
	return cmd
}

// TestCommands runs each line of the sh blocks. .ci/run runs "go test" itself.
func TestCommands(t *testing.T) {
	for _, b := range blocks(t) {
		if b.language != "sh" {
			continue
		}
		t.Run(fmt.Sprint("line ", b.line), func(t *testing.T) {
			t.Parallel()
			if strings.Contains(b.text, "go mod ") {
				install(t, b.text)
				return
			}
			for line := range strings.Lines(b.text) {
				line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
				switch line = strings.TrimSpace(line); {
				case line == "" || strings.HasPrefix(line, "go test"):
				case line == "go run ./example":
					runExample(t)
				default:
					output, err := command(root, line).CombinedOutput()
					assert.NoError(t, err, "%s\n%s", line, output)
				}
			}
		})
	}
}

// install does what the README says in a new folder beside the checkout, with
// the first program of the README in it.
func install(t *testing.T, commands string) {
	parent := t.TempDir()
	checkout, err := filepath.Abs(root)
	require.NoError(t, err)
	require.NoError(t, os.Symlink(checkout, filepath.Join(parent, "goth-gumroad")))
	dir := filepath.Join(parent, "app")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program(t)), 0o600))
	output, err := command(dir, commands).CombinedOutput()
	require.NoError(t, err, string(output))
	output, err = command(dir, "go vet .").CombinedOutput()
	require.NoError(t, err, string(output))
}

// runExample starts the example, opens the address that it prints, and ends it.
func runExample(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", "./example")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "PORT=3917", "GOWORK=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	defer func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		io.Copy(io.Discard, stdout)
		cmd.Wait()
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	address := regexp.MustCompile(`https?://\S+`).FindString(line)
	resp, err := http.Get(address)
	require.NoError(t, err, line)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, string(page), "Gumroad")
}

// The README stays one that is read.
func TestLength(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	assert.Less(t, strings.Count(string(data), "\n"), 300)
	assert.LessOrEqual(t, strings.Count(program(t), "\n"), 30, "the program to paste")
}
