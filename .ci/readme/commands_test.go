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

// command returns a shell command that runs in dir, as a reader would run it.
func command(dir, line string) *exec.Cmd {
	cmd := exec.Command("bash", "-ec", line)
	cmd.Dir = dir
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "GOWORK=") { // only this module needs GOWORK, a reader has not set it
			cmd.Env = append(cmd.Env, variable)
		}
	}
	// The benchmarks only have to run here, so one short round is enough.
	cmd.Env = append(cmd.Env, "ROUNDS=1", "BENCHTIME=1ms")
	return cmd
}

// TestCommands runs each line of the sh blocks. It skips git clone. It skips
// "go test" too, since .ci/run runs that, and "go run .", since TestGo runs the
// programs.
func TestCommands(t *testing.T) {
	for _, p := range readPages(t, "README.md", "docs/*.md") {
		for _, b := range p.blocks("sh") {
			t.Run(fmt.Sprint(p.name(), " line ", b.line), func(t *testing.T) {
				if strings.Contains(b.text, "go mod ") {
					install(t, b.text)
					return
				}
				for line := range strings.Lines(b.text) {
					line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
					switch line = strings.TrimSpace(line); {
					case line == "", line == "go run .", strings.HasPrefix(line, "go test"), strings.HasPrefix(line, "git clone"):
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
}

// install runs the README's installation commands in a new folder beside the
// checkout. The folder holds the README's program.
func install(t *testing.T, commands string) {
	parent := t.TempDir()
	checkout, err := filepath.Abs(root)
	require.NoError(t, err)
	require.NoError(t, os.Symlink(checkout, filepath.Join(parent, "goth-gumroad")))
	dir := filepath.Join(parent, "app")
	require.NoError(t, os.Mkdir(dir, 0o700))
	for _, b := range readPages(t, "README.md")[0].blocks("go") {
		if strings.HasPrefix(b.text, "package main") {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(b.text), 0o600))
		}
	}
	output, err := command(dir, commands+"\ngo vet .").CombinedOutput()
	require.NoError(t, err, string(output))
}

// runExample starts the example, opens the address that it prints, and stops it.
func runExample(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := command(root, "exec go run ./example")
	cmd.Env = append(cmd.Env, "PORT="+freePort(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	defer context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })()
	defer func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		io.Copy(io.Discard, stdout)
		cmd.Wait()
	}()
	lines := bufio.NewReader(stdout)
	var address string
	for address == "" {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, "the example printed no address")
		address = regexp.MustCompile(`https?://[^\s,]+`).FindString(line)
	}
	resp, err := http.Get(address)
	require.NoError(t, err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, string(page), "Gumroad")
}
