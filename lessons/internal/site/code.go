package site

import (
	"html"
	"strings"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"
)

// colour returns a text's lines as HTML, with what the language of that name makes of
// them in spans of few classes; the style sheet gives them their colours. In a language
// that is not known, all is plain.
func colour(language, text string) []string {
	if language == "go" {
		return colourGo(text)
	}
	lexer := lexers.Get(language)
	if lexer == nil || language == "" {
		return plain(text)
	}
	tokens, err := chroma.Coalesce(lexer).Tokenise(nil, text)
	if err != nil {
		return plain(text)
	}
	var lines []string
	for _, line := range chroma.SplitTokensIntoLines(tokens.Tokens()) {
		var b strings.Builder
		for _, token := range line {
			span(&b, class(token.Type), strings.TrimSuffix(token.Value, "\n"))
		}
		lines = append(lines, b.String())
	}
	return lines
}

func plain(text string) []string {
	return strings.Split(html.EscapeString(strings.TrimSuffix(text, "\n")), "\n")
}

// span writes text in a span of a class, if it has one.
func span(b *strings.Builder, class, text string) {
	if class == "" || text == "" {
		b.WriteString(html.EscapeString(text))
		return
	}
	b.WriteString(`<span class="` + class + `">` + html.EscapeString(text) + `</span>`)
}

// class is the style sheet's name for what a token is, "" for what is plain.
func class(t chroma.TokenType) string {
	switch {
	case t == chroma.KeywordType, t == chroma.NameClass:
		return "t"
	case t.InCategory(chroma.Keyword):
		return "k"
	case t.InCategory(chroma.Comment):
		return "c"
	case t.InSubCategory(chroma.LiteralString):
		return "s"
	case t.InSubCategory(chroma.LiteralNumber), t == chroma.KeywordConstant:
		return "m"
	case t.InSubCategory(chroma.NameFunction), t == chroma.NameBuiltin:
		return "f"
	}
	return ""
}
