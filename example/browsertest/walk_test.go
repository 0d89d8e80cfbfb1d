// Package browsertest walks through the pages of the example in a browser, as a
// person does, by clicking. It is a module of its own, so that what it needs is
// not a dependency of the library.
//
// BROWSERTEST_ARTIFACTS names a folder for a picture of every page.
package browsertest

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

func TestWalk(t *testing.T) {
	chromium := findChromium(t)
	program := build(t)
	pictures := folder(t)
	for _, screen := range []struct {
		name   string
		width  int64
		height int64
		scheme string
	}{
		{"desktop-light", 1280, 800, "light"},
		{"desktop-dark", 1280, 800, "dark"},
		{"phone-light", 390, 844, "light"},
		{"phone-dark", 390, 844, "dark"},
	} {
		t.Run(screen.name, func(t *testing.T) {
			base := start(t, program)
			v := open(t, chromium, filepath.Join(pictures, screen.name+"-"))
			call(v, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
				Width: screen.width, Height: screen.height, DeviceScaleFactor: 1, Mobile: screen.width < 500})
			call(v, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}}})
			// The pages have no script and need none.
			call(v, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})

			v.visit(base)
			v.sees("01-start", 200, "Log in with your Gumroad account")

			v.click("Continue with Gumroad")
			v.sees("02-gumroad", 200, "Authorize")
			v.click("Deny")
			v.sees("03-denied", 403, "You did not give access")

			v.click("Continue with Gumroad")
			v.click("Authorize")
			v.sees("04-profile", 200, "John Smith", "@sailorjohn", "not confirmed by Gumroad", "Not yet")
			v.showsPictures()
			v.click("Fetch again")
			v.sees("05-fetched", 200, "This is your profile as Gumroad has it now.")
			v.click("Refresh")
			v.sees("06-refreshed", 200, "There is a new token.")
			v.click("Example")
			v.sees("07-start-logged-in", 200, "Hello, John Smith")
			v.click("See your profile")
			v.click("Log out")
			v.sees("08-logged-out", 200, "You are logged out.")

			// Gumroad asks nobody twice for the same.
			v.click("Continue with Gumroad")
			v.sees("09-profile-again", 200, "John Smith")
			v.visit(base + "/auth/gumroad/callback?code=used&state=used")
			v.sees("10-replayed", 400, "This login is over")
			v.click("Back to your profile")
			v.click("Disconnect")
			v.sees("11-disconnected", 200, "You are disconnected.")
			v.click("Continue with Gumroad")
			v.sees("12-gumroad-asks-again", 200, "Authorize")

			v.visit(base + "/profile")
			v.sees("13-not-logged-in", 401, "You are not logged in")
			v.visit(base + "/nowhere")
			v.sees("14-not-found", 404, "There is no such page")
		})
	}
}

// With a key and a secret the browser goes to gumroad.com, which is not there: a
// stand-in sends it back, and nobody answers the application.
func TestGumroadDown(t *testing.T) {
	chromium := findChromium(t)
	gumroad := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		http.Redirect(w, r, query.Get("redirect_uri")+"?code=code&state="+url.QueryEscape(query.Get("state")), http.StatusFound)
	}))
	defer gumroad.Close()
	nobody := httptest.NewServer(nil)
	nobody.Close()
	base := start(t, build(t), "GUMROAD_KEY=key", "GUMROAD_SECRET=secret", "HTTPS_PROXY="+nobody.URL)
	v := open(t, chromium, filepath.Join(folder(t), "gumroad-down-"),
		chromedp.Flag("host-resolver-rules", "MAP gumroad.com "+gumroad.Listener.Addr().String()),
		chromedp.Flag("ignore-certificate-errors", true))

	v.visit(base)
	v.sees("01-start", 200, "An application of its own")
	v.click("Continue with Gumroad")
	v.sees("02-down", 502, "Gumroad is not answering")
	v.click("Back to the start")
	v.sees("03-start", 200, "Log in with your Gumroad account")
}

// folder returns where the pictures go.
func folder(t *testing.T) string {
	pictures := os.Getenv("BROWSERTEST_ARTIFACTS")
	if pictures == "" {
		return t.TempDir()
	}
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		t.Fatal(err)
	}
	return pictures
}

// findChromium returns the browser's path, or skips the test.
func findChromium(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("the walk in a browser is skipped: no chromium found (on Debian: apt-get install chromium)")
	return ""
}

// build compiles the example and returns the program's path.
func build(t *testing.T) string {
	program := filepath.Join(t.TempDir(), "example")
	compile := exec.Command("go", "build", "-o", program, "./example")
	compile.Dir = "../.."
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	return program
}

var address = regexp.MustCompile(`http://\S+`)

// start runs the program on a free port, and returns the address that it says to
// open. When the test is over, Ctrl-C must end it well.
func start(t *testing.T, program string, env ...string) string {
	cmd := exec.Command(program)
	cmd.Env = append(append(os.Environ(), "PORT=0", "BASE_URL=", "GUMROAD_KEY=", "GUMROAD_SECRET="), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		for lines.Scan() {
			t.Errorf("the example printed another line: %s", lines.Text())
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the example ended with: %v", err)
		}
	})
	if !lines.Scan() || address.FindString(lines.Text()) == "" {
		t.Fatalf("the example printed no address: %q", lines.Text())
	}
	return address.FindString(lines.Text())
}

