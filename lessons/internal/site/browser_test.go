package site

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	paper "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/chromium"
	"stagebox/lessons/internal/stages"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

const patience = chromium.Patience

// browser is a chromium with one page, which keeps what the page asks for and complains of.
type browser struct {
	ctx  context.Context
	base string // address of the site's index

	mu         sync.Mutex
	requests   []string
	complaints []string
}

// startBrowser skips the test when this host has no chromium.
func startBrowser(t *testing.T) *browser {
	b := &browser{}
	b.ctx = chromium.Start(t, b.hear)
	b.do(t, desk)
	return b
}

// The two windows: a desk's and a phone's.
var (
	desk  = chromedp.EmulateViewport(1280, 900)
	phone = chromedp.EmulateViewport(375, 720, chromedp.EmulateMobile, chromedp.EmulateTouch)
	wide  = chromedp.EmulateViewport(1680, 900)
)

func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, event.Request.URL)
	case *network.EventLoadingFailed:
		if !event.Canceled {
			b.complaints = append(b.complaints, "loading failed: "+event.ErrorText)
		}
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, fmt.Sprintf("%s: %s %s", event.Entry.Level, event.Entry.Text, event.Entry.URL))
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprintf("console.%s %v", event.Type, event.Args))
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, "an exception: "+event.ExceptionDetails.Text)
	}
}

func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	require.NoError(t, chromedp.Do(b.ctx, steps...))
}

// open goes to a page, by its name on the site.
func (b *browser) open(t *testing.T, name string) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.base+name))
}

// eval is what an expression is on the page; a promise is waited for.
func eval[T any](t *testing.T, b *browser, script string) T {
	t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	require.NoError(t, err, script)
	return value
}

// until waits for something to be so, also on the page that a link leads to.
func (b *browser) until(t *testing.T, script string) {
	t.Helper()
	require.Eventually(t, func() bool {
		is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](script))
		return err == nil && is // an error is that of a page which is not there yet
	}, patience, 20*time.Millisecond, script)
}

// theme makes the system's theme light or dark.
func (b *browser) theme(t *testing.T, name string) {
	t.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}}
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
	require.NoError(t, err)
}

func (b *browser) click(t *testing.T, selector string) {
	t.Helper()
	b.do(t, chromedp.Click(chromedp.CSS(selector)))
}

// script runs a statement on the page.
func (b *browser) script(t *testing.T, text string) {
	t.Helper()
	eval[chromedp.Void](t, b, text)
}

// ask empties the search's field and types into it.
func (b *browser) ask(t *testing.T, words string) {
	t.Helper()
	b.script(t, `document.querySelector("#search-words").value = ""`)
	b.do(t, chromedp.SendKeys(chromedp.CSS("#search-words"), words))
}

// listed stands for the lists of system calls: two that are written down, since a build of
// all stages takes longer than all that the browser does. That of real ones is in stages.
func listed(_ context.Context, st stages.Stage) ([]string, error) {
	lines := []string{
		`host│ clone3({flags=CLONE_NEWNS|CLONE_NEWPID, exit_signal=SIGCHLD}, 88)   # a copy of box that replays the rest`,
		`box │ unshare(CLONE_NEWCGROUP)`,
		`box │ mount(NULL, "/", NULL, MS_REC|MS_PRIVATE, NULL)   # no mount made in here shows outside`,
		`box │ sethostname("box", 3)`,
		`box │ close_range(3, 4294967295, CLOSE_RANGE_CLOEXEC)`,
	}
	for n := range st.Number {
		lines = append(lines, fmt.Sprintf(`box │ stage(%d)   # a call that came with the stage`, n+1))
	}
	return lines, nil
}

