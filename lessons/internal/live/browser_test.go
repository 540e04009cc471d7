package live

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/chromium"
)

// browser is a tab, and what went wrong in it.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	console  []string
	requests []string
}

// TestInBrowser is one test of several, for one chromium serves them all: to start it takes longer
// than most of them.
func TestInBrowser(t *testing.T) {
	b := &browser{}
	b.ctx = chromium.Start(t, b.hear)
	t.Run("a real container", b.realContainer)
	t.Run("what is drawn", b.drawn)
	t.Run("reading", b.reading)
	t.Run("every width and colour", b.everyWidthAndColour)
}

// open shows a page of a server, until the test ends.
func (b *browser) open(t *testing.T, server *httptest.Server) {
	b.mu.Lock()
	b.t, b.console, b.requests = t, nil, nil
	b.mu.Unlock()
	t.Cleanup(func() { b.do(chromedp.Navigate("about:blank")) })
	b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(server.URL+"/below/here/"))
}

// hear keeps what a page may not do: complain, and ask another server.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		b.console = append(b.console, fmt.Sprint(e.Type, e.Args))
	case *runtime.EventExceptionThrown:
		b.console = append(b.console, fmt.Sprint(e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		b.console = append(b.console, fmt.Sprint(e.Entry.Level, " ", e.Entry.Text, " ", e.Entry.URL))
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

// until waits for a condition in the page. It is asked from here: what would ask inside the
// page is forbidden there.
func (b *browser) until(condition string) {
	b.t.Helper()
	defer func() {
		if b.t.Failed() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.t.Log("the console says", b.console)
		}
	}()
	require.Eventually(b.t, func() bool {
		holds, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](condition))
		return err == nil && holds
	}, patience, interval, condition)
}

func value[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err, expression)
	return v
}

// quiet fails when the page complained or asked somebody else.
func (b *browser) quiet(server *httptest.Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.console)
	require.NotEmpty(b.t, b.requests)
	for _, url := range b.requests {
		require.True(b.t, strings.HasPrefix(url, server.URL+"/below/here/"), url)
	}
}

// boxWith finds the drawn box with some text in it.
func boxWith(text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("article.box")].find((b) => b.textContent.includes(%q))`, text)
}

func (b *browser) realContainer(t *testing.T) {
	server, binary := served(t, real), built(t, 1)
	b.open(t, server)
	b.until(`document.querySelector("#connection").dataset.state === "live"`)
	command := "sleep " + mark(4)
	b.until("!" + boxWith(command))
	value[int](b, `window.heard = []; new MutationObserver(() => window.heard.push(document.querySelector("#news").textContent))
		.observe(document.querySelector("#news"), {childList: true, characterData: true, subtree: true}); 0`)
	stop := start(t, exec.Command(binary, "run", "sleep", mark(4)))
	b.until("!!" + boxWith(command))
	require.Contains(t, value[string](b, boxWith(command)+`.querySelector(".strip").innerText`), "its own")
	b.until(boxWith(command) + `.querySelector("svg[role=img]").getAttribute("aria-label").startsWith("Memory: now ")`)
	b.until(`window.heard.some((text) => /Box \d+ has appeared/.test(text))`) // others may come and go meanwhile
	stop()
	b.until("!" + boxWith(command))
	b.until(`window.heard.some((text) => /Box \d+ is gone/.test(text))`)
	b.quiet(server)
}

// drawnMachine has all that the page draws: two boxes with shared namespaces and layers, limits,
// a bridge, a box in a box, a network without a process.
func drawnMachine(t *testing.T) *machine {
	m := bridged(t)
	m.file("proc/1/mountinfo", version2+"20 1 0:4 net:[99] /run/netns/blue rw - nsfs nsfs rw\n")
	for _, pid := range []string{"10", "11"} {
		m.file("proc/"+pid+"/cgroup", "0::/box"+pid+"\n")
		m.group("box"+pid, map[string]string{"cgroup.procs": pid + "\n", "memory.current": "50000000\n", "memory.max": "64000000\n",
			"cpu.max": "50000 100000\n", "cpu.stat": "usage_usec 1\nnr_throttled 2\n", "pids.current": "2\n", "pids.max": "8\n"})
		m.file("proc/"+pid+"/mountinfo", "1 0 0:"+pid+" / / rw - overlay o rw,lowerdir=/layers/top:/layers/base,upperdir=/upper/"+pid+"\n2 1 0:9 /data /data ro - ext4 /dev/x rw\n")
	}
	m.process(12, 10, `<img src="http://example.com/x"> quotes "`, map[string]int{"pid": 90, "net": 20})
	m.interfaces(12, link{"lo", 0, 0})
	return m
}

