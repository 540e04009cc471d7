package transcript

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Player runs the blocks of a file one step at a time, in their order.
type Player struct{ *runner }

// Open makes a clean place for the blocks of a file: a directory, stores for the boxes, and a
// terminal for each that blocks name, once they do.
func (s Session) Open() (Player, error) {
	dir, err := os.MkdirTemp("", "lesson")
	if err != nil {
		return Player{}, err
	}
	if os.Geteuid() == 0 {
		if err := os.Chmod(dir, 0o777); err != nil {
			return Player{}, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return Player{&runner{Session: s, dir: dir, terminals: map[string]*terminal{}, memory: memory{}, typed: map[*terminal]string{}}}, nil
}

// Play runs step i of a block. A Mismatch says that it showed something else than the lesson.
func (p Player) Play(b Block, i int) error { return p.step(b, i) }

// Close ends what still runs, which it asks to end first, and leaves nothing.
func (p Player) Close() {
	asked := p.ask()
	for _, t := range p.terminals {
		t.close()
	}
	if asked && p.end() {
		p.sweep()
	}
	removeStores(p.dir)
	os.RemoveAll(p.dir)
}

// courtesy is how long a box may take to end its container and to tidy up.
const courtesy = 3 * time.Second

// ask asks every box of the session to end, if there is one, and waits for them.
func (p Player) ask() bool {
	if len(p.boxes()) == 0 {
		return false
	}
	for _, pid := range p.boxes() {
		unix.Kill(pid, unix.SIGTERM) // it may have ended by itself
	}
	for end := time.Now().Add(courtesy); len(p.boxes()) > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

// end kills the boxes that were asked in vain, or whose container outlives the terminal.
func (p Player) end() (killed bool) {
	for end := time.Now().Add(time.Minute); len(p.boxes()) > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, pid := range p.boxes() {
			unix.Kill(pid, unix.SIGKILL)
			killed = true
		}
	}
	return killed
}

// sweep has a box remove what killed ones have left: it does so before it runs something.
func (p Player) sweep() {
	stores, _ := filepath.Glob(p.dir + "-store-*")
	for _, store := range stores {
		box := exec.Command(filepath.Join(p.Bin, "box"), "run", "/bin/true")
		box.Env = append(os.Environ(), "BOX_ROOT="+store)
		box.Run() // the next box on this machine would do the same
	}
}

// boxes are the processes of the session's binary, found by the store that they were given.
// Containers have an environment of their own; they end with their box.
func (p Player) boxes() (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		data, _ := os.ReadFile(path)
		if !bytes.Contains(data, []byte("BOX_ROOT="+p.dir+"-store-")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && p.isBox(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// isBox tells the binary from the shells, which have the same environment.
func (p Player) isBox(pid int) bool {
	exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	return err == nil && exe == filepath.Join(p.Bin, "box")
}