// TestInBrowser is one test of many parts, for one browser serves them all.
func TestInBrowser(t *testing.T) {
	b := startBrowser(t)
	server := &Server{Root: "../../..", Calls: listed, Token: NewToken()}
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	b.base = web.URL + "/" + server.Token + "/"
	b.theme(t, "light")
	t.Run("pages", b.pages)
	t.Run("search", b.search)
	t.Run("folding", b.folding)
	t.Run("side by side", b.sides)
	t.Run("system calls", b.systemCalls)
	t.Run("from a hunk to its paragraph and back", b.explained)
	t.Run("keys", b.keys)
	t.Run("theme", b.themes)
	t.Run("handout", b.handout)
	require.Empty(t, b.complaints)
	for _, request := range b.requests {
		require.True(t, strings.HasPrefix(request, b.base), "a request to %s left the site %s", request, b.base)
	}
}

// looks is what a page consists of.
type looks struct {
	Links  []string
	IDs    []string
	Levels []int
}

// TestStructure reads every page as a browser would: headings are in order, and links lead
// somewhere. Their text is megabytes, of which only the latest stay.
func TestStructure(t *testing.T) {
	boxtest.Slow(t, "makes all pages")
	const base = "http://site/"
	site, err := Load("../../..", listed, false)
	require.NoError(t, err)
	seen, all := map[string]looks{}, 0
	for _, name := range htmlPages(site) {
		text := get(t, site, name)
		all += len(text)
		require.LessOrEqual(t, kept(site), max(keptPages, len(text)))
		page := parse(t, base+name, text)
		headings(t, name, page)
		seen[base+name] = page
	}
	require.Greater(t, len(seen), 3*len(site.stages))
	require.Greater(t, all, 2*keptPages)
	links(t, base, seen)
}

// kept is how many bytes of pages a site holds.
func kept(site *Site) (size int) {
	for _, data := range site.rendered {
		size += len(data)
	}
	return size
}

func htmlPages(site *Site) []string {
	return slices.DeleteFunc(slices.Clone(site.Paths()), func(name string) bool { return !strings.HasSuffix(name, ".html") })
}

// parse returns what a page at an address consists of. Dialogs are made by the page's script.
func parse(t *testing.T, address, text string) (page looks) {
	at, err := url.Parse(address)
	require.NoError(t, err)
	root, err := html.Parse(strings.NewReader(text))
	require.NoError(t, err)
	for n := range root.Descendants() {
		for _, attribute := range n.Attr {
			switch {
			case attribute.Key == "id":
				page.IDs = append(page.IDs, attribute.Val)
			case attribute.Key == "href" && (n.Data == "a" || n.Data == "link"):
				to, err := at.Parse(attribute.Val)
				require.NoError(t, err, address)
				page.Links = append(page.Links, to.String())
			}
		}
		if heading.MatchString(n.Data) && n.Type == html.ElementNode {
			page.Levels = append(page.Levels, int(n.Data[1]-'0'))
		}
	}
	return page
}

var heading = regexp.MustCompile("^h[1-6]$")

var number = regexp.MustCompile(`[0-9]+.*`)

// sample returns one page of each kind, whose pages are made in the same way, or with
// STAGEBOX_LONG=1 all. It is the second: the first stage has nothing to be compared with.
func sample(names []string) []string {
	if os.Getenv("STAGEBOX_LONG") != "" {
		return names
	}
	kinds := map[string][]string{}
	for _, name := range names {
		kind := number.ReplaceAllString(name, "")
		if strings.HasPrefix(name, "stage") {
			_, kind, _ = strings.Cut(strings.TrimPrefix(name, "stage"), "-")
			_, kind, _ = strings.Cut(kind, "-") // calls.html, path.html, or none
			kind = "stage " + kind
		} else if dir, _, deep := strings.Cut(name, "/"); deep {
			kind = dir
		}
		kinds[kind] = append(kinds[kind], name)
	}
	var some []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		some = append(some, kinds[kind][min(1, len(kinds[kind])-1)])
	}
	return some
}

