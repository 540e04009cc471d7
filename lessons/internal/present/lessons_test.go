package present

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/stages"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// workbench is the command lessons, built once.
var workbench = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "workbench-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "lessons")
	return path, stages.Workbench(context.Background(), "../../..", path)
})

// room is a terminal with `lessons present` on it.
type room struct {
	t     *testing.T
	term  *os.File // the keyboard and the screen
	mode  *os.File // the same terminal, whose mode is looked at
	cmd   *exec.Cmd
	bytes chan []byte
	seen  string
}

// enter starts a lesson in a terminal.
func enter(t *testing.T, lesson string) *room {
	boxtest.Slow(t, "plays a lesson")
	binary, err := workbench()
	require.NoError(t, err)
	r := &room{t: t, cmd: exec.Command(binary, "present", "--typing=0", lesson), bytes: make(chan []byte, 64)}
	tmp, err := os.MkdirTemp("", "stagebox-room") // where an ordinary user of the lesson may be too
	require.NoError(t, err)
	require.NoError(t, os.Chmod(tmp, 0o755))
	t.Cleanup(func() { require.NoError(t, os.Remove(tmp), "something is left") })
	r.cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	term, tty, err := pty.Open()
	require.NoError(t, err)
	require.NoError(t, pty.Setsize(term, &pty.Winsize{Rows: 40, Cols: 120}))
	r.term, r.mode = term, tty
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = tty, tty, tty
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, r.cmd.Start())
	t.Cleanup(func() { term.Close(); tty.Close() })
	go func() {
		for {
			buf := make([]byte, 4096)
			n, err := term.Read(buf)
			if err != nil {
				return
			}
			r.bytes <- buf[:n]
		}
	}()
	return r
}

// press presses a key and returns what the screen shows until it shows some text.
func (r *room) press(key, until string) string {
	r.t.Helper()
	r.seen = ""
	_, err := r.term.WriteString(key)
	require.NoError(r.t, err)
	return r.sees(until)
}

func (r *room) sees(until string) string {
	r.t.Helper()
	wanted, late := regexp.MustCompile(until), time.After(5*time.Minute)
	for !wanted.MatchString(r.seen) {
		select {
		case b := <-r.bytes:
			r.seen += string(b)
		case <-late:
			require.FailNow(r.t, "not seen", "%s in %s", until, r.seen)
		}
	}
	return r.seen
}

// raw is true while keys are handed on as they are.
func (r *room) raw() bool {
	mode, err := unix.IoctlGetTermios(int(r.mode.Fd()), unix.TCGETS)
	require.NoError(r.t, err)
	return mode.Lflag&unix.ICANON == 0 && mode.Lflag&unix.ECHO == 0
}

// leave waits for the end.
func (r *room) leave() {
	require.NoError(r.t, r.cmd.Wait())
	require.False(r.t, r.raw(), "the terminal is as it was")
}

func TestPresentLesson1(t *testing.T) {
	t.Parallel()
	r := enter(t, "1")
	r.sees(`A first container(?s:.*)box run sh.* 0/\d+`)
	require.True(t, r.raw())
	require.Contains(t, r.press(" ", ` 1/\d+`), "$ box run sh\r\n")
	require.Regexp(t, `# hostname\r\nbox\r\n`, r.press(" ", ` 2/\d+`))
	require.Regexp(t, `# echo \$\$\r\n1\r\n`, r.press("\r", ` 3/\d+`))
	require.Regexp(t, `# hostname\r\nbox\r\n`, r.press("b", ` 2/\d+`), "what came before, in a new container")
	require.Regexp(t, `# echo \$\$\r\n1\r\n`, r.press(" ", ` 3/\d+`))
	r.press("r", ` 0/\d+`)
	r.term.WriteString("q")
	r.leave()
}

// TestPresentLesson4 quits by a signal, with a container that was left running.
func TestPresentLesson4(t *testing.T) {
	t.Parallel()
	r := enter(t, "4")
	r.sees(` 0/\d+`)
	for step := 1; !strings.Contains(r.seen, "box ps"); step++ {
		require.Less(t, step, 40, "the lesson leaves a container running somewhere")
		r.press(" ", ` \d+/\d+ .*\[q\]uit`)
	}
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
	r.leave()
}

func TestPresentNeedsATerminal(t *testing.T) {
	binary, err := workbench()
	require.NoError(t, err)
	out, err := exec.Command(binary, "present", "1").CombinedOutput()
	require.EqualError(t, err, "exit status 1")
	require.Contains(t, string(out), "present needs a terminal")
}
