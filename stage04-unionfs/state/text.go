package state

import (
	"bytes"

	"stagebox/stage01-namespaces/rawfile"
)

// Text is what a process has written to a file that others write too. Finding out that it is still
// there takes less than reading a record.
type Text struct{ text []byte }

// WriteJSON is the function WriteJSON, and remembers what was written for IsStill.
func (t *Text) WriteJSON(path string, value any, d Durability) (err error) {
	t.text, err = writeJSON(path, value, d)
	return err
}

// IsStill reports whether the file holds what was written last.
func (t *Text) IsStill(path string) bool {
	text, err := rawfile.Read(path)
	return err == nil && t.text != nil && bytes.Equal(text, t.text)
}
