// Command ask puts a question to the kernel that a shell cannot put, because its commands hide
// the system call that matters. surprises.md has the answers. All of it happens in a mount
// namespace of its own, on a tmpfs that ends with it; it takes root.
//
//	go build -o ask ./lessons/ask && sudo ./ask pivot
package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

var questions = map[string]func(dir string) error{
	"bind": readOnlyBind, "flow": natFlows, "options": longOptions, "mapping": mappingAndCopyUp,
	"pivot": pivotDot, "rename": renameLower, "whiteout": attributeWhiteout,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ask:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 || questions[args[0]] == nil {
		known := strings.Join(slices.Sorted(maps.Keys(questions)), ", ")
		return errors.New("name one question: " + known)
	}
	dir, err := os.MkdirTemp("", "ask")
	if err != nil {
		return err
	}
	defer os.Remove(dir) // what is mounted there is seen by this thread only
	answered := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its mount namespace
		answered <- apart(dir, questions[args[0]])
	}()
	return <-answered
}

// apart has a question answered on a new tmpfs that only this thread sees.
func apart(dir string, question func(dir string) error) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare(CLONE_NEWNS): %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount / private: %w", err)
	}
	if err := unix.Mount("ask", dir, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	return question(dir)
}

// readOnlyBind asks whether a bind mount takes MS_RDONLY.
func readOnlyBind(dir string) error {
	if err := mkdirs(dir, "a", "b"); err != nil {
		return err
	}
	if err := unix.Mount(dir+"/a", dir+"/b", "", unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return err
	}
	fmt.Println("bound with MS_RDONLY; a write:", answer(os.WriteFile(dir+"/b/file", nil, 0o644)))
	const again = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY
	if err := unix.Mount("", dir+"/b", "", again, ""); err != nil {
		return err
	}
	fmt.Println("remounted with it; a write:", answer(os.WriteFile(dir+"/b/file", nil, 0o644)))
	return nil
}

// longOptions asks what mount(2) does with more options than fit in a page: those of an overlay
// of three layers, where the page ends within the name of the third.
func longOptions(dir string) error {
	if err := mkdirs(dir, "l", "merged"); err != nil {
		return err
	}
	path := func(n int) string { return dir + "/l/" + strings.Repeat("x", n) }
	third := func(n int) string { return path(100) + "/" + strings.Repeat("y", n) }
	names, length := []string{}, len("lowerdir=")
	for n := 10; length+len(third(200)) < unix.Getpagesize(); n++ {
		names = append(names, path(n))
		length += len(path(n)) + len(":")
	}
	room := unix.Getpagesize() - 1 - length - len(third(0))
	for _, name := range append(names, third(room), third(room+20)) {
		if err := os.MkdirAll(name, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(third(room)+"/short", nil, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(third(room+20)+"/long", nil, 0o644); err != nil {
		return err
	}
	options := "lowerdir=" + strings.Join(append(names, third(room+20)), ":")
	err := unix.Mount("overlay", dir+"/merged", "overlay", 0, options)
	fmt.Printf("options 20 bytes longer than a page: %s\n", answer(err))
	show("the layer of the long name holds: long; the union shows:", dir+"/merged")
	return nil
}

// mappingAndCopyUp asks what an old descriptor and an old mapping see after a copy-up.
func mappingAndCopyUp(dir string) error {
	if err := overlay(dir, "file"); err != nil {
		return err
	}
	file, err := os.Open(dir + "/merged/file")
	if err != nil {
		return err
	}
	defer file.Close()
	mapped, err := unix.Mmap(int(file.Fd()), 0, 3, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.Munmap(mapped)
	writer, err := os.OpenFile(dir+"/merged/file", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer writer.Close()
	if _, err := writer.WriteString("new"); err != nil {
		return err
	}
	read := make([]byte, 3)
	if _, err := file.ReadAt(read, 0); err != nil {
		return err
	}
	fmt.Printf("the descriptor reads %s, the mapping %s\n", read, mapped)
	return nil
}

// pivotDot asks what "." names between pivot_root(".", ".") and umount2(".").
func pivotDot(dir string) error {
	if err := os.WriteFile(dir+"/new", nil, 0o644); err != nil {
		return err
	}
	if err := unix.Chdir(dir); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return err
	}
	show(`open(".") after pivot_root:`, ".")
	_, err := os.Stat("../usr")
	fmt.Println(`stat("../usr"):`, answer(err))
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	_, err = os.Stat("../usr")
	fmt.Println(`umount2(".") took the old root; stat("../usr"):`, answer(err))
	show(`open("."):`, ".")
	return nil
}

// renameLower asks whether a directory of a lower layer can be renamed.
func renameLower(dir string) error {
	if err := overlay(dir, "sub/file"); err != nil {
		return err
	}
	merged := dir + "/merged/"
	fmt.Println("rename a file:", answer(unix.Rename(merged+"sub/file", merged+"sub/other")))
	fmt.Println("rename a directory:", answer(unix.Rename(merged+"sub", merged+"elsewhere")))
	return nil
}

// attributeWhiteout asks what a whiteout is that an extended attribute makes.
func attributeWhiteout(dir string) error {
	if err := mkdirs(dir, "low", "high", "merged"); err != nil {
		return err
	}
	for _, name := range []string{"low/gone", "high/gone"} {
		if err := os.WriteFile(dir+"/"+name, nil, 0o644); err != nil {
			return err
		}
	}
	err := unix.Setxattr(dir+"/high/gone", "trusted.overlay.whiteout", nil, 0)
	if err == nil {
		options := "lowerdir=" + dir + "/high:" + dir + "/low"
		err = unix.Mount("overlay", dir+"/merged", "overlay", 0, options)
	}
	if err != nil {
		return err
	}
	list := func() {
		_, err := os.Stat(dir + "/merged/gone")
		show("stat: "+answer(err)+"; readdir:", dir+"/merged")
	}
	list()
	if err := unix.Unmount(dir+"/merged", 0); err != nil {
		return err
	}
	if err := unix.Setxattr(dir+"/high", "trusted.overlay.opaque", []byte("x"), 0); err != nil {
		return err
	}
	options := "lowerdir=" + dir + "/high:" + dir + "/low"
	if err := unix.Mount("overlay", dir+"/merged", "overlay", 0, options); err != nil {
		return err
	}
	fmt.Print("with opaque=x on its directory, ")
	list()
	return nil
}

// overlay mounts one on dir/merged, over a lower layer with one file that holds "old".
func overlay(dir, name string) error {
	if err := mkdirs(dir, "low/sub", "upper", "work", "merged"); err != nil {
		return err
	}
	if err := os.WriteFile(dir+"/low/"+name, []byte("old"), 0o644); err != nil {
		return err
	}
	return unix.Mount("overlay", dir+"/merged", "overlay", 0, fmt.Sprintf(
		"lowerdir=%[1]s/low,upperdir=%[1]s/upper,workdir=%[1]s/work,redirect_dir=off", dir))
}

func mkdirs(dir string, names ...string) error {
	for _, name := range names {
		if err := os.MkdirAll(dir+"/"+name, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// answer is an error of the kernel without the words that Go puts before it.
func answer(err error) string {
	var errno unix.Errno
	switch {
	case err == nil:
		return "yes"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// show prints what a directory holds.
func show(before, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		fmt.Println(before, answer(err))
		return
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	fmt.Println(before, strings.Join(names, " "))
}
