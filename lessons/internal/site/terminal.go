package site

import (
	"html"
	"regexp"
	"strings"

	"stagebox/lessons/internal/transcript"
)

var (
	typed   = regexp.MustCompile(`^((?:sh-[0-9.]+)?[#$]) (.*)$`) // a prompt and what is typed at it
	key     = regexp.MustCompile(`^\^[CZ]$|\[Enter\]\s*$`)
	side    = regexp.MustCompile(`^(host|box )│`)
	reason  = regexp.MustCompile(`^(.*?)(\s{2,}# .*)$`)
	special = regexp.MustCompile(`‹[a-z]+›|…`)
)

// session shows a console block: who types is said above it, what is typed stands out, and
// what differs from machine to machine stands back. Its info string is transcript's; id is an
// attribute or empty.
func session(id, info, text string) (string, error) {
	blocks, err := transcript.Parse("```" + info + "\n```")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(`<figure class="session"` + id + ` data-terminal="` + html.EscapeString(blocks[0].Terminal) + `"`)
	if blocks[0].As != "" {
		b.WriteString(` data-as="` + blocks[0].As + `"`)
	}
	b.WriteByte('>')
	if who := about(blocks[0]); who != "" {
		b.WriteString(`<figcaption>` + html.EscapeString(who) + `</figcaption>`)
	}
	b.WriteString(`<pre class="wide"><code>`)
	for line := range strings.Lines(text) {
		b.WriteString(terminalLine(strings.TrimSuffix(line, "\n")) + "\n")
	}
	b.WriteString(`</code></pre></figure>`)
	return b.String(), nil
}

// about says who types in which terminal.
func about(block transcript.Block) string {
	var words []string
	switch block.As {
	case "root":
		words = append(words, "as root")
	case "user":
		words = append(words, "as an ordinary user")
	}
	if block.Terminal == "2" {
		words = append(words, "in a second terminal")
	} else if block.Terminal != "1" {
		words = append(words, "in terminal "+block.Terminal)
	}
	if block.Kernel != "" {
		words = append(words, "from Linux "+block.Kernel+" on")
	}
	if block.NoRun != "" {
		words = append(words, "not run by the tests: "+block.NoRun)
	}
	return strings.Join(words, ", ")
}

func terminalLine(line string) string {
	if m := typed.FindStringSubmatch(line); m != nil {
		return `<span class="ps">` + html.EscapeString(m[1]) + `</span> <span class="in">` + marks(m[2]) + `</span>`
	}
	if at := key.FindStringIndex(line); at != nil {
		return marks(line[:at[0]]) + `<kbd>` + html.EscapeString(strings.TrimSpace(line[at[0]:])) + `</kbd>`
	}
	if side.MatchString(line) {
		return call(line)
	}
	return marks(line)
}

// call shows a line of the list of system calls: the side, the call, the reason.
func call(line string) string {
	who, why := side.FindString(line), ""
	line = line[len(who):]
	if m := reason.FindStringSubmatch(line); m != nil {
		line, why = m[1], `<span class="why">`+marks(m[2])+`</span>`
	}
	return `<span class="` + strings.TrimSpace(strings.TrimSuffix(who, "│")) + `">` + who + `</span>` + marks(line) + why
}

// marks escapes a text, and marks what stands for something else.
func marks(text string) string {
	return special.ReplaceAllStringFunc(html.EscapeString(text), func(m string) string {
		if m == "…" {
			return `<span class="any">…</span>`
		}
		return `<var>` + m + `</var>`
	})
}
