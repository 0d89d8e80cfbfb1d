// Package browsertest tests the pages of the example in Chromium, by clicking.
//
// The tests take two minutes. Without BROWSERTEST_ARTIFACTS they are skipped. It names
// a folder, and the tests save a picture of every page there:
//
//	BROWSERTEST_ARTIFACTS="$PWD/.ci/artifacts" go test -v ./example/browsertest
//
// BROWSERTEST_AXE names the file axe.min.js of the npm package axe-core. With it, the
// tests also check the accessibility of every page.
package browsertest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"image"
	_ "image/png"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
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
	"github.com/gumroad/goth-gumroad/gumroadtest"
)

// screen is a size and a colour scheme of the browser.
type screen struct {
	name          string
	width, height int64
	scheme        string
}

var screens = []screen{
	{"desktop-light", 1280, 800, "light"},
	{"desktop-dark", 1280, 800, "dark"},
	{"phone-light", 390, 844, "light"},
	{"phone-dark", 390, 844, "dark"},
}

func TestWalk(t *testing.T) {
	pictures, chromium, program := folder(t), findChromium(t), build(t)
	for _, screen := range screens {
		t.Run(screen.name, func(t *testing.T) {
			base := start(t, program)
			v := open(t, chromium, filepath.Join(pictures, screen.name+"-"))
			v.use(screen)

			v.visit(base)
			v.sees("01-start", 200, "Log in with your Gumroad account")

			v.click("Continue with Gumroad")
			v.sees("02-gumroad", 200, "Authorize")
			v.click("Deny")
			v.sees("03-denied", 403, "You did not give access")
			v.reload()
			v.sees("03-denied", 403, "You did not give access")

			v.click("Continue with Gumroad")
			v.click("Authorize")
			v.sees("04-profile", 200, "John Smith", "@sailorjohn", "may be unconfirmed", "Not yet")
			v.showsPictures()
			v.click("Fetch again")
			v.sees("05-fetched", 200, "Your profile is up to date.")
			v.click("Refresh")
			v.sees("06-refreshed", 200, "The access was refreshed.")
			v.click("List")
			v.sees("07-products", 200, "Your products", "Knot of the day, no. 10", "not published")
			if got := get(v, chromedp.Evaluate[[]float64](`[...new Set([...document.querySelectorAll(".price")].map(e => Math.round(e.getBoundingClientRect().right)))]`)); len(got) != 1 {
				t.Errorf("the prices end at different places: %v", got)
			}
			v.click("More products")
			v.click("More products")
			v.sees("08-products-last", 200, "Knot of the day, no. 23")
			v.click("Back to your profile")
			v.click("Example")
			v.sees("09-start-logged-in", 200, "Hello, John Smith")
			v.click("See your profile")
			v.click("Log out")
			v.sees("10-logged-out", 200, "You are logged out.")

			// Gumroad asks at every login.
			v.click("Continue with Gumroad")
			v.click("Authorize")
			v.sees("11-profile-again", 200, "John Smith")
			v.visit(base + "/auth/gumroad/callback?code=used&state=used")
			v.sees("12-replayed", 400, "This login is over")
			v.click("Back to your profile")
			v.click("Disconnect")
			v.sees("13-disconnected", 200, "You are disconnected.")
			v.click("Continue with Gumroad")
			v.sees("14-gumroad-asks-again", 200, "Authorize")

			v.visit(base + "/profile")
			v.sees("15-not-logged-in", 401, "You are not logged in")
			v.visit(base + "/nowhere")
			v.sees("16-not-found", 404, "This page does not exist")
		})
	}
}

