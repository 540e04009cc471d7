package site

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/stages"
)

// tree makes a small repository of two stages and a lesson for each.
func tree(t *testing.T) string {
	root := t.TempDir()
	put(t, root, "go.mod", "module small\n")
	put(t, root, "README.md", "# Small\n\nSee [the lessons](lessons/README.md), [a script](lessons/probe.sh), [a stage](stage02-b) and [nothing](no/such).\n")
	put(t, root, "lessons/probe.sh", "#!/bin/sh\necho \"<probe>\"\n")
	put(t, root, "lessons/README.md", "# The lessons\n\nTwo.\n\n| | the question | minutes |\n| --- | --- | --- |\n| [1 A](01-a.md) | What? | 10 |\n| [2 B](02-b.md) | Why? | 20 |\n\n## Ways\n\nThis one.\n")
	put(t, root, "lessons/01-a.md", "# 1. A\n\n## Code\n\n`main.go` begins; `main.go:one` is first.\n")
	put(t, root, "lessons/02-b.md", "# 2. B\n\n## Code\n\n1. `new.go:T`, a type.\n2. `main.go:one` again.\n\n![drawn](b.svg)\n")
	put(t, root, "lessons/b.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n")
	first := "package main\n\nfunc one() {\n\tprintln(1)\n}\n\n// two is not changed.\nfunc two() {\n\tprintln(2)\n}\n"
	put(t, root, "stage01-a/main.go", first)
	put(t, root, "stage02-b/main.go", strings.Replace(first, "println(1)", "println(\"<one>\")", 1))
	put(t, root, "stage02-b/new.go", "package main\n\ntype T int\n\nfunc (t *T) M() {}\n\nfunc alone() {}\n")
	return root
}

