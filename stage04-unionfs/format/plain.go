package format

import (
	"bytes"
	"reflect"
	"strings"
)

// plain is a template of nothing but fields, such as "{{.ID}}\t{{.Names}}": what lists show without
// a format. text/template looks each field up by its name in every row, which for a long list takes
// as long as reading it.
type plain struct {
	texts  []string // before each field, and after the last
	names  []string
	fields [][]int // as reflect.Value.FieldByIndex takes them
	row    reflect.Type
}

// parsePlain returns nil for any other template, and for rows that are not structs of one type in
// which these fields are texts.
func parsePlain(text string, header Header, rows []any) *plain {
	if len(rows) == 0 {
		return nil
	}
	p := &plain{row: reflect.TypeOf(rows[0])}
	if p.row.Kind() != reflect.Struct {
		return nil
	}
	before, rest, more := strings.Cut(text, "{{.")
	for ; more; before, rest, more = strings.Cut(rest, "{{.") {
		var name string
		if name, rest, more = strings.Cut(rest, "}}"); !more {
			return nil
		}
		field, found := p.row.FieldByName(name)
		if _, titled := header[name]; !titled || !found || field.Type != reflect.TypeFor[string]() {
			return nil
		}
		p.texts, p.names, p.fields = append(p.texts, before), append(p.names, name), append(p.fields, field.Index)
	}
	p.texts = append(p.texts, before)
	for _, text := range p.texts {
		if strings.Contains(text, "{{") || strings.HasSuffix(text, "{") {
			return nil
		}
	}
	return p
}

// line appends the text of each field to a line.
func (p *plain) line(out *bytes.Buffer, field func(i int) string) {
	for i := range p.fields {
		out.WriteString(p.texts[i])
		out.WriteString(field(i))
	}
	out.WriteString(p.texts[len(p.fields)])
	out.WriteByte('\n')
}

// plainLines returns the rows, and before them the titles if it is a table; ok is false for what
// text/template has to write.
func plainLines(text string, header Header, rows []any, isTable bool) (lines []byte, ok bool) {
	p := parsePlain(text, header, rows)
	if p == nil {
		return nil, false
	}
	var out bytes.Buffer
	if isTable {
		p.line(&out, func(i int) string { return header[p.names[i]] })
	}
	for _, row := range rows {
		v := reflect.ValueOf(row)
		if v.Type() != p.row {
			return nil, false
		}
		p.line(&out, func(i int) string { return v.FieldByIndex(p.fields[i]).String() })
	}
	return out.Bytes(), true
}
