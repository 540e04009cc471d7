package behave

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"stagebox/lessons/internal/attack"
)

// A copy of this program under another name is the attacker: it is put into a root.
func init() {
	if filepath.Base(os.Args[0]) == attack.Name && len(os.Args) > 1 {
		os.Exit(attack.Main(os.Args[1:]))
	}
}

// root is a directory with the programs of this host and the attacker, which the binary has
// made, for all checks of this person.
func (b *Box) root() (string, error) {
	w := b.place
	if dir := w.roots[b.name]; dir != "" {
		return dir, nil
	}
	parent := filepath.Join(w.dir, "roots-"+itoa(b.uid))
	dir := filepath.Join(parent, "root")
	if err := errors.Join(os.MkdirAll(parent, 0o755), os.Chown(parent, b.uid, b.gid)); err != nil {
		return "", err
	}
	real := *b
	real.path = w.maker
	if e := real.Run("rootfs", dir); e.Err != nil || e.Status != 0 {
		return "", fmt.Errorf("box rootfs: %s", e)
	}
	if err := putAttacker(dir); err != nil {
		return "", err
	}
	if w.roots == nil {
		w.roots = map[string]string{}
	}
	w.roots[b.name] = dir
	return dir, nil
}

// putAttacker copies this program into a root, or when it needs libraries, builds one that
// needs none.
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
	cmd := exec.Command("go", "build", "-o", target, "stagebox/lessons")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the attacker: go build stagebox/lessons: %w: %s", err, out)
	}
	return os.Chmod(target, 0o755)
}

// isStatic tells whether a program needs no loader.
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

// copyFile is for files that a check changes.
func copyFile(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
