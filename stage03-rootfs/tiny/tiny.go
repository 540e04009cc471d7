// Package tiny makes a small root file system from the host's own shell and tools, without
// a network or a package manager. A root file system is only files: for each program there
// are the program itself, the loader that its ELF header names (elf(5)), and the libraries
// that this loader lists (ld.so(8)), at the same paths as on the host. Around them are a few
// directories and files of /etc. The lesson reads Make, which does all of it,
// and root.addLibraries.
package tiny

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

// tools are the programs that a root gets. Those that the host lacks are left out, except
// the shell.
const tools = `sh awk bash cat chmod chown chroot cmp cp cut date dd df du echo env false find grep
	head hostname id ip kill less ln ls mkdir mknod mktemp mount mv nproc printf ps pwd readlink rm
	rmdir sed seq sha256sum sleep sort stat stty tail tar tee test touch tr true tty umount
	uname uniq vi wc which whoami xargs`

// terminals are the descriptions of terminals, for vi and less (terminfo(5)).
const terminals = "x/xterm x/xterm-256color l/linux s/screen t/tmux"

// directory is a directory of the root.
type directory struct {
	name string
	mode os.FileMode
}

var directories = [...]directory{
	{"bin", 0o755},
	{"dev", 0o755},
	{"etc", 0o755},
	{"proc", 0o555},
	{"root", 0o700},
	{"run", 0o755},
	{"sys", 0o555},
	{"tmp", 0o777 | os.ModeSticky},
	{"usr", 0o755},
	{"var", 0o755},
	{"var/tmp", 0o777 | os.ModeSticky},
}

// file is a file that is not copied from the host.
type file struct{ name, content string }

var files = [...]file{
	{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"},
	{"etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"},
	{"etc/os-release", "ID=tiny\nNAME=tiny\nPRETTY_NAME=\"tiny, made of the host's own programs\"\n"},
	{"etc/hostname", ""},
	{"etc/hosts", ""},
	{"etc/resolv.conf", ""},
	{"root/.vimrc", "\" vim looks for no other settings now\n"},
}

// Contents counts what a root file system holds.
type Contents struct {
	Programs int   // copied from the host; links to them are not counted
	Files    int   // all others, libraries among them; no directories
	Bytes    int64 // of everything that was copied from the host
}

// Make creates the directory dir with a root file system in it. dir must not exist or must be
// empty, and its parent must exist. The root is built in a temporary directory beside dir and
// renamed when it is complete, so that dir never holds half of one; after an error nothing is
// left. Programs are looked up in PATH; a host without sh is an error. Roots that are made
// from the same programs are identical, times included.
func Make(dir string) (Contents, error) {
	if dir == "" {
		return Contents{}, errors.New("give the name of a new directory")
	}
	entries, err := os.ReadDir(dir)
	if len(entries) > 0 {
		return Contents{}, errors.New("the directory holds something already; give the name of a new one")
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Contents{}, err
	}
	dir = filepath.Clean(dir)
	isThere, parent := err == nil, filepath.Dir(dir)
	if isThere { // it stays: it may be a mount point, or the caller's own directory
		parent = dir
	}
	build, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+"-*")
	if errors.Is(err, os.ErrNotExist) {
		return Contents{}, fmt.Errorf("parent directory %s does not exist", parent)
	}
	if err != nil {
		return Contents{}, err
	}
	defer os.RemoveAll(build) // after the rename there is nothing left to remove
	r := &root{dir: build, copied: map[string]bool{}, listed: map[string]bool{}}
	if err := r.fill(); err != nil {
		return Contents{}, err
	}
	rename := os.Rename
	if isThere {
		rename = moveAll
	}
	if err := rename(build, dir); err != nil {
		return Contents{}, err
	}
	return Contents{r.programs, len(r.copied) - r.programs + len(files), r.bytes}, nil
}

// moveAll moves what is in a directory to another one.
func moveAll(from, to string) error {
	entries, err := os.ReadDir(from)
	for _, entry := range entries {
		err = errors.Join(err, move(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())))
	}
	return err
}

// move gives a file another parent. A directory that its owner may not write to cannot have one:
// its ".." is written (rename(2)).
func move(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil || !info.IsDir() {
		return errors.Join(err, os.Rename(from, to))
	}
	if err := os.Chmod(from, 0o700); err != nil {
		return err
	}
	return errors.Join(os.Rename(from, to), os.Chmod(to, info.Mode()))
}

// root is a root file system under construction.
type root struct {
	dir      string
	copied   map[string]bool // the files copied from the host, by their path inside
	listed   map[string]bool // the libraries that a loader has listed, by its path and their name
	programs int
	bytes    int64
}

