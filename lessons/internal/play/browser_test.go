package play

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/chromium"
	"stagebox/lessons/internal/site"
)

// calm is how long a browser or a machine may take for one thing on a busy host.
const calm = 3 * time.Minute

// browser is a chromium with one page, and what it complains of.
type browser struct {
	t          *testing.T
	ctx        context.Context
	mu         sync.Mutex
	complaints []string
}

// startBrowser skips the test where there is no chromium.
func startBrowser(t *testing.T) *browser {
	b := &browser{t: t}
	b.ctx = chromium.Start(t, b.hear)
	return b
}

func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event := event.(type) {
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, fmt.Sprintf("%s: %s %s", event.Entry.Level, event.Entry.Text, event.Entry.URL))
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, "an exception: "+event.ExceptionDetails.Text)
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

func (b *browser) script(text string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Evaluate[chromedp.Void](text))
	require.NoError(b.t, err, text)
}

// until waits for something to be so on the page.
func (b *browser) until(script string) {
	b.t.Helper()
	ok := false
	for end := time.Now().Add(calm); !ok && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		ok, _ = chromedp.Run(b.ctx, chromedp.Evaluate[bool](script)) // an error is that of a page which is not there yet
	}
	if !ok {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector(".play")?.innerText + playground.screens.map(s => s.lines().join("\n")).join("\n--\n")`))
		require.Fail(b.t, "never so: "+script, text)
	}
}

// shows waits for a line of a terminal.
func (b *browser) shows(terminal int, pattern string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`playground.screens[%d].lines().some(l => /%s/.test(l))`, terminal-1, pattern))
}

// block finds the block of the lesson whose first line contains some words.
func block(words string) string {
	return fmt.Sprintf(`playground.blocks.find(b => b.steps[0].text.includes(%q))`, words)
}

// press presses the button of a block once for each of its lines.
func (b *browser) press(words string) {
	b.t.Helper()
	steps, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](block(words)+`.steps.length`))
	require.NoError(b.t, err, words)
	for range steps {
		b.prompted(block(words)+`.terminal`, block(words)+`.button.click()`)
	}
}

// enter types a line and Enter.
func (b *browser) enter(terminal, line string) {
	b.t.Helper()
	b.prompted(terminal, fmt.Sprintf(`screen.type(%q, true)`, line))
}

// prompted does something, and waits for a prompt of that terminal further down than the last.
func (b *browser) prompted(terminal, do string) {
	b.t.Helper()
	b.script(`{ const screen = playground.screens[` + terminal + ` - 1]; window.pressed = { screen, row: screen.row() }; ` + do + ` }`)
	b.until(`pressed.screen.row() > pressed.row && /[$#] $/.test(pressed.screen.prompt())`)
}

// served is a playground's pages, and their address.
func served(t *testing.T, ground *Playground) string {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed: there is no xterm.js for the page")
	}
	xterm, err := FetchXterm(t.Context())
	if err != nil {
		t.Skip(err) // no network, and not in the cache
	}
	web := &Web{Playground: ground, Xterm: xterm, Site: &site.Server{Root: "../../..", Token: site.NewToken()}}
	server := httptest.NewServer(web.Handler())
	t.Cleanup(server.Close)
	return server.URL + "/" + web.Site.Token + "/"
}

// TestLessonsInBrowser types lesson 1's first sections and lesson 3's by their buttons, in both
// terminals of one machine, which is then reset.
func TestLessonsInBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a virtual machine: left out with -short")
	}
	t.Parallel()
	b := startBrowser(t)
	ground := made(t)
	base := served(t, ground)
	booted := make(chan error, 1)
	go func() { booted <- ground.Boot() }()
	b.do(chromedp.EmulateViewport(1400, 900), chromedp.Navigate(base+"01-namespaces.html"))
	b.until(`typeof playground === "object"`)
	b.accessible()
	require.NoError(t, <-booted)
	b.firstLesson()
	b.thirdLesson(base)
	b.reset()
	b.picture("play-reset")
	require.Empty(t, b.complaints)
}

// firstLesson begins without Enter, which is then pressed in the terminal.
func (b *browser) firstLesson() {
	first := block("box run sh")
	b.until(`/\$ $/.test(playground.screens[0].prompt())`)
	b.script(first + `.button.click()`)
	b.until(`/\$ box run sh$/.test(playground.screens[0].prompt())`)
	b.script(`document.querySelector("#play-enter").click(); playground.screens[0].term.input("\r")`)
	b.until(`/^# $/.test(playground.screens[0].prompt())`)
	b.prompted("1", first+`.button.click()`)
	b.shows(1, `^box$`)
	b.prompted("1", first+`.button.click()`)
	b.shows(1, `^1$`)
	b.enter("1", "exit")
	b.press("ls -l /proc/self/ns")
	b.shows(1, `^time_for_children -> time:\[`)
	b.picture("play-lesson1")
}

// thirdLesson types its second terminal's share there by hand: no block of its beginning is for
// it.
func (b *browser) thirdLesson(base string) {
	b.do(chromedp.Navigate(base + "03-rootfs.html"))
	b.until(`typeof playground === "object"`)
	b.until(`/stage 3$/.test(document.querySelector(".play-state").textContent)`)
	b.shows(1, `time_for_children`) // the screen came back
	b.press("box rootfs tiny")
	b.shows(1, `^I am root and process 1$`)
	b.enter("2", "ls -d tiny; hostname")
	b.shows(2, `^tiny`)
	b.shows(2, `^stagebox$`)
	b.do(chromedp.EmulateViewport(400, 800))
	b.until(`document.documentElement.scrollWidth <= innerWidth`)
	b.picture("play-phone")
	b.do(chromedp.EmulateViewport(1400, 900))
	b.picture("play-lesson3")
}

// reset throws the machine away: a file outside /work is gone, one inside was kept.
func (b *browser) reset() {
	b.enter("1", "touch /gone /work/kept")
	b.script(`[...document.querySelectorAll(".play-bar button")].find(b => b.textContent === "Reset").click()`)
	b.until(`/booting/.test(document.querySelector(".play-state").textContent)`)
	b.until(`/^up in .*stage 3$/.test(document.querySelector(".play-state").textContent)`)
	b.enter("1", "until [ -e /work/kept ]; do sleep 0.1; done; ls /gone /work/kept")
	b.shows(1, `^ls: cannot access '.gone'`)
	b.shows(1, `^.work.kept$`)
}

// accessible holds the page against axe-core, where STAGEBOX_AXE names it.
func (b *browser) accessible() {
	b.t.Helper()
	path := os.Getenv("STAGEBOX_AXE")
	if path == "" {
		b.t.Log("STAGEBOX_AXE does not name an axe.min.js of npm's axe-core: accessibility is not checked")
		return
	}
	axe, err := os.ReadFile(path)
	require.NoError(b.t, err)
	b.script(string(axe) + "; undefined")
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](
		`axe.run({resultTypes: ["violations"], preload: false}).then(r => JSON.stringify(r.violations.map(v => [v.id, v.help, v.nodes[0].html, v.nodes[0].failureSummary])))`, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	var violations [][]string
	require.NoError(b.t, json.Unmarshal([]byte(found), &violations))
	require.Empty(b.t, violations)
}

// picture writes a picture of the page for who asks for it with STAGEBOX_PICTURES=DIR.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("STAGEBOX_PICTURES")
	if dir == "" {
		return
	}
	data, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644))
	b.t.Log(strings.TrimSpace(name), "was written")
}