// Names, pictures and bios can be of any kind. With a key and a secret, users log in
// at gumroad.com. Here a test server takes its place.
func TestPeople(t *testing.T) {
	pictures, chromium, program := folder(t), findChromium(t), build(t)
	gumroad := standIn(t)
	long := "Wolfeschlegelsteinhausenbergerdorff Adolph Blaine Charles David Earl Frederick"
	people := []struct {
		name string
		user gumroadtest.User
	}{
		{"arabic", gumroadtest.User{Name: "فاطمة الزهراء", Username: "fatima", Bio: "أنا بحّارة وخيّاطة.\nA sailor, a tailor.", Email: "fatima@example.com"}},
		{"long", gumroadtest.User{Name: long, Bio: strings.Repeat("a sailor, a tailor, ", 30)}},
		{"lines", gumroadtest.User{Name: "Ann", Bio: "First line.\nSecond line.\n\nLast line."}},
		{"emoji", gumroadtest.User{Name: "👩🏽‍🎨 Zoë", Username: "zoe"}},
		{"parrot", gumroadtest.User{Name: "🦜"}},
		{"nobody", gumroadtest.User{}},
	}
	for _, screen := range []screen{screens[0], screens[3]} {
		t.Run(screen.name, func(t *testing.T) {
			base := start(t, program, gumroad.env...)
			v := open(t, chromium, filepath.Join(pictures, "people-"+screen.name+"-"), gumroad.flags...)
			v.use(screen)
			v.visit(base)
			for i, person := range people {
				person.user.ID = fmt.Sprint("100000000000", i)
				person.user.Picture = nowhere // the default picture is on the internet
				gumroad.SetUser(person.user)
				gumroad.register(base, person.user.Name)
				v.sees(person.name+"-1-start", 200, "This app is not part of Gumroad")
				v.click("Continue with Gumroad")
				v.sees(person.name+"-2-gumroad", 200, "Authorize")
				v.mayMiss = person.user.Picture
				v.click("Authorize")
				v.sees(person.name+"-3-profile", 200, "Email")
				if got := get(v, chromedp.Evaluate[[]float64](leftEdges)); len(got) != 1 {
					t.Errorf("the texts of %s begin at %v", person.name, got)
				}
				if got := get(v, chromedp.Evaluate[[]string](brokenWords)); len(got) != 0 {
					t.Errorf("the words %q break", got)
				}
				switch person.name {
				case "lines":
					if got := get(v, chromedp.Evaluate[string](`document.querySelector(".bio").innerText`)); got != person.user.Bio {
						t.Errorf("the bio is %q", got)
					}
				case "parrot":
					if got := get(v, chromedp.Evaluate[string](`document.querySelector(".avatar").innerText`)); got != "•" {
						t.Errorf("the initial is %q", got)
					}
				case "emoji":
					if got := get(v, chromedp.Evaluate[string](`document.querySelector(".avatar").innerText`)); got != "Z" {
						t.Errorf("the initial is %q", got)
					}
					v.showsNoTornPicture()
				}
				v.click("Example")
				v.sees(person.name+"-4-start", 200, "Hello,")
				if got := get(v, chromedp.Evaluate[string](`getComputedStyle(document.querySelector("h1 bdi")).direction`)); (got == "rtl") != (person.name == "arabic") {
					t.Errorf("the name of %s runs %s", person.name, got)
				}
				v.click("See your profile")
				v.click("Log out")
			}
		})
	}
}

// leftEdges are the different left edges of the lines of the name, the handle and the bio.
// A line of text can begin a pixel or two beside its box.
const leftEdges = `[...new Set(["h1", ".handle", ".bio"].flatMap(s => [...document.querySelectorAll(s)]).flatMap(e => {
	const r = document.createRange(); r.selectNodeContents(e);
	return [...r.getClientRects()].filter(c => c.width > 0).map(c => Math.round((c.left - e.getBoundingClientRect().left) / 8)) }))]`

// brokenWords are the words of the name that are on two lines.
const brokenWords = `[...document.querySelector("h1").firstChild.data.matchAll(/\S+/g)].filter(m => {
	const r = document.createRange(); r.setStart(document.querySelector("h1").firstChild, m.index); r.setEnd(document.querySelector("h1").firstChild, m.index + m[0].length);
	return new Set([...r.getClientRects()].map(c => c.top)).size > 1 }).map(m => m[0])`

// nowhere is the URL of a picture that cannot be loaded.
const nowhere = "https://127.0.0.1:1/picture.png"

// showsNoTornPicture checks that the browser draws no frame around the initial.
func (v *visitor) showsNoTornPicture() {
	v.t.Helper()
	box := get(v, chromedp.Evaluate[[]float64](`(b => [b.x, b.y, b.width])(document.querySelector(".avatar").getBoundingClientRect())`))
	page, _, err := image.Decode(bytes.NewReader(get(v, chromedp.FullScreenshot(100))))
	if err != nil {
		v.t.Fatal(err)
	}
	x, y := int(box[0]+box[2]/2), int(box[1])+1
	for i := range 12 {
		if page.At(x, y+i) != page.At(x, y+12) {
			v.t.Errorf("there is something in the avatar, %d pixels below its edge", i)
			return
		}
	}
}

