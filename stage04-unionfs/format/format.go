// Package format prints objects and lists by a template of text/template, as Docker's --format
// does. Templates have Docker's functions json, join, split, title, upper, lower, pad and
// truncate. It knows nothing of containers. No lesson reads it.
package format

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"
	"text/tabwriter"
	"text/template"
	"unicode"

	"stagebox/stage04-unionfs/batch"
)

// Header holds the titles of a table's columns, by the names of the fields.
type Header map[string]string

// Label is the title of a column that shows a label: the last part of its name.
func (h Header) Label(name string) string {
	parts := strings.Split(name, ".")
	return strings.NewReplacer("-", " ", "_", " ").Replace(parts[len(parts)-1])
}

// Table is a list of objects: its titles, and the template of a row where none is given.
type Table struct {
	Header Header
	Row    string
}

// Write writes the rows in one write: each through a template of its own line, as JSON if the
// format is json, or as a table if it is "", table, or begins with table and a template.
func (t Table) Write(w io.Writer, format string, rows []any) (err error) {
	text, isTable := strings.CutPrefix(format, "table")
	if text = strings.Trim(text, " "); text == "" {
		text, isTable = t.Row, true
	} else if text == "json" && !isTable {
		text = "{{json .}}"
	}
	text = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(text)
	lines, ok := plainLines(text, t.Header, rows, isTable)
	if !ok {
		if lines, err = t.execute(text, rows, isTable); err != nil {
			return about(format, err)
		}
	}
	if isTable {
		return align(w, lines)
	}
	_, err = w.Write(lines)
	return err
}

// execute returns the rows, and before them the titles if it is a table.
func (t Table) execute(text string, rows []any, isTable bool) ([]byte, error) {
	row, err := parse(text, functions)
	if err != nil {
		return nil, err
	}
	texts, errs := make([]bytes.Buffer, len(rows)), make([]error, len(rows))
	batch.Spread(len(rows), func(i int) { errs[i] = row.Execute(&texts[i], rows[i]) })
	var lines, out bytes.Buffer
	for i, text := range texts {
		if errs[i] != nil {
			return nil, errs[i]
		}
		lines.Write(append(text.Bytes(), '\n'))
	}
	if isTable {
		if err := row.Funcs(titles).Execute(&out, t.Header); err != nil {
			return nil, err
		}
		out.WriteByte('\n')
	}
	out.Write(lines.Bytes())
	return out.Bytes(), nil
}

// align puts what tabs separate into columns.
func align(w io.Writer, text []byte) error {
	var out bytes.Buffer
	out.Grow(len(text) + len(text)/2)
	columns := tabwriter.NewWriter(&out, 0, 0, 3, ' ', 0)
	columns.Write(text) // a bytes.Buffer takes everything
	columns.Flush()
	_, err := out.WriteTo(w)
	return err
}

// Objects writes objects as one JSON array: indented, or on one line if the format is json. With
// any other format each goes through that template, and gets a newline. A template may name the
// fields of a struct, or those of its JSON, as those of docker inspect may.
func Objects[T any](w io.Writer, objects []T, format string) error {
	if format == "" || format == "json" {
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		if format == "" {
			out.SetIndent("", "    ")
		}
		return out.Encode(objects)
	}
	t, err := parse(format, functions)
	if err != nil {
		return about(format, err)
	}
	for _, object := range objects {
		line, err := execute(t, object)
		if err != nil {
			return about(format, err)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// Named prints the objects that find finds for names as Objects does, also if it does not find all.
func Named(w io.Writer, names []string, format string, find func(name string) (any, error)) error {
	list := []any{}
	missing := batch.Each(names, func(name string) error {
		object, err := find(name)
		if err == nil {
			list = append(list, object)
		}
		return err
	})
	return cmp.Or(Objects(w, list, format), missing)
}

// execute tries the object itself, and then its JSON.
func execute(t *template.Template, object any) ([]byte, error) {
	var line bytes.Buffer
	if t.Execute(&line, object) == nil {
		return line.Bytes(), nil
	}
	data, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var fields any
	numbers := json.NewDecoder(bytes.NewReader(data))
	numbers.UseNumber()
	if err := numbers.Decode(&fields); err != nil {
		return nil, err
	}
	line.Reset()
	err = t.Execute(&line, fields)
	return line.Bytes(), err
}

func parse(text string, f template.FuncMap) (*template.Template, error) {
	return template.New("").Funcs(f).Option("missingkey=error").Parse(text)
}

// about leaves out how text/template names a template without a name.
func about(format string, err error) error {
	text := strings.TrimPrefix(err.Error(), "template: :")
	return fmt.Errorf("--format %s: %s", format, strings.Replace(text, `executing "" at `, "", 1))
}

// functions are those of Docker's templates.
var functions = template.FuncMap{
	"json": toJSON, "join": join, "split": strings.Split,
	"title": title,
	"lower": strings.ToLower, "upper": strings.ToUpper, "pad": pad, "truncate": truncate,
}

// titles replace the functions in the line of titles, which no function changes.
var titles = func() template.FuncMap {
	f := maps.Clone(functions)
	for _, name := range []string{"json", "title", "lower", "upper"} {
		f[name] = func(title string) string { return title }
	}
	for _, name := range []string{"join", "split", "truncate"} {
		f[name] = func(title string, _ any) string { return title }
	}
	return f
}()

func toJSON(value any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return strings.TrimSpace(out.String()), err
}

// join takes a list of anything.
func join(list any, separator string) (string, error) {
	v := reflect.ValueOf(list)
	if !v.IsValid() {
		return "", nil
	}
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return "", fmt.Errorf("not a list: %T", list)
	}
	var words []string
	for i := range v.Len() {
		words = append(words, fmt.Sprint(v.Index(i).Interface()))
	}
	return strings.Join(words, separator), nil
}

// pad adds spaces on both sides of a text that is not empty.
func pad(text string, before, after int) string {
	if text == "" {
		return ""
	}
	return strings.Repeat(" ", max(before, 0)) + text + strings.Repeat(" ", max(after, 0))
}

// truncate is the beginning of a text, of that many characters.
func truncate(text string, length int) string {
	if runes := []rune(text); length >= 0 && len(runes) > length {
		return string(runes[:length])
	}
	return text
}

// title is a text with the first letter of each word in upper case.
func title(text string) string {
	begins := true
	return strings.Map(func(r rune) rune {
		first := begins
		begins = !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_'
		if first {
			return unicode.ToTitle(r)
		}
		return r
	}, text)
}
