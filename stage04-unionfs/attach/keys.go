package attach

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Keys are what is typed to detach, as bytes.
type Keys []byte

// ErrDetached means that the keys were typed. The words are Docker's.
var ErrDetached = errors.New("read escape sequence")

// ParseKeys reads keys as Docker writes them: single characters, or ctrl- with a letter or one of
// @ [ \ ] ^ _, separated by commas.
func ParseKeys(text string) (keys Keys, err error) {
	for _, key := range strings.Split(text, ",") {
		name, isCtrl := strings.CutPrefix(key, "ctrl-")
		switch {
		case len(key) == 1:
			keys = append(keys, key[0])
		case isCtrl && len(name) == 1 && strings.Contains("abcdefghijklmnopqrstuvwxyz@[\\]^_", name):
			keys = append(keys, name[0]&0x1f)
		default:
			return nil, fmt.Errorf("%q: unknown key %q: a key is one character, or ctrl- and "+
				`a letter or one of @[\]^_`, text, key)
		}
	}
	return keys, nil
}

// Copy copies what is typed, until it ends or the keys are typed: then it returns ErrDetached.
// Some of the keys are held back until it is clear that the others do not follow. Without keys
// there is nothing to look for.
func (k Keys) Copy(to io.Writer, from io.Reader) error {
	var held []byte
	typed := make([]byte, 32<<10)
	for {
		n, err := from.Read(typed)
		var out []byte
		for _, key := range typed[:n] {
			held = append(held, key)
			for !bytes.HasPrefix(k, held) {
				out, held = append(out, held[0]), held[1:]
			}
			if len(k) > 0 && len(held) == len(k) {
				to.Write(out)
				return ErrDetached
			}
		}
		if err == io.EOF {
			out = append(out, held...)
		}
		if _, errWrite := to.Write(out); errWrite != nil {
			return errWrite
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