// After "Log out", the button Back shows neither the name nor the address, with scripts
// and without.
func TestBackAfterLogOut(t *testing.T) {
	folder(t)
	base := start(t, build(t))
	v := open(t, findChromium(t), "")
	v.visit(base)
	v.click("Continue with Gumroad")
	v.click("Authorize")
	v.click("Log out")
	if _, err := chromedp.RunResponse(v.ctx, chromedp.NavigateBack()); err != nil {
		t.Logf("going back: %v", err)
	}
	get(v, chromedp.Text(chromedp.CSS(".ways")))
	page := get(v, chromedp.Evaluate[string](`document.documentElement.innerText + " " + document.title + " " + performance.getEntriesByType("navigation")[0].type`))
	t.Log(page)
	for _, text := range []string{"John Smith", "johnsmith@gumroad.com"} {
		if strings.Contains(page, text) {
			t.Errorf("Back shows %q", text)
		}
	}
	if !strings.Contains(page, "You are not logged in") {
		t.Errorf("Back shows %q", page)
	}
}

// If the application cannot reach Gumroad, it says that Gumroad is unavailable.
func TestGumroadDown(t *testing.T) {
	pictures, chromium, gumroad := folder(t), findChromium(t), standIn(t)
	nobody := httptest.NewServer(nil)
	nobody.Close()
	base := start(t, build(t), append(gumroad.env, "HTTPS_PROXY="+nobody.URL)...)
	gumroad.register(base, "Example")
	v := open(t, chromium, filepath.Join(pictures, "gumroad-down-"), gumroad.flags...)

	v.visit(base)
	v.click("Continue with Gumroad")
	v.click("Authorize")
	v.sees("01-down", 502, "Gumroad is unavailable")
	v.click("Back to the start")
	v.sees("02-start", 200, "Log in with your Gumroad account")

	// If the halves of the card are stacked, they have the same left edge.
	v.use(screen{"tablet", 800, 1000, "light"})
	v.sees("03-tablet", 200, "Log in with your Gumroad account")
	if got := get(v, chromedp.Evaluate[[]float64](`[...document.querySelectorAll(".front h1, .stub h2")].map(e => e.getBoundingClientRect().x)`)); len(got) != 3 || got[0] != got[1] {
		t.Errorf("the halves of the card begin at %v", got)
	}
}

// standInGumroad is a test server that takes the place of gumroad.com.
type standInGumroad struct {
	*gumroadtest.Server
	env   []string // of the program
	flags []chromedp.ExecAllocatorOption
}

func standIn(t *testing.T) standInGumroad {
	test := gumroadtest.NewServer()
	t.Cleanup(test.Close)
	server := httptest.NewUnstartedServer(test)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	server.StartTLS()
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tunnel(w, address) }))
	t.Cleanup(proxy.Close)

	dir := t.TempDir()
	authority := filepath.Join(dir, "authority.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.TLS.Certificates[0].Certificate[0]})
	if err := os.WriteFile(authority, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return standInGumroad{
		test,
		[]string{
			"GUMROAD_KEY=" + test.ClientID, "GUMROAD_SECRET=" + test.ClientSecret, "SESSION_SECRET=a secret of thirty-two characters",
			"DATABASE_URL=file:" + filepath.Join(dir, "example.db"), "SSL_CERT_FILE=" + authority, "HTTPS_PROXY=" + proxy.URL,
		},
		[]chromedp.ExecAllocatorOption{
			chromedp.Flag("host-resolver-rules", "MAP gumroad.com "+address),
			chromedp.Flag("ignore-certificate-errors", true),
		},
	}
}

// register registers the example's redirect URI.
func (s standInGumroad) register(base, name string) {
	app := s.Application()
	app.Name, app.RedirectURIs = name, []string{base + "/auth/gumroad/callback"}
	s.SetApplication(app)
}

// certificate makes one for gumroad.com.
func certificate(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"gumroad.com", "api.gumroad.com"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	data, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{data}, PrivateKey: key}
}

// tunnel answers a CONNECT with a connection to the address.
func tunnel(w http.ResponseWriter, address string) {
	there, err := net.Dial("tcp", address)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		there.Close()
		return
	}
	io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		io.Copy(there, here)
		there.Close()
	}()
	io.Copy(here, there)
	here.Close()
}

