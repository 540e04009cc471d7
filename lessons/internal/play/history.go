package play

import "bytes"

// history is the end of what a terminal has shown, from which its screen can be drawn again.
type history struct{ text []byte }

// historySize is what is kept: some thousand lines.
const historySize = 256 << 10

// add keeps what was shown. The dropped part ends with a line; programs that draw on the whole
// screen draw it again when its size changes.
func (h *history) add(data []byte) {
	h.text = append(h.text, data...)
	if len(h.text) <= 2*historySize {
		return
	}
	kept := h.text[len(h.text)-historySize:]
	if at := bytes.IndexByte(kept, '\n'); at >= 0 {
		kept = kept[at+1:]
	}
	h.text = append(modes(h.text[:len(h.text)-len(kept)]), kept...)
}

// modes switches to the other screen when what is dropped has left the terminal there.
func modes(dropped []byte) []byte {
	on, off := []byte("\x1b[?1049h"), []byte("\x1b[?1049l")
	if bytes.LastIndex(dropped, on) > bytes.LastIndex(dropped, off) {
		return bytes.Clone(on)
	}
	return nil
}
