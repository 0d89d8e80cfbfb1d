//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gumroad/goth-gumroad/example/internal/testkit"
	"github.com/stretchr/testify/require"
)

// TestMain is also the program that startAsNobody and TestRollingRestart run.
func TestMain(m *testing.M) {
	if os.Getenv("EXAMPLE_TEST_PROGRAM") == "" {
		os.Exit(m.Run())
	}
	main()
}

// asNobody returns a command that runs as a user who is not root.
func asNobody(t *testing.T, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	if os.Getuid() == 0 {
		nobody, err := osuser.Lookup("nobody")
		require.NoError(t, err)
		uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
		require.NoError(t, err)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	return cmd
}

// sharedDir returns a folder that everybody may write to.
func sharedDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "example")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777))
	return dir
}

// testProgram returns the path of this test program, where nobody can run it.
func testProgram(t *testing.T) string {
	data, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	path := filepath.Join(sharedDir(t), "example")
	require.NoError(t, os.WriteFile(path, data, 0o755))
	return path
}

// startAsNobody runs the program, which must fail, and returns what it says.
func startAsNobody(t *testing.T, env ...string) string {
	cmd := asNobody(t, testProgram(t))
	cmd.Env = append(env, "EXAMPLE_TEST_PROGRAM=1", "PORT=0")
	said, err := cmd.CombinedOutput()
	require.Error(t, err, string(said))
	return string(said)
}

func freePort(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// waitFor waits until something listens on the port.
func waitFor(t *testing.T, port string) {
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	}, 20*time.Second, 10*time.Millisecond, "nothing listens on port "+port)
}

// pgbouncer starts pgbouncer in transaction mode before a schema of PostgreSQL, and
// returns its URL.
func pgbouncer(t *testing.T, address string) string {
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Skip("pgbouncer is not installed")
	}
	u, err := url.Parse(address)
	require.NoError(t, err)
	query := u.Query()
	server := query.Get("host")
	if server == "" || u.Host != "" {
		t.Skip("pgbouncer is tried only with a TEST_DATABASE_URL that has host and user in its query")
	}
	// A role has the schema, as pgbouncer passes no search_path on.
	role := query.Get("search_path") + "_pool"
	db := openTestDatabase(t, address)
	for _, statement := range []string{"CREATE ROLE %[1]s SUPERUSER LOGIN PASSWORD 'hush'", "ALTER ROLE %[1]s SET search_path = " + query.Get("search_path")} {
		_, err := db.Exec(fmt.Sprintf(statement, role))
		require.NoError(t, err)
	}
	port, dir := freePort(t), sharedDir(t)
	config := filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(config, []byte(fmt.Sprintf(`[databases]
* = host=%s user=%s password=hush
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
`, server, role, port)), 0o644))
	cmd := asNobody(t, path, config)
	if info, err := os.Stat(server); err == nil && cmd.SysProcAttr != nil {
		cmd.SysProcAttr.Credential.Uid = info.Sys().(*syscall.Stat_t).Uid // who may reach the server's socket
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		_, err := db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" + role + "'")
		require.NoError(t, err)
		_, err = db.Exec("DROP OWNED BY " + role)
		require.NoError(t, err)
		_, err = db.Exec("DROP ROLE " + role)
		require.NoError(t, err)
	})
	waitFor(t, port)
	return "postgres://" + role + "@127.0.0.1:" + port + strings.TrimSuffix(u.Path, "/") + "?sslmode=disable"
}

// The file nginx.conf loses no request when one replica after the other is started anew.
func TestRollingRestart(t *testing.T) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/nginx")
	}
	if err != nil {
		t.Skip("nginx is not installed")
	}
	dir, ports := sharedDir(t), []string{freePort(t), freePort(t), freePort(t)}
	config, err := os.ReadFile("nginx.conf")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nginx.conf"),
		[]byte(strings.NewReplacer("3001", ports[0], "3002", ports[1], "8080", ports[2]).Replace(string(config))), 0o644))
	program := testProgram(t)
	replica := func(port string) *exec.Cmd {
		cmd := asNobody(t, program)
		cmd.Env = []string{"EXAMPLE_TEST_PROGRAM=1", "PORT=" + port, "BASE_URL=http://localhost:" + ports[2], "DATABASE_URL=file:" + filepath.Join(dir, "example.db"),
			"GUMROAD_KEY=key", "GUMROAD_SECRET=secret", "SESSION_SECRET=" + testSecret}
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { cmd.Process.Kill() })
		waitFor(t, port)
		return cmd
	}
	replicas := []*exec.Cmd{replica(ports[0]), replica(ports[1])}
	nginx := asNobody(t, path, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	nginx.Stderr = os.Stderr
	require.NoError(t, nginx.Start())
	t.Cleanup(func() {
		require.NoError(t, nginx.Process.Signal(syscall.SIGTERM))
		require.NoError(t, nginx.Wait(), "it stays in the foreground")
	})
	waitFor(t, ports[2])

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		clients.Go(func() {
			noRedirect := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			for answers := 0; ctx.Err() == nil || answers == 0; answers++ {
				req, _ := http.NewRequest(method, "http://localhost:"+ports[2]+map[string]string{"GET": "/", "POST": "/auth/gumroad"}[method], nil)
				resp, err := noRedirect.Do(req)
				if err != nil || resp.StatusCode >= 400 {
					t.Errorf("%s: %v %v", method, resp, err)
					return
				}
				resp.Body.Close()
			}
		})
	}
	for i, old := range replicas {
		require.NoError(t, old.Process.Signal(syscall.SIGTERM))
		require.NoError(t, old.Wait())
		replicas[i] = replica(ports[i])
	}
	stop()
	clients.Wait()
	for _, r := range replicas {
		require.NoError(t, r.Process.Signal(syscall.SIGTERM))
		require.NoError(t, r.Wait())
	}
}

func TestReadOnlyFile(t *testing.T) {
	for name, test := range map[string]struct {
		path string
		mode os.FileMode
	}{
		"the file":   {"example.db", 0o444},
		"the folder": {"", 0o555},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "readonly") // everybody can reach it
			require.NoError(t, err)
			t.Cleanup(func() {
				os.Chmod(dir, 0o700)
				os.RemoveAll(dir)
			})
			file := filepath.Join(dir, "example.db")
			require.NoError(t, open(t, "file:"+file))
			require.NoError(t, os.Chmod(dir, 0o777))
			require.NoError(t, os.Chmod(file, 0o666))
			require.NoError(t, os.Chmod(filepath.Join(dir, test.path), test.mode))
			said := startAsNobody(t, "DATABASE_URL=file:"+file)
			require.Contains(t, said, "opening the database: sessions: writing to the table: attempt to write a readonly database")
		})
	}
}

// Two replicas behind pgbouncer, which gives each transaction another connection.
func TestPgbouncer(t *testing.T) {
	address := testkit.NewSchema(t)
	s := newTestSite(t, siteOptions{address: pgbouncer(t, address), copies: 2})
	for range 3 {
		ann := s.visitor()
		require.Equal(t, http.StatusOK, ann.logIn().StatusCode)
		for _, path := range []string{"/token/refresh", "/profile/refetch", "/logout"} {
			require.Equal(t, http.StatusOK, ann.post(path).StatusCode)
		}
		ann.logIn()
		require.Contains(t, ann.post("/disconnect").body, "You are disconnected")
	}
	require.Empty(t, s.log.String())
}
