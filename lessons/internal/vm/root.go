package vm

import (
	"bufio"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/agent"
	"stagebox/stage03-rootfs/tiny"
)

// Root is a machine's first root file system while it is made: an archive in memory that no
// file of the host is left of, however this process ends. Failures to add a file are reported by
// Finish, programs apart.
type Root struct {
	archive
	memory  *os.File
	written *bufio.Writer
	listed  map[string]bool // libraries that a loader has listed, by their file names
	err     error
}

// NewRoot begins a root with directories, the kernel's modules, and the agent as its init.
func NewRoot(agentProgram string) (*Root, error) {
	h, err := findHost()
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("stagebox-root", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	r := &Root{memory: os.NewFile(uintptr(fd), "root"), listed: map[string]bool{}}
	r.written = bufio.NewWriterSize(r.memory, 1<<20)
	r.archive.out = r.written
	r.skeleton()
	r.File(File{From: agentProgram, To: "/init"})
	r.keep(h.addModules(&r.archive, modules))
	return r, nil
}

// skeleton adds directories. Where the host has one directory under two names, such as /bin and
// /usr/bin, the machine has it too, and every file the path that it has on the host.
func (r *Root) skeleton() {
	for _, name := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if target, err := os.Readlink(name); err == nil {
			r.link(name, target)
		}
	}
	for _, name := range []string{"/proc", "/sys", "/dev", "/run", "/etc", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/local/bin", "/var/lib", "/mnt", "/home"} {
		r.dir(name, 0o755)
	}
	r.dir("/root", 0o700)
	r.dir("/tmp", 0o1777)
	r.dir("/var/tmp", 0o1777)
}

// keep keeps the first error for Finish.
func (r *Root) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}

// Text adds a file with some text.
func (r *Root) Text(name string, mode int, text string) { r.text(name, mode, text) }

// Dir adds a directory.
func (r *Root) Dir(name string, mode int) { r.dir(name, mode) }

// Link adds a symbolic link.
func (r *Root) Link(name, target string) { r.link(name, target) }

// File adds a copy of a file of the host, with its permissions.
func (r *Root) File(f File) {
	file, err := os.Open(f.From)
	if err != nil {
		r.keep(err)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		r.keep(err)
		return
	}
	mode := int(info.Mode().Perm())
	if info.Mode()&os.ModeSetuid != 0 {
		mode |= unix.S_ISUID
	}
	r.file(f.To, mode, info.Size(), file)
}

// Program adds a program of the host, and the loader and libraries that it needs, at their
// paths. A symbolic link, such as vi, becomes a link to the program that it leads to.
func (r *Root) Program(name string) error {
	found, program, err := find(name)
	if err != nil {
		return err
	}
	r.File(File{From: program, To: program})
	if at := inPlace(found); at != program {
		r.link(at, program)
	}
	return r.libraries(program)
}

// Libraries adds only what such a program needs.
func (r *Root) Libraries(name string) error {
	_, program, err := find(name)
	if err != nil {
		return err
	}
	return r.libraries(program)
}

// find returns a program's path, and that of the file to which it leads.
func find(name string) (found, program string, err error) {
	if found, err = exec.LookPath(name); err == nil {
		program, err = filepath.EvalSymlinks(found)
	}
	return found, program, err
}

// inPlace is a path whose directory has no other name.
func inPlace(path string) string {
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// libraries adds what the loader of a program lists, unless it was listed before.
func (r *Root) libraries(program string) error {
	loader, err := tiny.Interpreter(program)
	if err != nil || loader == "" || r.hasListed(program) {
		return err
	}
	out, err := exec.Command(loader, "--list", program).Output()
	if err != nil {
		return fmt.Errorf("%s --list %s: %w", loader, program, err)
	}
	for _, word := range append(strings.Fields(string(out)), loader) {
		if filepath.IsAbs(word) {
			r.File(File{From: word, To: inPlace(word)})
			r.listed[filepath.Base(word)] = true
		}
	}
	return nil
}

// hasListed reports whether all libraries that a program asks for are there already: they were
// listed with those that they need themselves.
func (r *Root) hasListed(program string) bool {
	file, err := elf.Open(program)
	if err != nil {
		return false
	}
	defer file.Close()
	needed, err := file.ImportedLibraries()
	for _, name := range needed {
		if !r.listed[name] {
			return false
		}
	}
	return err == nil && len(r.listed) > 0
}

// Start sets what a shell does in the machine before anything else.
func (r *Root) Start(script string) { r.Text(agent.StartFile, 0o644, script) }

// Finish ends the archive, and drops the buffers that wrote it. It can then be booted, also more than
// once.
func (r *Root) Finish() error {
	r.keep(r.archive.finish())
	r.keep(r.written.Flush())
	r.archive.out, r.written, r.archive.there, r.listed = nil, nil, nil, nil
	return r.err
}

// Close forgets the archive.
func (r *Root) Close() error { return r.memory.Close() }
