// What is compressed with xz. Registries have no layers of this kind, but archives of files may be.

package layer

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// xzReader is the output of the program xz.
type xzReader struct {
	io.ReadCloser
	program *exec.Cmd
	stderr  bytes.Buffer
	end     error // how the program has ended
}

// openXZ has the program xz decompress a stream, with no more memory than its highest level needs.
func openXZ(from io.Reader) (io.ReadCloser, error) {
	x := &xzReader{program: exec.Command("xz", "-dcq", "--memlimit-decompress=128MiB")}
	x.program.Stdin, x.program.Stderr = from, &x.stderr
	x.program.WaitDelay = time.Second // for the input, which may come from a pipe
	out, err := x.program.StdoutPipe()
	if err == nil {
		err = x.program.Start()
	}
	if err != nil {
		return nil, fmt.Errorf(
			"layers compressed with xz need the program xz: %w", err)
	}
	x.ReadCloser = out
	return x, nil
}

// Read returns the program's error, if it has not read its input to the end.
func (x *xzReader) Read(p []byte) (int, error) {
	if x.end != nil {
		return 0, x.end
	}
	n, err := x.ReadCloser.Read(p)
	if err == io.EOF {
		x.end = io.EOF
		if err := x.program.Wait(); err != nil {
			x.end = fmt.Errorf("xz: %w: %s", err, strings.TrimSpace(x.stderr.String()))
		}
		err = x.end
	}
	return n, err
}

// Close ends the program, which may not have written everything.
func (x *xzReader) Close() error {
	if x.end != nil {
		return nil
	}
	x.end = io.ErrClosedPipe
	err := x.ReadCloser.Close()
	x.program.Process.Kill() // it may have ended already
	x.program.Wait()         // how does not matter
	return err
}