// pages opens a sample of the pages: on a phone nothing sticks out. Where axe-core is at hand, it
// finds nothing, in light and dark.
func (b *browser) pages(t *testing.T) {
	site, err := Load("../../..", listed, false)
	require.NoError(t, err)
	axe := axeCore(t)
	names := sample(htmlPages(site))
	t.Logf("pages: %s", strings.Join(names, " "))
	for _, name := range names {
		b.open(t, name)
		b.do(t, phone)
		require.LessOrEqual(t, eval[int](t, b, "document.documentElement.scrollWidth - innerWidth"), 0, "%s is wider than a phone", name)
		b.do(t, desk)
		b.accessible(t, name, axe)
	}
}

func headings(t *testing.T, name string, page looks) {
	t.Helper()
	require.NotEmpty(t, page.Levels, name)
	require.Equal(t, 1, page.Levels[0], name)
	for i := 1; i < len(page.Levels); i++ {
		require.LessOrEqual(t, page.Levels[i], page.Levels[i-1]+1, "%s: heading %d skips a level", name, i)
		require.Greater(t, page.Levels[i], 1, "%s has a second title", name)
	}
}

// links holds every link of every page against what is there.
func links(t *testing.T, base string, seen map[string]looks) {
	for from, page := range seen {
		unique := map[string]bool{}
		for _, id := range page.IDs {
			require.False(t, unique[id], "%s has the id %s twice", from, id)
			unique[id] = true
		}
		for _, to := range page.Links {
			if !strings.HasPrefix(to, base) {
				require.True(t, strings.HasPrefix(to, "https://"), "%s links to %s", from, to)
				continue
			}
			target, hash, _ := strings.Cut(to, "#")
			if strings.Contains(target, "/assets/") {
				continue // a browser loads it with any page, or complains
			}
			hash, err := url.PathUnescape(hash)
			require.NoError(t, err)
			there, ok := seen[target]
			require.True(t, ok, "%s links to %s, which is not a page", from, to)
			require.True(t, hash == "" || hash == "main" || contains(there.IDs, hash), "%s links to %s, and there is no such place", from, to)
		}
	}
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// axeCore is the text of axe.min.js, "" without one.
func axeCore(t *testing.T) string {
	path := os.Getenv("STAGEBOX_AXE")
	if path == "" {
		t.Log("STAGEBOX_AXE does not name an axe.min.js of npm's axe-core: accessibility is not checked")
		return ""
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// violation is what axe-core finds wrong.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// some leaves the beginnings of two changed files and a new one on a page of changes. All
// others are made in the same way, and of a whole page axe-core would take a minute.
const some = `
	document.querySelectorAll(".file:not(.fresh)").forEach((f, i) => { if (i >= 2) f.remove() });
	document.querySelectorAll(".file.fresh").forEach((f, i) => { if (i >= 1) f.remove() });
	document.querySelectorAll(".file").forEach(f => f.style.contentVisibility = "visible");
	document.querySelectorAll(".file").forEach(f => f.querySelectorAll(".l").forEach((l, i) => { if (i >= 40) l.remove() }));`

// accessible asks axe-core in light and dark.
func (b *browser) accessible(t *testing.T, name, axe string) {
	t.Helper()
	if axe == "" {
		return
	}
	const ask = `axe.run({resultTypes: ["violations"], preload: false%s}).then(r => JSON.stringify(r.violations))`
	b.script(t, some)
	eval[bool](t, b, axe+"; true")
	for theme, rules := range map[string]string{"light": "", "dark": `, runOnly: ["color-contrast"]`} { // no other rule is about colours
		b.theme(t, theme)
		var found []violation
		require.NoError(t, json.Unmarshal([]byte(eval[string](t, b, fmt.Sprintf(ask, rules))), &found))
		for _, v := range found {
			t.Errorf("%s in %s: %s: %s: %d times, first %s\n%s", name, theme, v.ID, v.Help, len(v.Nodes), v.Nodes[0].HTML, v.Nodes[0].Summary)
		}
	}
	b.theme(t, "light")
}

func (b *browser) press(t *testing.T, keys string) {
	t.Helper()
	b.do(t, chromedp.KeyEvent(keys))
}

// search finds a function by its name, and a lesson by its words.
func (b *browser) search(t *testing.T) {
	b.open(t, "index.html")
	b.press(t, "/")
	b.until(t, `document.activeElement.id === "search-words" && document.querySelector(".said").textContent !== ""`)
	b.press(t, "no-such-word-anywhere")
	b.until(t, `document.querySelector(".said").textContent === "Nothing has all of these words."`)
	b.ask(t, "pid 1 signals handler")
	b.until(t, `[...document.querySelectorAll(".answers a")].some(a => a.href.includes("01-namespaces.html#aside-signals"))`)
	b.ask(t, "mapids")
	b.until(t, `document.querySelector(".answers .name")?.textContent === "mapIDs"`)
	b.press(t, kb.ArrowDown)
	require.Equal(t, "A", eval[string](t, b, `document.activeElement.tagName`))
	b.press(t, kb.Enter)
	b.until(t, `document.getElementById("namespaces.go:mapIDs") !== null && document.readyState === "complete"`)
	require.Contains(t, eval[string](t, b, `location.href`), "stage01-namespaces.html#namespaces.go:mapIDs")
	require.True(t, b.visible(t, "namespaces.go:mapIDs"))
}

// visible tells whether an element with this id begins inside the window.
func (b *browser) visible(t *testing.T, id string) bool {
	t.Helper()
	return eval[bool](t, b, fmt.Sprintf(`(() => { const r = document.getElementById(%q).getBoundingClientRect(); return r.height > 0 && r.top >= 0 && r.top < innerHeight })()`, id))
}

// folding opens an unchanged function by a click, and all by a key; and an address inside
// a fold opens it.
func (b *browser) folding(t *testing.T) {
	b.open(t, "stage02-cgroups.html")
	const fold = `document.querySelector("details.fold")`
	const shown = fold + `.querySelector("pre").checkVisibility({contentVisibilityAuto: true})`
	require.False(t, eval[bool](t, b, shown))
	require.Contains(t, eval[string](t, b, `[...document.querySelectorAll("details.fold summary")].map(s => s.textContent).join()`), "unchanged: ")
	b.click(t, "details.fold summary")
	b.until(t, shown)
	b.press(t, "u")
	b.until(t, `[...document.querySelectorAll(".code details.fold")].every(d => d.open)`)
	b.press(t, "u")
	b.until(t, `[...document.querySelectorAll(".code details.fold")].every(d => !d.open)`)
	folded := eval[string](t, b, `document.querySelector("details.fold .part[id]").id`)
	b.script(t, fmt.Sprintf("location.hash = %q", folded))
	b.until(t, fmt.Sprintf(`document.getElementById(%q).closest("details").open`, folded))
	require.True(t, b.visible(t, folded))
}

// sides looks where the two sides of a change are.
func (b *browser) sides(t *testing.T) {
	b.open(t, "stage02-cgroups.html")
	const edit = `[...document.querySelectorAll(".edit")].find(e => e.querySelector(".old") && e.querySelector(".new"))`
	const beside = `(() => { const e = ` + edit + `, o = e.querySelector(".old").getBoundingClientRect(), n = e.querySelector(".new").getBoundingClientRect(); return o.right <= n.left && Math.abs(o.top - n.top) < 1 })()`
	require.False(t, eval[bool](t, b, beside))
	b.click(t, `[data-name="split"]`)
	b.until(t, beside)
	require.True(t, eval[bool](t, b, `[...document.querySelectorAll(".same")].every(s => s.children[0].textContent === s.children[1].textContent)`))
	b.open(t, "stage03-rootfs.html")
	b.until(t, `document.body.classList.contains("split")`) // it is remembered
	b.press(t, "s")
	b.until(t, `!document.body.classList.contains("split")`)
}

// systemCalls shows the list beside the code, and what came new in it.
func (b *browser) systemCalls(t *testing.T) {
	b.do(t, wide)
	b.open(t, "stage04-unionfs.html")
	b.until(t, `document.querySelector(".calls .new") !== null`)
	require.Equal(t, "box │ stage(4)  # a call that came with the stage", strings.TrimSpace(eval[string](t, b, `document.querySelector(".calls .new").textContent`)))
	require.Equal(t, "8 calls as before", eval[string](t, b, `document.querySelector(".calls summary").textContent`))
	require.True(t, eval[bool](t, b, `document.querySelector(".code").getBoundingClientRect().right <= document.querySelector(".calls").getBoundingClientRect().left`))
	b.press(t, "c")
	b.until(t, `!document.querySelector(".calls").checkVisibility()`)
	b.do(t, desk)
}

// handout is one sheet of paper.
func (b *browser) handout(t *testing.T) {
	b.open(t, "handout.html")
	printed, err := chromedp.Call(b.ctx, paper.PrintToPDF, paper.PrintToPDFParams{PreferCSSPageSize: new(true)})
	require.NoError(t, err)
	require.Regexp(t, `/Count 1\b`, string(printed.Data), "the handout takes more than a page")
}

// explained goes from a changed function to the paragraph that names it, and back.
func (b *browser) explained(t *testing.T) {
	b.open(t, "stage01-namespaces.html#plan/spawn.go:replay")
	b.click(t, `[id="plan/spawn.go:replay"] > a.why`)
	b.until(t, `location.pathname.endsWith("01-namespaces.html") && !location.pathname.includes("stage") && document.querySelector(":target") !== null`)
	require.Contains(t, eval[string](t, b, `document.querySelector(":target").textContent`), "plan/spawn.go:replay")
	b.script(t, `[...document.querySelectorAll(":target a.code")].find(a => a.textContent === "plan/spawn.go:replay").click()`)
	b.until(t, `location.pathname.endsWith("stage01-namespaces.html") && document.querySelector(":target") !== null && document.readyState === "complete"`)
	require.True(t, b.visible(t, "plan/spawn.go:replay"))
}

// keys walks through changes, pages and the help by keyboard alone.
func (b *browser) keys(t *testing.T) {
	b.open(t, "stage02-cgroups.html")
	b.press(t, "jj")
	second := eval[string](t, b, `[...document.querySelectorAll(".hunk")].indexOf(document.querySelector(".here")).toString()`)
	require.Equal(t, "1", second)
	b.press(t, "k")
	require.Equal(t, "0", eval[string](t, b, `[...document.querySelectorAll(".hunk")].indexOf(document.activeElement).toString()`))
	b.press(t, "o")
	b.until(t, `location.pathname.endsWith("/02-cgroups.html") && document.readyState === "complete"`)
	b.press(t, "j")
	require.Equal(t, "H2", eval[string](t, b, `document.activeElement.tagName`))
	b.press(t, "n")
	b.until(t, `location.pathname.endsWith("/03-rootfs.html") && document.readyState === "complete"`)
	b.switchKeys(t)
	b.press(t, "p")
	require.Contains(t, eval[string](t, b, `location.pathname`), "/03-rootfs.html", "keys are switched off")
	b.switchKeys(t)
	b.press(t, "i")
	b.until(t, `location.pathname.endsWith("/index.html")`)
}

// switchKeys switches single keys off or on, in the help about them.
func (b *browser) switchKeys(t *testing.T) {
	t.Helper()
	b.press(t, "?")
	b.until(t, `document.querySelector("#keys-dialog").open`)
	b.click(t, "#single-keys")
	b.press(t, kb.Escape)
	b.until(t, `!document.querySelector("#keys-dialog").open`)
}

// themes follow the system until one is chosen, and then the choice.
func (b *browser) themes(t *testing.T) {
	const paper = `getComputedStyle(document.body).backgroundColor`
	b.open(t, "index.html")
	light := eval[string](t, b, paper)
	b.theme(t, "dark")
	dark := eval[string](t, b, paper)
	require.NotEqual(t, light, dark)
	b.press(t, "t")
	require.Equal(t, light, eval[string](t, b, paper))
	b.open(t, "02-cgroups.html")
	require.Equal(t, light, eval[string](t, b, paper))
	b.theme(t, "light")
}