// visitor is a person at a browser.
type visitor struct {
	t        *testing.T
	ctx      context.Context
	pictures string

	mu     sync.Mutex
	status int64    // of the page that is open
	bad    []string // what the console and the network should not have
}

// open starts a browser with nothing in it.
func open(t *testing.T, chromium, pictures string, flags ...chromedp.ExecAllocatorOption) *visitor {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	options = append(options, flags...)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		defer cancel()
		chromedp.Cancel(ctx) // waits until the browser has ended
	})
	v := &visitor{t: t, ctx: ctx, pictures: pictures}
	if err := chromedp.Listen(ctx, v.listen); err != nil {
		t.Fatalf("starting %s: %v", chromium, err)
	}
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	v.ctx = ctx
	call(v, network.Enable, network.EnableParams{})
	call(v, log.Enable, cdp.Empty{})
	call(v, runtime.Enable, cdp.Empty{})
	return v
}

// listen notes the status of each page, and whatever goes wrong.
func (v *visitor) listen(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := event.(type) {
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument {
			v.status = e.Response.Status
		} else if e.Response.Status >= 400 {
			v.bad = append(v.bad, fmt.Sprintf("%s: status %d", e.Response.URL, e.Response.Status))
		}
	case *network.EventLoadingFailed:
		v.bad = append(v.bad, "request failed: "+e.ErrorText+string(e.BlockedReason))
	case *log.EventEntryAdded:
		// The browser notes the status of a page that has an error. sees
		// looks at that.
		if v.status >= 400 && e.Entry.Text == fmt.Sprintf("Failed to load resource: the server responded with a status of %d (%s)", v.status, http.StatusText(int(v.status))) {
			return
		}
		v.bad = append(v.bad, fmt.Sprintf("console: %s %s", e.Entry.Text, e.Entry.URL))
	case *runtime.EventConsoleAPICalled:
		v.bad = append(v.bad, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		v.bad = append(v.bad, "script: "+e.ExceptionDetails.Text)
	}
}

// call sends the browser a command.
func call[P, R any](v *visitor, command cdp.Command[P, R], params P) {
	v.t.Helper()
	if _, err := chromedp.Call(v.ctx, command, params); err != nil {
		v.t.Fatalf("%s: %v", command.Method, err)
	}
}

// get reads something from the page.
func get[T any](v *visitor, action chromedp.Action[T]) T {
	v.t.Helper()
	value, err := chromedp.Run(v.ctx, action)
	if err != nil {
		v.t.Fatal(err)
	}
	return value
}

// visit opens an address.
func (v *visitor) visit(url string) {
	v.t.Helper()
	if _, err := chromedp.RunResponse(v.ctx, chromedp.Navigate(url)); err != nil {
		v.t.Fatalf("opening %s: %v", url, err)
	}
}

// click follows the link or presses the button that says label, and waits for
// the page after it.
func (v *visitor) click(label string) {
	v.t.Helper()
	target := fmt.Sprintf(`//main//button[normalize-space()=%[1]q] | //a[normalize-space()=%[1]q]`, label)
	ctx, cancel := context.WithTimeout(v.ctx, 15*time.Second)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(target, chromedp.NodeVisible)); err != nil {
		v.t.Fatalf("clicking %q: %v", label, err)
	}
}

// showsPictures checks that no picture on the page is missing.
func (v *visitor) showsPictures() {
	v.t.Helper()
	if !get(v, chromedp.Evaluate[bool](`[...document.images].every(i => i.complete && i.naturalWidth > 0)`)) {
		v.t.Errorf("a picture is missing")
	}
}

// sees checks the page that is open, and keeps a picture of it.
func (v *visitor) sees(name string, status int64, texts ...string) {
	v.t.Helper()
	page := get(v, chromedp.Text(chromedp.CSS("body")))
	html := get(v, chromedp.OuterHTML(chromedp.CSS("html")))
	overflow := get(v, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
	picture := get(v, chromedp.FullScreenshot(100))
	if err := os.WriteFile(v.pictures+name+".png", picture, 0o644); err != nil {
		v.t.Fatal(err)
	}
	for _, text := range texts {
		if !strings.Contains(page, text) {
			v.t.Errorf("%s: the page does not say %q:\n%s", name, text, page)
		}
	}
	if overflow > 0 {
		v.t.Errorf("%s: the page is %d pixels wider than the screen", name, overflow)
	}
	if strings.Contains(html, "<script") {
		v.t.Errorf("%s: the page has a script", name)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.status != status {
		v.t.Errorf("%s: status %d, want %d", name, v.status, status)
	}
	for _, bad := range v.bad {
		v.t.Errorf("%s: %s", name, bad)
	}
	v.bad = nil
}