// folder returns the folder for the pictures, or skips the test.
func folder(t *testing.T) string {
	pictures := os.Getenv("BROWSERTEST_ARTIFACTS")
	if pictures == "" {
		t.Skip(`BROWSERTEST_ARTIFACTS is not set. To run the browser test: BROWSERTEST_ARTIFACTS="$PWD/.ci/artifacts" go test -v ./example/browsertest`)
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
	t.Skip("Chromium is not installed. To install it on Debian: apt-get install chromium")
	return ""
}

// build compiles the example and returns the program's path.
func build(t *testing.T) string {
	program := filepath.Join(t.TempDir(), "example")
	compile := exec.Command("go", "build", "-o", program, "..")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	return program
}

var address = regexp.MustCompile(`http://\S+`)

// start runs the program on a free port, and returns the address that it prints. At
// the end of the test, an interrupt must stop it without an error.
func start(t *testing.T, program string, env ...string) string {
	cmd := exec.Command(program)
	cmd.Env = append(append(os.Environ(), "PORT=0", "BASE_URL=", "GUMROAD_KEY=", "GUMROAD_SECRET=", "SESSION_SECRET=", "DATABASE_URL="), env...)
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

	mayMiss string // the address of a picture that cannot be loaded

	mu     sync.Mutex
	status int64    // of the open page
	bad    []string // the errors of the console and the network
}

// open starts a browser with an empty profile.
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

// use sets the size and the colour scheme. It also disables scripts: the pages need
// none.
func (v *visitor) use(screen screen) {
	v.t.Helper()
	call(v, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: screen.width, Height: screen.height, DeviceScaleFactor: 1, Mobile: screen.width < 500})
	call(v, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}}})
	call(v, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// listen records the status of each page and all errors.
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
		// The browser logs the status of an error page, but sees checks that
		// status.
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

// call sends a command to the browser.
func call[P, R any](v *visitor, command cdp.Command[P, R], params P) {
	v.t.Helper()
	if _, err := chromedp.Call(v.ctx, command, params); err != nil {
		v.t.Fatalf("%s: %v", command.Method, err)
	}
}

// get returns the result of an action.
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

// click clicks the link or the button with this label, and waits for the next
// page.
func (v *visitor) click(label string) {
	v.t.Helper()
	target := fmt.Sprintf(`//main//button[normalize-space()=%[1]q] | //a[normalize-space()=%[1]q]`, label)
	ctx, cancel := context.WithTimeout(v.ctx, 15*time.Second)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(target, chromedp.NodeVisible)); err != nil {
		v.t.Fatalf("clicking %q: %v", label, err)
	}
}

// reload loads the page again.
func (v *visitor) reload() {
	v.t.Helper()
	if _, err := chromedp.RunResponse(v.ctx, chromedp.Reload()); err != nil {
		v.t.Fatalf("loading the page again: %v", err)
	}
}

// showsPictures checks that every picture on the page has loaded.
func (v *visitor) showsPictures() {
	v.t.Helper()
	if !get(v, chromedp.Evaluate[bool](`[...document.images].every(i => i.complete && i.naturalWidth > 0)`)) {
		v.t.Errorf("a picture is missing")
	}
}

// sees checks the open page, and saves a picture of it.
func (v *visitor) sees(name string, status int64, texts ...string) {
	v.t.Helper()
	page := get(v, chromedp.Text(chromedp.CSS("body")))
	html := get(v, chromedp.OuterHTML(chromedp.CSS("html")))
	overflow := get(v, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
	picture := get(v, chromedp.FullScreenshot(100))
	if err := os.WriteFile(v.pictures+name+".png", picture, 0o644); err != nil {
		v.t.Fatal(err)
	}
	v.checkAxe(name)
	for _, text := range texts {
		if !strings.Contains(page, text) {
			v.t.Errorf("%s: the page does not say %q:\n%s", name, text, page)
		}
	}
	if overflow > 0 {
		v.t.Errorf("%s: the page is %d pixels wider than the screen", name, overflow)
	}
	if strings.Count(html, "<script") != strings.Count(html, `<script src="/back.js"></script>`) {
		v.t.Errorf("%s: the page has another script", name)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.status != status {
		v.t.Errorf("%s: status %d, want %d", name, v.status, status)
	}
	for _, bad := range v.bad {
		if v.mayMiss != "" && (strings.Contains(bad, v.mayMiss) || strings.HasPrefix(bad, "request failed: net::ERR_UNSAFE_PORT") || strings.HasPrefix(bad, "request failed: net::ERR_CONNECTION_REFUSED")) {
			continue
		}
		v.t.Errorf("%s: %s", name, bad)
	}
	v.bad = nil
}

// checkAxe runs axe-core on the open page.
func (v *visitor) checkAxe(name string) {
	v.t.Helper()
	file := os.Getenv("BROWSERTEST_AXE")
	if file == "" {
		return
	}
	axe, err := os.ReadFile(file)
	if err != nil {
		v.t.Fatal(err)
	}
	call(v, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false})
	get(v, chromedp.Evaluate[bool](string(axe)+";true"))
	found := get(v, chromedp.Evaluate[string](`axe.run(document).then(r => r.violations.map(
		v => v.id + ": " + v.nodes.map(n => n.html + " (" + n.failureSummary + ")").join(", ")).join("\n"))`, chromedp.EvalAwaitPromise))
	call(v, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	if found != "" {
		v.t.Errorf("%s: axe: %s", name, found)
	}
}
