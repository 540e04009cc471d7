package layer

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os/exec"
	"strings"
)

// Inside runs this program once more with the words after "inside", by which it enters a user
// namespace with all of an ordinary user's ids, and does something to a layer there. Its output goes
// to out, and the error is the one that it prints.
func Inside(out io.Writer, words ...string) error {
	var stderr bytes.Buffer
	box := exec.Command("/proc/self/exe", append([]string{"inside"}, words...)...)
	box.Stdout, box.Stderr = out, &stderr
	err := box.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		text := strings.TrimPrefix(strings.TrimSpace(stderr.String()), "box: ")
		err = errors.New(cmp.Or(text, err.Error()))
	}
	return err
}