// path returns where on the host a file of the root is.
func (r *root) path(name string) string { return filepath.Join(r.dir, name) }

func (r *root) fill() error {
	if err := r.addSkeleton(); err != nil {
		return err
	}
	for name := range strings.FieldsSeq(tools) {
		if err := r.addTool(name); err != nil {
			return err
		}
	}
	if err := r.addTerminals(); err != nil {
		return err
	}
	if err := os.Chmod(r.dir, 0o755); err != nil {
		return err
	}
	return r.setTimes()
}

// addSkeleton makes the directories and the files that do not come from the host.
func (r *root) addSkeleton() error {
	for _, d := range directories {
		if err := os.MkdirAll(r.path(d.name), 0o755); err != nil {
			return err
		}
		if err := os.Chmod(r.path(d.name), d.mode); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := os.WriteFile(r.path(f.name), []byte(f.content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// addTerminals copies the descriptions of terminals from wherever the host has them.
func (r *root) addTerminals() error {
	for name := range strings.FieldsSeq(terminals) {
		for _, dir := range []string{"/usr/share/terminfo/", "/lib/terminfo/", "/etc/terminfo/"} {
			if _, err := os.Stat(dir + name); err == nil {
				if err := r.copy(dir+name, dir+name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// addTool copies a program and everything it needs to run. If the name is a symbolic link, to
// busybox perhaps, the target keeps its own name in the root, and name becomes a link to it.
func (r *root) addTool(name string) error {
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
	if !r.copied["/bin/"+own] {
		if err := r.copy(found, "/bin/"+own); err != nil {
			return err
		}
		r.programs++
		if err := r.addLibraries(found); err != nil {
			return fmt.Errorf("%s: %w", found, err)
		}
	}
	if own == name {
		return nil
	}
	return os.Symlink(own, r.path("bin/"+name))
}

// addLibraries copies the loader of a program and each library that the loader lists, to the
// path where it was found. Static programs and scripts have no loader. A program that asks for
// nothing new needs no list: libraries were listed with all that they ask for themselves.
func (r *root) addLibraries(program string) error {
	loader, err := Interpreter(program)
	if err != nil || loader == "" || r.hasLibraries(loader, program) {
		return err
	}
	list, err := exec.Command(loader, "--list", program).Output()
	if err != nil {
		return fmt.Errorf("%s --list: %w", loader, err)
	}
	for _, library := range append(parseList(string(list)), loader) {
		if err := r.copy(library, library); err != nil {
			return err
		}
		r.listed[loader+filepath.Base(library)] = true
	}
	return nil
}

// hasLibraries reports whether all libraries that a program asks for (DT_NEEDED of elf(5)) were
// listed before. One that says itself where to look for them may mean others of the same names.
func (r *root) hasLibraries(loader, program string) bool {
	file, err := elf.Open(program)
	if err != nil {
		return false
	}
	defer file.Close()
	names, err := file.ImportedLibraries()
	rpath, errRpath := file.DynString(elf.DT_RPATH)
	runpath, errRunpath := file.DynString(elf.DT_RUNPATH)
	if errors.Join(err, errRpath, errRunpath) != nil || len(rpath)+len(runpath) > 0 {
		return false
	}
	return !slices.ContainsFunc(names, func(name string) bool { return !r.listed[loader+name] })
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

// Interpreter returns the path of the loader that an ELF file asks for (PT_INTERP of elf(5)),
// such as /lib64/ld-linux-x86-64.so.2. It is empty for a static program and for a file that is
// not ELF, such as a script.
func Interpreter(path string) (string, error) {
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

// copy copies a file of the host to a path in the root, once.
func (r *root) copy(from, to string) (err error) {
	if r.copied[to] {
		return nil
	}
	r.copied[to] = true
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.path(to)), 0o755); err != nil {
		return err
	}
	target, err := os.OpenFile(r.path(to), os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()|0o400)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	n, err := io.Copy(target, source)
	r.bytes += n
	return err
}

// setTimes gives every file and directory the same time, so that two roots are identical.
func (r *root) setTimes() error {
	var paths []string
	err := filepath.WalkDir(r.dir, func(path string, _ os.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	slices.Reverse(paths)
	epoch := unix.NsecToTimespec(time.Unix(0, 0).UnixNano())
	times := []unix.Timespec{epoch, epoch} // of access, of modification
	for _, path := range paths {
		if err == nil {
			err = unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW)
		}
	}
	return err
}
