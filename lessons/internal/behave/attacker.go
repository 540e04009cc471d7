package behave

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"stagebox/lessons/internal/attack"
	"stagebox/lessons/internal/stages"
)

// A copy of this program under another name is the attacker: it is put into a root.
func init() {
	if filepath.Base(os.Args[0]) == attack.Name && len(os.Args) > 1 {
		os.Exit(attack.Main(os.Args[1:]))
	}
}

// sharedRoot is made by the first check that asks for it; the others wait.
type sharedRoot struct {
	once sync.Once
	dir  string
	err  error
}

// root is a directory with the programs of this host and the attacker, which the binary has
// made, for all checks of this person. They leave its files as they are, but for /tmp.
func (b *Box) root() (string, error) {
	shared := &b.place.roots[b.who]
	shared.once.Do(func() { shared.dir, shared.err = b.makeRoot() })
	return shared.dir, shared.err
}

func (b *Box) makeRoot() (string, error) {
	parent := filepath.Join(b.place.dir, "roots-"+itoa(b.uid))
	dir := filepath.Join(parent, "root")
	if err := errors.Join(os.MkdirAll(parent, 0o755), os.Chown(parent, b.uid, b.gid)); err != nil {
		return "", err
	}
	real := *b
	real.path = b.place.maker
	if e := real.Run("rootfs", dir); e.Err != nil || e.Status != 0 {
		return "", fmt.Errorf("box rootfs: %s", e)
	}
	return dir, putAttacker(dir)
}

// ownRoot is a copy of that root for this check alone, which may change it.
func (b *Box) ownRoot() (string, error) {
	root, err := b.root()
	if err != nil {
		return "", err
	}
	own := filepath.Join(b.Dir, "root")
	if e := b.prepare("cp", "-a", root, own).toItsEnd(); e.Err != nil || e.Status != 0 {
		return "", fmt.Errorf("cp: %s", e)
	}
	return own, nil
}

// putAttacker copies this program into a root, or when it needs libraries, the command that
// holds nothing but the attacks.
func putAttacker(root string) error {
	target := filepath.Join(root, attack.Name)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if isStatic(self) {
		program, err := os.ReadFile(self)
		if err != nil {
			return err
		}
		return writeProgram(target, program)
	}
	repository, err := stages.Root()
	if err != nil {
		return err
	}
	return stages.Compile(context.Background(), repository, "./lessons/internal/behave/attacker", target)
}

// isStatic reports whether a program needs no loader.
func isStatic(path string) bool {
	file, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}

// inRoot runs a command in a container with that root.
func (b *Box) inRoot(flags []string, command ...string) Ended {
	root, err := b.root()
	if err != nil {
		return Ended{Err: err}
	}
	args := append([]string{"run", "--rootfs", root}, flags...)
	return b.Run(append(args, command...)...)
}

// script is inRoot for a shell script.
func (b *Box) script(text string, flags ...string) Ended {
	return b.inRoot(flags, "sh", "-c", text)
}

// attack runs an attack, and expects it to be refused.
func (b *Box) attack(flags []string, args ...string) Seen {
	return keptOut(b.inRoot(flags, append([]string{"/" + attack.Name}, args...)...))
}

// keptOut expects that an attack was tried, and refused.
func keptOut(e Ended) Seen {
	return ended(e.Status == 0 && strings.HasPrefix(e.Line(), "refused"), "exit 0, printed \"refused…\"", e)
}
