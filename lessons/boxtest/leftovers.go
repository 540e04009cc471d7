package boxtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// endChildren waits until the process has no child any more. It kills those that are left
// after a time, and returns their command lines. Their children become ours as they end.
// Gently sends each child SIGTERM first.
func endChildren(patience time.Duration, gently bool) (left string, err error) {
	told, killed := map[int]bool{}, map[int]bool{}
	for deadline := time.Now().Add(patience); ; {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		switch {
		case err == unix.ECHILD:
			return left, nil
		case err == unix.EINTR || pid > 0:
			delete(told, pid)
			delete(killed, pid)
			continue
		case err != nil:
			return left, fmt.Errorf("wait4: %w", err)
		}
		for _, child := range children() {
			switch {
			case time.Now().After(deadline):
				if !killed[child] {
					left += commandLine(child)
				}
				killed[child] = true
				thaw(child)
				unix.Kill(child, unix.SIGKILL) // a child that has ended is there until it is waited for
			case gently && !told[child]:
				told[child] = true
				unix.Kill(child, unix.SIGTERM)
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// children are this process's, by proc_tid_children(5).
func children() (pids []int) {
	files, _ := filepath.Glob("/proc/self/task/[0-9]*/children") // the pattern is right
	for _, file := range files {
		list, _ := os.ReadFile(file) // the thread may have ended
		for _, word := range strings.Fields(string(list)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// commandLine is a line with a process's number and command line; "" for one that is dying.
func commandLine(pid int) string {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if len(line) == 0 {
		return ""
	}
	return fmt.Sprintf("  %d %s\n", pid, bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
}

// thaw lets a process go on that was paused by version 1's freezer: until then it does not
// even die.
func thaw(pid int) {
	groups, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid)) // it may have ended
	for line := range strings.Lines(string(groups)) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 && f[1] == "freezer" {
			for _, tree := range cgroupTrees() {
				os.WriteFile(tree+f[2]+"/freezer.state", []byte("THAWED"), 0) // there is one in one tree alone
			}
		}
	}
}

// removeAll removes a directory, after what is mounted below it has been unmounted. An
// ordinary user opens the directories that the kernel has closed to their own owner: the
// working directories of overlays.
func removeAll(dir string) error {
	for _, at := range slices.Backward(mountsBelow(dir)) {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil && os.Geteuid() == 0 {
			return fmt.Errorf("umount2(%q, MNT_DETACH): %w", at, err)
		}
	}
	err := os.RemoveAll(dir)
	if errors.Is(err, fs.ErrPermission) {
		filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if entry != nil && entry.IsDir() {
				os.Chmod(path, 0o700)
			}
			return nil
		})
		err = os.RemoveAll(dir)
	}
	return err
}

// mountsBelow are the mount points below a directory, the older ones first.
func mountsBelow(dir string) (points []string) {
	table, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, unescape(fields[4]))
		}
	}
	return points
}

// unescape reads a path of mountinfo, in which some bytes are a backslash and three octal
// digits: proc_pid_mountinfo(5).
func unescape(path string) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '\\' && i+3 < len(path) {
			if n, err := strconv.ParseUint(path[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(path[i])
	}
	return out.String()
}

// groupName is a cgroup of ours: of a box, which the next box would remove too, or one that
// tests have made for boxes. In it is the number of the process that has made it, or the
// beginning of the container's id.
var groupName = regexp.MustCompile(`^(?:box|box-test|limited|stagebox-check)-(?:(\d+)(?:-\d+)?|[0-9a-f]{12})$`)

// removeDeadGroups removes the cgroups whose maker was killed, and those in them. A group in
// which a process is cannot be removed, and stays.
func removeDeadGroups() error {
	for _, tree := range cgroupTrees() {
		groups, err := os.ReadDir(tree)
		if err != nil {
			return err
		}
		for _, group := range groups {
			m := groupName.FindStringSubmatch(group.Name())
			if m == nil {
				continue
			}
			_, err := os.Stat("/proc/" + m[1])
			if m[1] == "" && !isLocked(filepath.Join(tree, group.Name())) || errors.Is(err, fs.ErrNotExist) {
				below, _ := filepath.Glob(filepath.Join(tree, group.Name(), "box-*")) // the pattern is right
				for _, dir := range append(below, filepath.Join(tree, group.Name())) {
					unix.Rmdir(dir)
				}
			}
		}
	}
	return nil
}

// isLocked reports whether a box holds the lock on a group, or is about to take it.
func isLocked(dir string) bool {
	file, err := os.Open(dir)
	if err != nil {
		return true // it is gone
	}
	defer file.Close()
	info, err := file.Stat()
	return err != nil || info.Mode().Perm() != 0o755 || unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

// cgroupTrees are the directories where cgroups are mounted.
func cgroupTrees() (dirs []string) {
	table, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(table)) {
		before, after, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, "cgroup") && len(fields) > 4 {
			dirs = append(dirs, unescape(fields[4]))
		}
	}
	return dirs
}
