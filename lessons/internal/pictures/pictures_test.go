package pictures

import (
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/stages"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// repository returns the root of the repository and the pictures that belong to it.
func repository(t *testing.T) (string, []Picture) {
	root, err := stages.Root()
	require.NoError(t, err)
	all, err := stages.All(root)
	require.NoError(t, err)
	return root, All(all)
}

// What is committed is what comes out here and now.
func TestPicturesAreTrue(t *testing.T) {
	boxtest.Slow(t, "builds all stages and runs containers")
	root, all := repository(t)
	for _, p := range all {
		t.Run(filepath.Base(p.File()), func(t *testing.T) {
			t.Parallel()
			drawn, err := p.Draw(t.Context())
			if errors.Is(err, ErrMissing) {
				t.Skip(err)
			}
			require.NoError(t, err)
			kept, err := os.ReadFile(filepath.Join(root, p.File()))
			require.NoError(t, err)
			require.Equal(t, string(kept), drawn, "draw it again: go run ./lessons pictures")
		})
	}
}

// Each is well-formed, says what it shows to who cannot see it, and stands in its lesson.
func TestPicturesAreShownAndTold(t *testing.T) {
	root, all := repository(t)
	for _, p := range all {
		svg, err := os.ReadFile(filepath.Join(root, p.File()))
		require.NoError(t, err)
		decoder := xml.NewDecoder(strings.NewReader(string(svg)))
		for err = nil; err == nil; {
			_, err = decoder.Token()
		}
		require.ErrorIs(t, err, io.EOF, p.File())
		require.Regexp(t, `^<svg [^>]* role="img">\n<title>.+</title>\n<desc>.+</desc>\n`, string(svg))
		lesson, err := os.ReadFile(filepath.Join(root, p.stage.Lesson()))
		require.NoError(t, err)
		shown := regexp.MustCompile(`(?m)^!\[.{40,}\]\(` + regexp.QuoteMeta(strings.TrimPrefix(p.File(), "lessons/")) + `\)$`)
		require.Len(t, shown.FindAll(lesson, -1), 1, p.stage.Lesson())
	}
}

// measure tells, at a phone's width, which texts leave their picture, lie over another one,
// or are smaller than 11 pixels, and which have too little contrast with what is behind them.
const measure = `<script>
const said = [], inside = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;
const rgb = c => c.match(/[\d.]+/g).map(Number);
const light = c => { const [r, g, b] = rgb(c).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
for (const svg of document.querySelectorAll("svg")) {
  const page = svg.getBoundingClientRect(), texts = [...svg.querySelectorAll("text")], rects = [...svg.querySelectorAll("rect")];
  const scale = page.width / svg.viewBox.baseVal.width, tell = (what, t) => said.push(svg.querySelector("title").textContent + ": " + what + ": " + t.textContent);
  if (page.width > 360) tell("wider than a phone", svg.querySelector("title"));
  texts.forEach((t, i) => {
    const box = t.getBoundingClientRect(), style = getComputedStyle(t);
    if (!inside(box, page)) tell("leaves the picture", t);
    if (parseFloat(style.fontSize) * scale < 11) tell("too small", t);
    for (const other of texts.slice(i + 1)) {
      const o = other.getBoundingClientRect();
      if (box.left < o.right - 1 && o.left < box.right - 1 && box.top < o.bottom - 3 && o.top < box.bottom - 3) tell("lies over " + other.textContent, t);
    }
    for (const r of rects) {
      const o = r.getBoundingClientRect(), middle = (box.top + box.bottom) / 2;
      if (o.top < middle && middle < o.bottom && box.left < o.right && o.left < box.right && (box.left < o.left || box.right > o.right)) tell("crosses a frame", t);
    }
    const behind = rects.filter(r => getComputedStyle(r).fill != "none" && inside(box, r.getBoundingClientRect())).pop();
    if (!behind) return; // it has been told already
    const [a, b] = [light(style.fill), light(getComputedStyle(behind).fill)].sort((a, b) => b - a);
    if ((a + 0.05) / (b + 0.05) < 4.5) tell("contrast " + ((a + 0.05) / (b + 0.05)).toFixed(1), t);
  });
}
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
parent.document.getElementById(dark ? "dark" : "light").textContent = document.querySelectorAll("svg").length + " pictures\n" + said.join("\n");
</script>`

// spoilt is a picture in which the measure must find something.
const spoilt = `<svg viewBox="0 0 480 40"><title>spoilt</title><style></style><rect width="480" height="40" class="card"/><text x="470" y="20">cut off</text></svg>`

// A browser says that everything can be read, also on a phone, on a light and a dark screen.
func TestPicturesAreLegible(t *testing.T) {
	t.Parallel()
	root, all := repository(t)
	var body strings.Builder
	for _, p := range all {
		svg, err := os.ReadFile(filepath.Join(root, p.File()))
		require.NoError(t, err)
		body.WriteString(string(svg))
	}
	found := "spoilt: leaves the picture: cut off\nspoilt: crosses a frame: cut off"
	want := fmt.Sprintf("%d pictures\n%s", len(all)+1, found)
	light, dark := browse(t, body.String()+spoilt)
	require.Equal(t, want, light)
	require.Equal(t, want, dark)
}

// browse shows the pictures to a browser, 360 pixels wide, and returns what it has measured
// on a light and on a dark screen: a frame's colour scheme is the screen's for what is in it.
func browse(t *testing.T, body string) (light, dark string) {
	boxtest.Slow(t, "starts a browser")
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is missing: it measures whether the pictures can be read")
	}
	inner := html.EscapeString(`<!doctype html><style>svg{width:360px;height:auto;display:block}</style><body>` + body + measure)
	frame := `<iframe style="color-scheme:%s;width:400px;height:5000px" srcdoc="%s"></iframe><pre id="%[1]s"></pre>`
	dir, err := os.MkdirTemp("", "stagebox-browser")
	require.NoError(t, err)
	t.Cleanup(func() { // helpers of the browser may outlive it for a moment
		require.Eventually(t, func() bool { return os.RemoveAll(dir) == nil }, time.Minute, 50*time.Millisecond)
	})
	page := filepath.Join(dir, "page.html")
	text := `<!doctype html><meta charset="utf-8"><body>` + fmt.Sprintf(frame, "light", inner) + fmt.Sprintf(frame, "dark", inner)
	require.NoError(t, os.WriteFile(page, []byte(text), 0o644))
	cmd := exec.CommandContext(t.Context(), browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", "file://"+page)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	out, err := cmd.Output()
	require.NoError(t, err)
	said := regexp.MustCompile(`(?s)<pre id="(?:light|dark)">(.*?)</pre>`).FindAllStringSubmatch(string(out), -1)
	require.Len(t, said, 2, "what the browser has measured")
	return html.UnescapeString(said[0][1]), html.UnescapeString(said[1][1])
}