func put(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// get is a page of a site.
func get(t *testing.T, s *Site, name string) string {
	t.Helper()
	data, err := s.File(t.Context(), name)
	require.NoError(t, err)
	require.NotNil(t, data, "there is no page %s", name)
	return string(data)
}

func load(t *testing.T, root string) *Site {
	t.Helper()
	s, err := Load(root, listed, false)
	require.NoError(t, err)
	return s
}

// TestRowsAreBothFiles holds every comparison of the real stages against the files: none of
// their lines is missing, twice or in another place, folded or not.
func TestRowsAreBothFiles(t *testing.T) {
	for _, st := range load(t, "../../..").stages {
		for _, f := range st.all() {
			var before, after []string
			both, err := f.sides()
			require.NoError(t, err)
			old, now := strings.Split(strings.TrimSuffix(both.before, "\n"), "\n"), strings.Split(strings.TrimSuffix(both.after, "\n"), "\n")
			for _, r := range (&layout{stage: st, file: f, sides: both}).rows() {
				if r.Kind != difference.Added {
					before = append(before, lineOf(old, r.Old))
				}
				if r.Kind != difference.Removed {
					after = append(after, lineOf(now, r.New))
				}
			}
			require.Equal(t, both.before, joined(before), "%s %s", st.Name(), f.Name)
			require.Equal(t, both.after, joined(after), "%s %s", st.Name(), f.Name)
		}
	}
}

func joined(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestColourKeepsTheText takes the marks away again.
func TestColourKeepsTheText(t *testing.T) {
	for _, text := range []string{"package p\n\n/* over\n\ttwo lines */\nvar s = `raw\n<tag> & more`\n", "not go at \"all\n", ""} {
		lines := colour("go", text)
		require.Equal(t, strings.TrimSuffix(text, "\n"), untagged(strings.Join(lines, "\n")))
	}
	require.Equal(t, []string{`<span class="k">func</span> <span class="f">f</span>()`}, colour("go", "func f()\n"))
	require.Equal(t, []string{"&lt;a&gt;"}, colour("no-such-language", "<a>\n"))
	require.Equal(t, []string{`<span class="f">echo</span> <span class="s">&#34;a&#34;</span>`}, colour("sh", "echo \"a\"\n"))
}

// TestGoIsColoured has pieces of Go, as lessons quote them.
func TestGoIsColoured(t *testing.T) {
	for text, want := range map[string]string{
		"case 0o755, 'x', 1.5i:":  `<span class="k">case</span> <span class="m">0o755</span>, <span class="s">&#39;x&#39;</span>, <span class="m">1.5i</span>:`,
		"var n = string(b.len)":   `<span class="k">var</span> n = <span class="f">string</span>(b.len)`,
		"x.string, []byte{iota}":  `x.string, []<span class="t">byte</span>{<span class="k">iota</span>}`,
		"a() // why\n\t/* b\n */": `<span class="f">a</span>() <span class="c">// why</span>` + "\n\t" + `<span class="c">/* b</span>` + "\n" + `<span class="c"> */</span>`,
		"`{{.ID}}\n\nend`":        `<span class="s">` + "`{{.ID}}</span>\n\n" + `<span class="s">end` + "`</span>",
		"… \"open\n}":             "… " + `<span class="s">&#34;open</span>` + "\n}",
	} {
		require.Equal(t, want, strings.Join(colour("go", text+"\n"), "\n"))
	}
	require.Len(t, colour("go", "a\n\n\n"), 3)
	require.Empty(t, colour("go", ""))
}

// untagged is the text of HTML without its elements.
func untagged(html string) string {
	var b strings.Builder
	for _, part := range strings.Split(html, "<") {
		_, text, found := strings.Cut(part, ">")
		if !found {
			text = part
		}
		b.WriteString(text)
	}
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#34;", `"`, "&#39;", "'", "&amp;", "&").Replace(b.String())
}

func TestSessionShowsWhoTypesWhat(t *testing.T) {
	got, err := session("", `console as=root terminal=2`, "$ echo ‹pid› <x>\n…\nbox │ close(3) = 0    # the end\n      look: ls   [Enter]\n^C\n")
	require.NoError(t, err)
	for _, part := range []string{
		`<figure class="session" data-terminal="2" data-as="root"><figcaption>as root, in a second terminal</figcaption>`,
		`<span class="ps">$</span> <span class="in">echo <var>‹pid›</var> &lt;x&gt;</span>`,
		`<span class="any">…</span>`,
		`<span class="box">box │</span> close(3) = 0<span class="why">    # the end</span>`,
		`look: ls   <kbd>[Enter]</kbd>`,
		`<kbd>^C</kbd>`,
	} {
		require.Contains(t, got, part)
	}
	_, err = session("", "console by=nobody", "")
	require.ErrorContains(t, err, "there are terminal=, as=, norun=, kernel= and if=")
}

// The playground types commands into the terminal that their block names.
func TestCommandsSayWhereTheyAreTyped(t *testing.T) {
	root := tree(t)
	put(t, root, "lessons/01-a.md", "# 1. A\n\n```sh\ncd one\n```\n\n```sh terminal=2\ncd two\n```\n")
	page := get(t, load(t, root), "01-a.html")
	require.Contains(t, page, `<pre class="wide" data-language="sh"><code>`)
	require.Contains(t, page, `<pre class="wide" data-language="sh" data-terminal="2"><code>`)
}

func TestHunksLeadToTheParagraphThatNamesThem(t *testing.T) {
	s := load(t, tree(t))
	page := get(t, s, "stage02-b.html")
	require.Contains(t, page, `<div class="hunk" id="main.go:one"><a class="why" href="02-b.html#p2">`)
	require.Contains(t, page, `<div class="hunk" id="new.go:T"><a class="why" href="02-b.html#p1">`)
	require.Contains(t, page, `<div class="hunk" id="new.go:T.M"><a class="why" href="02-b.html#p1">`, "a method is left to its type")
	require.Contains(t, page, `<div class="hunk" id="new.go:alone"><div class="edit">`, "in a new file the head has the file's passage")
	require.Contains(t, page, `<summary>unchanged: two</summary>`)
	require.Contains(t, page, `<div class="part" id="main.go:two">`)
	lesson := get(t, s, "02-b.html")
	require.Contains(t, lesson, `<li id="p1"><a class="code" href="stage02-b.html#new.go:T"><code>new.go:T</code></a>`)
	require.Contains(t, lesson, `<img src="files/lessons/b.svg" alt="drawn"`)
	require.Equal(t, "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n", get(t, s, "files/lessons/b.svg"))
}

// TestToolsAreShownWhereTheyAreNew: a tool is its comment and what it exports, with its code
// folded, on the page of the stage that introduces it; lessons, search and links lead there.
func TestToolsAreShownWhereTheyAreNew(t *testing.T) {
	root := tree(t)
	put(t, root, "stage01-a/plan/plan.go", "// Package plan holds a <list>.\n//\n//\tas code\npackage plan\n\n// New makes one. Or two.\nfunc New() int { return hidden() }\n\nfunc hidden() int { return 1 }\n")
	put(t, root, "stage02-b/cmd_go.go", "package main\n")
	put(t, root, "lessons/02-b.md", "# 2. B\n\n## Code\n\n`plan/plan.go:hidden` works, see [the tool](../stage01-a/plan).\n")
	put(t, root, "lessons/01-a.md", "# 1. A\n\n## Code\n\n`plan/plan.go:New` is first.\n")
	s := load(t, root)
	first, second := get(t, s, "stage01-a.html"), get(t, s, "stage02-b.html")
	require.NotContains(t, second, "plan/")
	require.Contains(t, second, `<h2 id="commands">Commands</h2>`)
	require.Less(t, strings.Index(second, `id="new.go"`), strings.Index(second, `id="cmd_go.go"`), "commands come last")
	for _, part := range []string{
		"10 lines, and 9 in tools",
		`<li class="apart"><a href="#plan/">plan/</a> <span class="count">9 lines</span></li>`,
		`<h3 id="plan/"><a href="#plan/">plan/</a></h3>`,
		"<p>Package plan holds a &lt;list&gt;.</p>\n<pre>\tas code</pre>",
		`<dt><a href="#plan/plan.go:New"><code>func New() int</code></a></dt><dd>New makes one.</dd>`,
		`<details class="fold"><summary>plan/plan.go, 9 lines</summary>`,
		`<div class="hunk" id="plan/plan.go:New"><a class="why" href="01-a.html#p1">`,
		`<div class="hunk" id="plan/plan.go:hidden">`,
	} {
		require.Contains(t, first, part)
	}
	lesson := get(t, s, "02-b.html")
	require.Contains(t, lesson, `<a class="code" href="stage01-a.html#plan/plan.go:hidden"><code>plan/plan.go:hidden</code></a>`)
	require.Contains(t, lesson, `<a href="stage01-a.html#plan/">the tool</a>`)
	require.Contains(t, get(t, s, "index.html"), "10 lines added, and 9 in tools")
	require.Contains(t, get(t, s, "search.json"), `{"k":"code","t":"hidden","w":"plan/plan.go","h":"stage01-a.html#plan/plan.go:hidden"`)
}

// TestFileKeepsItsLastExplanation: what a lesson does not name is left to the one before.
func TestFileKeepsItsLastExplanation(t *testing.T) {
	root := tree(t)
	put(t, root, "lessons/02-b.md", "# 2. B\n\n## Code\n\nNothing about code here.\n")
	page := get(t, load(t, root), "stage02-b.html")
	require.Contains(t, page, `href="01-a.html#p1"><span class="sign" aria-hidden="true">¶</span> lesson 1, Code</a>`)
	require.Contains(t, page, `<h3 id="new.go"><a href="#new.go">new.go</a></h3> <span class="count">7 lines</span> <span class="count">no lesson names it</span>`)
}

func TestLinksBecomePages(t *testing.T) {
	page := get(t, load(t, tree(t)), "start.html")
	require.Contains(t, page, `<a href="index.html">the lessons</a>, <a href="files/lessons/probe.sh.html">a script</a>, <a href="stage02-b.html">a stage</a> and nothing.`)
}

func TestIndexHasQuestionsAndSizes(t *testing.T) {
	page := get(t, load(t, tree(t)), "index.html")
	require.Contains(t, page, `<h2><a href="02-b.html">B</a></h2>`)
	require.Contains(t, page, `Why?`)
	require.Contains(t, page, `20 minutes · <a href="stage02-b.html">what stage 2 changes</a>: 1 new file, 8 lines added, 1 removed`)
	require.NotContains(t, page, "<table>")
	require.Contains(t, page, `<h2 id="ways">`)
}

func TestSearchIndexHasEachNameOnce(t *testing.T) {
	var list []found
	require.NoError(t, json.Unmarshal([]byte(get(t, load(t, tree(t)), "search.json")), &list))
	var one, two []found
	for _, e := range list {
		switch e.Title {
		case "one":
			one = append(one, e)
		case "two":
			two = append(two, e)
		}
	}
	require.Equal(t, []found{{Kind: "code", Title: "one", Where: "main.go", Href: "stage01-a.html#main.go:one",
		More: []place{{1, "stage01-a.html#main.go:one"}, {2, "stage02-b.html#main.go:one"}}}}, one)
	require.Len(t, two[0].More, 1, "the second stage does not change it")
}

// TestReadingPage shows what a path names, whole, and says what does not resolve. A stage
// without a path has no page.
func TestReadingPage(t *testing.T) {
	root := tree(t)
	require.NotContains(t, load(t, root).Paths(), "stage01-a-path.html")
	put(t, root, "lessons/paths/01.txt", "# All of it\nmain.go:one  What `one` <prints>.\nmain.go:no  Not there.\n")
	s := load(t, root)
	page := get(t, s, "stage01-a-path.html")
	require.Contains(t, page, `What <code>one</code> &lt;prints&gt;.`)
	require.Regexp(t, `data-n="3">.*func.*one.*\n.*data-n="4">.*println`, page)
	require.Contains(t, page, `<a href="#main.go%3aone">main.go:one</a>`)
	require.NotContains(t, page, "println(2)")
	require.Contains(t, page, "<strong>lessons/paths/01.txt:3: main.go: no declaration of no</strong>")
	require.Contains(t, get(t, s, "01-a.html"), `<a href="stage01-a-path.html">Reading stage 1</a>: 3 lines in reading order`)
	require.Contains(t, get(t, s, "stage01-a.html"), `<a href="stage01-a-path.html">`)
	require.NotContains(t, s.Paths(), "stage02-b-path.html")
}

// TestCallsFoldBySection: a section is behind its title and its numbers, open where a few of its
// calls have changed.
func TestCallsFoldBySection(t *testing.T) {
	kept, added := difference.Kept, difference.Added
	shown := callList([]difference.Line{
		{Kind: kept, Text: "── root: a directory <x>"}, {Kind: kept, Text: "box │ one()"}, {Kind: added, Text: "box │ two()"},
		{Kind: kept, Text: "── end: the program"}, {Kind: kept, Text: "box │ execve()"},
	})
	require.Contains(t, shown, `<details class="section" open><summary><b>root</b> a directory &lt;x&gt; <span class="count">2 calls, +1 −0</span></summary>`)
	require.Contains(t, shown, `<details class="section"><summary><b>end</b> the program <span class="count">1 call, as before</span></summary>`)
	require.Regexp(t, `(?s)<pre class="both">.*one\(.*<pre class="new">.*two\(`, shown)
}

// TestFilesFollowTheReadingPath: of the files that a stage changes, those on the path come first.
func TestFilesFollowTheReadingPath(t *testing.T) {
	root := tree(t)
	put(t, root, "stage02-b/again.go", "package main\n\nfunc again() {}\n")
	before := get(t, load(t, root), "stage02-b.html")
	require.Less(t, strings.Index(before, `id="again.go"`), strings.Index(before, `id="new.go"`))
	put(t, root, "lessons/paths/02.txt", "# All of it\nnew.go:T  A type.\n")
	after := get(t, load(t, root), "stage02-b.html")
	require.Less(t, strings.Index(after, `id="new.go"`), strings.Index(after, `id="again.go"`))
}

// TestHandout has the lessons and the day; TestInBrowser looks whether it fits on a sheet.
func TestHandout(t *testing.T) {
	root := tree(t)
	put(t, root, "lessons/README.md", "# The lessons\n\n| | the question | minutes |\n| --- | --- | --- |\n| [1 A](01-a.md) | Why `run`? | 10 |\n\n| at | half a day |\n| --- | --- |\n| 9:00 | coffee |\n")
	s := load(t, root)
	page := get(t, s, "handout.html")
	require.Contains(t, page, `<td>Why <code>run</code>?</td><td>10</td><td><code>go build -o box ./stage01-a</code></td>`)
	require.Regexp(t, `(?s)<h2>The day</h2>.*coffee`, page)
	require.Contains(t, get(t, s, "index.html"), `<a href="handout.html">`)
	require.Contains(t, get(t, s, "index.html"), `<p class="question">Why <code>run</code>?</p>`)
}

// TestCallsOfWhatDoesNotBuild: one list that cannot be had leaves the other pages alone.
func TestCallsOfWhatDoesNotBuild(t *testing.T) {
	root := tree(t)
	s, err := Load(root, new(Builds).Calls, false)
	require.NoError(t, err)
	_, err = s.File(t.Context(), "stage01-a-calls.html")
	require.ErrorContains(t, err, "go build stage01-a")
	get(t, s, "stage01-a.html")
}

func TestWrite(t *testing.T) {
	s, dir := load(t, tree(t)), filepath.Join(t.TempDir(), "made", "here")
	require.NoError(t, s.Write(t.Context(), dir))
	var names []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	}))
	require.ElementsMatch(t, s.Paths(), names)
	text, err := os.ReadFile(filepath.Join(dir, "01-a.html"))
	require.NoError(t, err)
	require.Equal(t, get(t, s, "01-a.html"), string(text))
	require.ErrorContains(t, s.Write(t.Context(), filepath.Join(dir, "01-a.html")), "not a directory")
}

func TestBuildsRemembersAStage(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop() // no build can succeed any more
	dir := t.TempDir()
	put(t, dir, "main.go", "package main\n")
	state, err := fingerprint(dir)
	require.NoError(t, err)
	b := &Builds{known: map[string]built{dir: {state, []string{"remembered"}}}}
	list, err := b.Calls(ctx, stages.Stage{Number: 1, Topic: "a", Dir: dir})
	require.NoError(t, err)
	require.Equal(t, []string{"remembered"}, list)
	put(t, dir, "main.go", "package main // changed\n")
	_, err = b.Calls(ctx, stages.Stage{Number: 1, Topic: "a", Dir: dir})
	require.Error(t, err)
}

// A name in a table may be broken after its parts, and nothing else of the page changes.
func TestNamesInTablesHaveJoints(t *testing.T) {
	require.Equal(t, `<p>a_b</p><td><code>mount_<wbr>namespaces(7)</code>, 1.5, <a href="x_y/z.html">cpu/<wbr>cpu.<wbr>cfs_<wbr>quota_<wbr>us</a></td>`,
		withJoints(`<p>a_b</p><td><code>mount_namespaces(7)</code>, 1.5, <a href="x_y/z.html">cpu/cpu.cfs_quota_us</a></td>`))
}
