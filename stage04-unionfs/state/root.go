package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// RootFirst allows --root DIR before the command, too: the program starts again, with BOX_ROOT for
// it. It returns if there is nothing to do, and with an error. A box that is called runc has a --root
// of runc's, for other files.
func RootFirst() error {
	if len(os.Args) < 2 {
		return nil
	}
	flag, dir, joined := strings.Cut(os.Args[1], "=")
	if flag != "--root" || filepath.Base(os.Args[0]) == "runc" {
		return nil
	}
	rest := os.Args[2:]
	if !joined && len(rest) > 0 {
		dir, rest = rest[0], rest[1:]
	}
	if dir == "" {
		return errors.New("--root: a value is missing")
	}
	if err := os.Setenv("BOX_ROOT", dir); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", append(os.Args[:1:1], rest...), os.Environ())
}
