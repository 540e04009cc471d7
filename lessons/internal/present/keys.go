package present

import "io"

// key is what the presenter wants.
type key int

const (
	next key = iota
	back
	repeat
	quit
	goTo
	digit // and the nine that follow it
)

// keyOf maps what a terminal sends, in one piece, for a key; arrows are ESC [ C and the like.
var keyOf = map[string]key{
	" ": next, "\r": next, "\n": next, "n": next, "\x1b[C": next, "\x1b[6~": next, "\x1bOC": next,
	"b": back, "p": back, "\x7f": back, "\x1b[D": back, "\x1b[5~": back, "\x1bOD": back,
	"r": repeat, "g": goTo, "G": goTo,
	"q": quit, "\x03": quit, "\x04": quit,
}

// listen reads keys until there are no more, and then quits. Unknown keys are left out.
func listen(from io.Reader) <-chan key {
	keys := make(chan key, 16)
	go func() {
		defer close(keys)
		buf := make([]byte, 64)
		for {
			n, err := from.Read(buf)
			if k, ok := keyOf[string(buf[:n])]; ok {
				keys <- k
			} else if n == 1 && buf[0] >= '0' && buf[0] <= '9' {
				keys <- digit + key(buf[0]-'0')
			}
			if err != nil {
				return
			}
		}
	}()
	return keys
}