func (b *browser) drawn(t *testing.T) {
	m := drawnMachine(t)
	server := served(t, m.roots())
	b.open(t, server)
	b.until(`document.querySelectorAll("article.box").length === 3`)
	require.Contains(t, value[string](b, boxWith("10 a")+`.innerText`), "shared with 12 <img")
	require.Equal(t, value[string](b, boxWith("10 a")+`.querySelector(".ns:nth-child(5)").className`),
		value[string](b, boxWith("made inside box 10 a")+`.querySelector(".ns:nth-child(5)").className`), "one colour for what is shared")
	require.Equal(t, 2.0, value[float64](b, boxWith("10 a")+`.querySelectorAll(".layer[class*=tone-]").length`), "layers that another box has")
	require.Contains(t, value[string](b, `document.querySelector(".switch").innerText`), "Bridge br0 in the host")
	require.Equal(t, 2.0, value[float64](b, `document.querySelectorAll(".switch .wire").length`))
	require.Contains(t, value[string](b, `document.querySelector("#network").innerText`), "net 99, without a process")
	b.until(boxWith("10 a") + `.querySelector("svg").getAttribute("aria-label").includes(" of 61.0 MiB")`)
	b.quiet(server)
}

// reading holds that what the reader has opened stays open, and that Pause stops all.
func (b *browser) reading(t *testing.T) {
	m := drawnMachine(t)
	b.open(t, served(t, m.roots()))
	b.until(`document.querySelectorAll("article.box").length === 3`)
	fold := boxWith("10 a") + `.querySelector("details[data-key=processes]")`
	value[bool](b, fold+`.querySelector("summary").focus(), true`)
	require.True(t, value[bool](b, fold+".open"))
	b.do(chromedp.KeyEvent("\r"))
	b.until("!" + fold + ".open")
	m.process(13, 10, "another", map[string]int{"net": 20})
	b.until(boxWith("10 a") + `.textContent.includes("2 processes")`)
	require.False(t, value[bool](b, fold+".open"))
	require.True(t, value[bool](b, fold+`.contains(document.activeElement)`), "the focus stays where it was")
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	b.until(`document.querySelector("#connection").textContent === "Paused"`)
	require.Eventually(t, func() bool { return !watching() }, patience, interval)
	m.remove("proc/12")
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	b.until(`document.querySelectorAll("article.box").length === 2`)
}

// everyWidthAndColour looks for what does not fit, and has axe-core look for what not
// everybody can read.
func (b *browser) everyWidthAndColour(t *testing.T) {
	b.open(t, served(t, drawnMachine(t).roots()))
	axe := os.Getenv("STAGEBOX_AXE")
	for _, width := range []int64{320, 390, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			require.NoError(t, err)
			b.do(chromedp.EmulateViewport(width, 800), chromedp.Reload())
			b.until(`document.querySelectorAll("article.box").length === 3`)
			value[bool](b, `document.querySelectorAll("details").forEach((d) => { d.open = true; }), true`)
			require.LessOrEqual(t, value[float64](b, "document.documentElement.scrollWidth"), float64(width), "nothing sticks out")
			if axe != "" {
				require.Empty(t, b.axe(axe), "%d wide, %s", width, scheme)
			}
		}
	}
	if axe == "" {
		t.Skip("STAGEBOX_AXE names no axe.min.js: widths were looked at, accessibility was not")
	}
}

// axe is what axe-core finds wrong, in its words.
func (b *browser) axe(file string) []string {
	script, err := os.ReadFile(file)
	require.NoError(b.t, err)
	value[bool](b, string(script)+"; true")
	return value[[]string](b, `axe.run().then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.html.slice(0, 200) + " " + n.failureSummary)))`)
}
