package pictures

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"stagebox/lessons/internal/stages"
)

// ErrMissing is what an error wraps when this host or this user cannot make a picture.
var ErrMissing = errors.New("cannot be drawn here")

// box is a stage's program in a directory of its own, in which its store is as well.
type box struct {
	ctx   context.Context
	stage stages.Stage
	dir   string
}

// newBox makes the directory. The caller removes it.
func newBox(ctx context.Context, s stages.Stage) (*box, error) {
	dir, err := os.MkdirTemp("", "stagebox-picture")
	if err != nil {
		return nil, err
	}
	return &box{ctx, s, dir}, nil
}

// build compiles the program, the first time that it is wanted.
func (b *box) build() error {
	binary := filepath.Join(b.dir, "bin", "box")
	if _, err := os.Stat(binary); err == nil {
		return nil
	}
	return b.stage.Build(b.ctx, binary)
}

// run runs a script of the shell, as a reader of the lesson would type it, and returns what
// was said, also on standard error. The flags are for namespaces, as clone(2) takes them.
func (b *box) run(flags uintptr, script string) (string, error) {
	if err := b.build(); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(b.ctx, "sh", "-ec", script)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(b.dir, "bin")+":"+os.Getenv("PATH"), "BOX_ROOT="+filepath.Join(b.dir, "store"), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w\n%s", b.stage.Name(), script, err, out)
	}
	return string(out), nil
}

// close removes everything. Containers that are left are box's to remove: for an ordinary
// user, what the kernel has made in their work directories is not so easily opened.
func (b *box) close() error {
	var err error
	if _, none := os.Stat(filepath.Join(b.dir, "store", "containers")); none == nil {
		b.ctx = context.WithoutCancel(b.ctx)
		_, err = b.run(0, "for c in $(box ps -aq); do box rm -f $c; done")
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}
