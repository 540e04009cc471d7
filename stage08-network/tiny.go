// A root file system is only files. box rootfs makes a small one of the host's own shell
// and tools: each program, the loader that its ELF header names (elf(5)), and the libraries
// that this loader lists (ld.so(8)).
package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tinyTools are what a shell is little without. Those that the host lacks are left out.
var tinyTools = strings.Fields(`sh awk bash cat chmod chown chroot cmp cp cut date dd df du echo env false find grep head
	hostname id ip kill less ln ls mkdir mknod mktemp mount mv nproc printf ps pwd readlink rm rmdir sed seq sha256sum sleep
	sort stat stty tail tar tee test touch tr true tty umount uname uniq vi wc which whoami xargs`)

// tinyTerminals are the descriptions of terminals, for vi and less (terminfo(5)).
var tinyTerminals = []string{"x/xterm", "x/xterm-256color", "l/linux", "s/screen", "t/tmux"}

var tinyFiles = map[string]string{
	"etc/passwd":      "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
	"etc/group":       "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
	"etc/os-release":  "ID=tiny\nNAME=tiny\nPRETTY_NAME=\"tiny, made of the host's own programs\"\n",
	"etc/hostname":    "",
	"etc/hosts":       "",
	"etc/resolv.conf": "",
	"root/.vimrc":     "\" vim looks for no other settings now\n",
}

// tinyDirs are directories with their modes.
var tinyDirs = map[string]os.FileMode{"bin": 0o755, "dev": 0o755, "etc": 0o755, "proc": 0o555, "root": 0o700, "run": 0o755,
	"sys": 0o555, "tmp": 0o777 | os.ModeSticky, "usr": 0o755, "var": 0o755, "var/tmp": 0o777 | os.ModeSticky}

type rootfsCmd struct {
	Dir string `arg:"" help:"The directory to make. It must not exist, or be empty."`
}

// Run is `box rootfs`.
func (c *rootfsCmd) Run() error {
	programs, files, size, err := makeTiny(c.Dir)
	if err != nil {
		return fmt.Errorf("rootfs %s: %w", c.Dir, err)
	}
	_, err = fmt.Printf("%s: %d programs of this host and %d other files, %.1f MiB; try: box run --rootfs %s -it sh\n",
		c.Dir, programs, files, float64(size)/(1<<20), c.Dir)
	return err
}

// makeTiny makes the directory under another name, and gives it its own when it is whole.
func makeTiny(dir string) (programs, files int, size int64, err error) {
	if dir == "" {
		return 0, 0, 0, errors.New("give the name of a new directory")
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return 0, 0, 0, errors.New("the directory holds something already; give the name of a new one")
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, 0, 0, err
	}
	dir = filepath.Clean(dir)
	build, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-*")
	if err != nil {
		return 0, 0, 0, err
	}
	defer os.RemoveAll(build) // nothing is there any more when all went well
	t := &tiny{dir: build, copied: map[string]bool{}}
	if err := t.fill(); err != nil {
		return 0, 0, 0, err
	}
	if err := os.Rename(build, dir); err != nil {
		return 0, 0, 0, err
	}
	return t.programs, len(t.copied) - t.programs + len(tinyFiles), t.size, nil
}

// tiny is such a root while it is made.
type tiny struct {
	dir      string
	copied   map[string]bool // by their path inside
	programs int
	size     int64
}

func (t *tiny) fill() error {
	for name, mode := range tinyDirs {
		if err := os.MkdirAll(t.path(name), 0o755); err != nil {
			return err
		}
		if err := os.Chmod(t.path(name), mode); err != nil {
			return err
		}
	}
	for name, content := range tinyFiles {
		if err := os.WriteFile(t.path(name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	for _, name := range tinyTools {
		if err := t.tool(name); err != nil {
			return err
		}
	}
	for _, name := range tinyTerminals {
		for _, place := range []string{"/usr/share/terminfo/", "/lib/terminfo/", "/etc/terminfo/"} {
			if _, err := os.Stat(place + name); err == nil {
				if err := t.copy(place+name, place+name); err != nil {
					return err
				}
			}
		}
	}
	if err := os.Chmod(t.dir, 0o755); err != nil {
		return err
	}
	return t.setTimes()
}

func (t *tiny) path(name string) string { return filepath.Join(t.dir, name) }

// tool copies a program with all that it needs to run. Where the name is a link, to
// busybox perhaps, the program gets its own name, and the link another.
func (t *tiny) tool(name string) error {
	found, err := exec.LookPath(name)
	if err == nil {
		found, err = filepath.EvalSymlinks(found)
	}
	switch {
	case err != nil && name == "sh":
		return fmt.Errorf("this host has no shell in PATH: %w", err)
	case err != nil:
		return nil
	}
	own := filepath.Base(found)
	if !t.copied["/bin/"+own] {
		if err := t.copy(found, "/bin/"+own); err != nil {
			return err
		}
		t.programs++
		if err := t.libraries(found); err != nil {
			return fmt.Errorf("%s: %w", found, err)
		}
	}
	if own == name {
		return nil
	}
	return os.Symlink(own, t.path("bin/"+name))
}

// libraries copies what a program's loader lists: itself, and each library with the place
// where it was found. A static program, and a script, has no loader.
func (t *tiny) libraries(program string) error {
	loader, err := interpreter(program)
	if err != nil || loader == "" {
		return err
	}
	list, err := exec.Command(loader, "--list", program).Output()
	if err != nil {
		return fmt.Errorf("%s --list: %w", loader, err)
	}
	for _, library := range append(parseList(string(list)), loader) {
		if err := t.copy(library, library); err != nil {
			return err
		}
	}
	return nil
}

// parseList reads lines such as "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f12…)"
// and returns the paths.
func parseList(list string) []string {
	var paths []string
	for field := range strings.FieldsSeq(list) {
		if strings.HasPrefix(field, "/") {
			paths = append(paths, field)
		}
	}
	return paths
}

// interpreter returns the loader that an ELF file asks for, or "".
func interpreter(path string) (string, error) {
	file, err := elf.Open(path)
	var format *elf.FormatError
	if errors.As(err, &format) {
		return "", nil // a script
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			name, err := io.ReadAll(program.Open())
			return strings.TrimRight(string(name), "\x00"), err
		}
	}
	return "", nil
}

// copy copies a file of the host's, once.
func (t *tiny) copy(from, to string) (err error) {
	if t.copied[to] {
		return nil
	}
	t.copied[to] = true
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(t.path(to)), 0o755); err != nil {
		return err
	}
	target, err := os.OpenFile(t.path(to), os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()|0o400)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	n, err := io.Copy(target, source)
	t.size += n
	return err
}

// setTimes gives every file the same time, so that two such roots are the same in all.
func (t *tiny) setTimes() error {
	var paths []string
	err := filepath.WalkDir(t.dir, func(path string, _ os.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	slices.Reverse(paths)
	beginning := unix.NsecToTimespec(time.Unix(0, 0).UnixNano())
	for _, path := range paths {
		if err == nil {
			err = unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{beginning, beginning}, unix.AT_SYMLINK_NOFOLLOW)
		}
	}
	return err
}
