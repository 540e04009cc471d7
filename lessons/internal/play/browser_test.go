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

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/chromium"
	"stagebox/lessons/internal/site"
	"stagebox/lessons/internal/vm"
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
	return fmt.Sprintf(`playground.blocks.find(b => b.steps[0].text?.includes(%q))`, words)
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
	b.prompted(terminal, fmt.Sprintf(`screen.type(%q, null)`, line))
}

// prompted does something, and waits for a prompt of that terminal further down than the last.
func (b *browser) prompted(terminal, do string) {
	b.t.Helper()
	b.script(`{ const screen = playground.screens[` + terminal + ` - 1]; window.pressed = { screen, row: screen.row() }; ` + do + ` }`)
	b.until(`pressed.screen.row() > pressed.row && /[$#] $/.test(pressed.screen.prompt())`)
}

// Modifiers of a key.
const (
	alt   = 1
	shift = 8
)

// keyNumbers are the keys that the tests press, by their places on the keyboard.
var keyNumbers = map[string]int64{"Enter": '\r', "Tab": '\t', "Digit0": '0', "Digit1": '1', "Digit2": '2'}

// key presses a key, as the keyboard does.
func (b *browser) key(code string, modifiers int64) {
	b.t.Helper()
	down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Code: code, Modifiers: modifiers,
		Key: strings.TrimPrefix(code, "Digit"), WindowsVirtualKeyCode: keyNumbers[code]}
	if code == "Enter" {
		down.Text = "\r"
	}
	up := down
	up.Type, up.Text = input.DispatchKeyEventTypeKeyUp, ""
	for _, event := range []input.DispatchKeyEventParams{down, up} {
		_, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, event)
		require.NoError(b.t, err)
	}
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

// TestPageByKeyboard goes from the text to the terminals and back by keys alone, on a wide page and on a
// narrow one, and holds both against axe-core in both colours.
func TestPageByKeyboard(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	base := served(t, New(t.Context(), nil, 1, vm.Options{}))
	b.do(chromedp.EmulateViewport(1400, 900), chromedp.Navigate(base+"01-namespaces.html"))
	b.until(`typeof playground === "object" && /host itself/.test(document.querySelector(".play-state").textContent)`)
	b.until(`/[$#] $/.test(playground.screens[0].prompt())`)
	button := block("readlink /proc/self/ns/uts") + `.button`
	b.tabTo(button, 0)
	b.key("Enter", 0)
	b.until(focused(1) + ` && /readlink .proc.self.ns.uts$/.test(playground.screens[0].prompt())`)
	b.until(`getComputedStyle(playground.screens[0].place).borderColor !== getComputedStyle(playground.screens[1].place).borderColor`)
	b.key("Enter", 0)
	b.shows(1, `^uts:`)
	b.key("Digit0", alt)
	b.until(`document.activeElement === ` + button)
	b.key("Digit2", alt)
	b.until(focused(2))
	b.key("Tab", 0)
	b.until(focused(2)) // the shell completes names with it
	b.key("Tab", shift)
	b.until(focused(1))
	b.key("Tab", shift)
	b.until(`document.activeElement.id === "play-enter"`)
	b.accessibleInAllColours()
	b.do(chromedp.EmulateViewport(400, 800))
	b.until(`document.documentElement.scrollWidth <= innerWidth`)
	b.until(`(({top, bottom}) => top > innerHeight / 3 && bottom === innerHeight)(document.querySelector(".play").getBoundingClientRect())`)
	b.key("Digit1", alt)
	b.tabTo(`document.querySelector(".play-tabs [data-name='2']")`, shift)
	b.key("Enter", 0)
	b.until(focused(2) + ` && playground.screens[1].place.clientHeight > 100 && !playground.screens[0].place.clientHeight`)
	b.accessibleInAllColours()
	require.Empty(t, b.complaints)
}

// focused says that what is typed goes to a terminal.
func focused(terminal int) string {
	return fmt.Sprintf(`document.activeElement === playground.screens[%d].term.textarea`, terminal-1)
}

// tabTo presses Tab until an element has the focus, and shows that it has.
func (b *browser) tabTo(element string, modifiers int64) {
	b.t.Helper()
	for range 200 {
		b.key("Tab", modifiers)
		there, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`document.activeElement === `+element))
		require.NoError(b.t, err)
		if there {
			b.until(`(({outlineStyle, outlineWidth}) => outlineStyle !== "none" && parseFloat(outlineWidth) > 0)(getComputedStyle(` + element + `))`)
			return
		}
	}
	require.Fail(b.t, "Tab does not lead to "+element)
}

// accessibleInAllColours holds the page against axe-core in light and in dark.
func (b *browser) accessibleInAllColours() {
	b.t.Helper()
	for _, colours := range []string{"dark", "light"} {
		_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}}})
		require.NoError(b.t, err)
		b.accessible()
	}
}

// TestLessonsInBrowser types lesson 1's first sections and lesson 3's by their buttons, in both
// terminals of one machine, which is then reset.
func TestLessonsInBrowser(t *testing.T) {
	boxtest.Slow(t, "boots a virtual machine")
	t.Parallel()
	b := startBrowser(t)
	ground := made(t)
	ground.Options.CPUs = 1 // two that QEMU translates for wait for each other
	base := served(t, ground)
	booted := make(chan error, 1)
	go func() { booted <- ground.Boot() }()
	b.do(chromedp.EmulateViewport(1400, 900), chromedp.Navigate(base+"01-namespaces.html"))
	b.until(`typeof playground === "object"`)
	b.accessible()
	require.NoError(t, <-booted)
	b.firstLesson()
	b.secondTerminal()
	b.ordinaryUser()
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
	b.until(`document.activeElement === playground.screens[0].term.textarea`)
	b.key("Enter", 0)
	b.script(`document.querySelector("#play-enter").click()`)
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

// secondTerminal looks from one terminal at a container that waits in the other. An Enter at the end
// of a block is pressed by the next one's button.
func (b *browser) secondTerminal() {
	b.press("go build -o box ./stage01")
	held := func(button, waits string) {
		b.script(button + `.button.click()`)
		b.shows(1, waits)
	}
	pause := block("echo $$ >shell")
	next := func(n int) string { return fmt.Sprintf(`playground.blocks[%s.index + %d]`, pause, n) }
	held(pause, `look: sudo nsenter -t [0-9]+ -u hostname +.Enter. $`)
	held(next(1), `^ +.Enter. $`)
	b.press("cd ~/lesson1")
	b.press("pid=$(pgrep")
	b.shows(2, `^NSpid:\s+\d+\s+1$`)
	b.shows(2, `^lo +DOWN `)
	held(next(3), `look: ls -l .proc.[0-9]+.ns +.Enter. $`)
	b.press("nsenter -t $pid -n ip")
	b.shows(2, `^lo +UNKNOWN `)
	b.script(`window.shell = ` + next(5))
	b.until(`shell.button.textContent === "Press Enter in terminal 1"`)
	b.prompted("1", `shell.button.click()`)
	b.prompted("1", `shell.button.click()`)
	b.press("exit")
}

// ordinaryUser presses the buttons of blocks which are not root's.
func (b *browser) ordinaryUser() {
	b.press("id -u; hostname")
	b.press("box run --explain true 2>&1")
	b.shows(1, `\$ user box run --explain true 2>&1 . grep -c 'host│ `)
	b.shows(1, `^2$`)
	b.picture("play-user")
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
