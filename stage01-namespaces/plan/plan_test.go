package plan

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A process that blocks a signal may wait for it, as one that handles it does.
func TestUnhandled(t *testing.T) {
	if out, err := exec.Command("env", "--block-signal=USR1", "true").CombinedOutput(); err != nil {
		t.Skipf("env --block-signal: %s", out)
	}
	cmd := exec.Command("env", "--block-signal=USR1", "--ignore-signal=USR2", "sleep", "1000")
	require.NoError(t, cmd.Start())
	defer func() {
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	}()
	require.Eventually(t, func() bool {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid))
		return err == nil && string(name) == "sleep\n"
	}, time.Minute, time.Millisecond)
	for s, want := range map[unix.Signal]bool{unix.SIGUSR1: false, unix.SIGUSR2: false, unix.SIGTERM: true} {
		require.Equal(t, want, Unhandled(cmd.Process.Pid, s), s)
	}
}

// A shell that makes one process after the other has its signals blocked most of the time.
func TestUnhandledWhileAShellMakesProcesses(t *testing.T) {
	cmd := exec.Command("sh", "-c", "while :; do /bin/true; done")
	require.NoError(t, cmd.Start())
	defer func() {
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	}()
	for range 100 {
		require.True(t, Unhandled(cmd.Process.Pid, unix.SIGHUP))
	}
}

func TestNULByteIsRefusedBeforeAnythingIsMade(t *testing.T) {
	p, _ := New()
	p.Execve([]string{"/bin/echo", "a\x00b"}, nil, "")
	_, err := p.launch(&Narration{})
	require.ErrorContains(t, err, `"a\0b" holds a NUL byte`)
	require.False(t, p.before.Calls[0].done, "the sync socket was made all the same")
}

func TestArgumentListTooLong(t *testing.T) {
	p, _ := New()
	p.Execve([]string{"/bin/echo", strings.Repeat("x", 1<<18)}, nil, "")
	_, err := p.launch(&Narration{})
	require.ErrorIs(t, err.(StepError).Errno, unix.E2BIG)
	require.NotContains(t, err.Error(), "xxx", "a message is not the place for 256 KiB")
}

func TestFailingStepIsNamed(t *testing.T) {
	p, _ := New()
	p.Handshake()
	p.Add("mkdir", unix.SYS_MKDIR, "/no/such/dir/x", 0).
		Hint(unix.ENOENT, "make the directory")
	p.Execve([]string{"/bin/true"}, nil, "")
	_, err := p.launch(&Narration{})
	require.EqualError(t, err, `mkdir("/no/such/dir/x", 0): no such file or directory`+
		"\n     make the directory")
}

// `box run tiny --rm true` and `box run tiny "echo hi"` are the mistakes of everyone's first day.
func TestWordThatWasNotMeantAsTheProgram(t *testing.T) {
	for word, want := range map[string]string{
		"--rm":    "; flags of box precede the program or the image",
		"echo hi": "; in quotes it is one word: without them, it is a program and its arguments",
		"eco":     "",
	} {
		p, _ := New()
		p.Execve([]string{word, "x"}, nil, "/no/such/dir")
		_, err := p.launch(&Narration{})
		require.ErrorContains(t, err, "no such file or directory\n     "+word)
		require.Truef(t, strings.HasSuffix(err.Error(), word+" is in no directory of PATH=/no/such/dir"+want), "%v", err)
	}
}

func TestResultOfAStepIsUsedByALaterOne(t *testing.T) {
	p, _ := New()
	socket := p.Add("socket", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM, 0)
	p.Close(socket.Result())
	again := p.Close(socket.Result()) // closed already: proves that it was the same descriptor
	p.Execve([]string{"/bin/true"}, nil, "")
	_, err := p.launch(&Narration{})
	require.ErrorIs(t, again.Errno, unix.EBADF)
	require.ErrorContains(t, err, "close("+socket.out.String()+"): bad file descriptor")
}

func TestUnexpectedResultStopsTheList(t *testing.T) {
	p, _ := New()
	p.Prctl(Sym(unix.PR_GET_DUMPABLE, "PR_GET_DUMPABLE"), Num(0)).Expect(7)
	p.Execve([]string{"/bin/true"}, nil, "")
	_, err := p.launch(&Narration{})
	require.EqualError(t, err, "prctl(PR_GET_DUMPABLE, 0): returned 1 instead of 7")
}

// execute starts the plan and returns how it ended.
func execute(p *Plan) error {
	process, err := (&Narration{}).Start(p)
	if err != nil {
		return err
	}
	return process.Wait()
}

func TestToleratedErrorDoesNotStopTheList(t *testing.T) {
	chdir := func(tolerated unix.Errno) error {
		p, _ := New()
		p.Add("chdir", unix.SYS_CHDIR, "/no/such/directory").Tolerate(tolerated)
		p.Execve([]string{"/bin/true"}, nil, "")
		return execute(p)
	}
	require.Equal(t, ExitStatus(0), chdir(unix.ENOENT))
	require.Equal(t, ExitStatus(0), chdir(AnyError))
	require.ErrorIs(t, chdir(unix.EPERM), unix.ENOENT, "the control: another error than the one that happens")
}

// A pipe that nothing is read from makes write(2) fail with EAGAIN, until it is emptied.
func TestCallIsRepeatedWhileTheKernelAsksForIt(t *testing.T) {
	write := func(retry bool) (*Call, error) {
		var ends [2]int
		require.NoError(t, unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
		defer unix.Close(ends[0])
		defer unix.Close(ends[1])
		size, err := unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, 4096)
		require.NoError(t, err)
		_, err = unix.Write(ends[1], make([]byte, size))
		require.NoError(t, err)
		p, _ := New()
		call := p.Write(Num(ends[1]), "more")
		if retry {
			call.Retry()
			time.AfterFunc(20*time.Millisecond, func() { unix.Read(ends[0], make([]byte, size)) })
		}
		p.Execve([]string{"/bin/true"}, nil, "")
		return call, execute(p)
	}
	call, err := write(true)
	require.Equal(t, ExitStatus(0), err)
	require.EqualValues(t, 4, call.Ret)
	_, err = write(false)
	require.ErrorIs(t, err, unix.EAGAIN, "the control")
}

// reapAndExit is the rest of a maker's life: it waits for its child and ends with 40 more
// than the child's exit status.
//
//go:nosplit
//go:norace
//go:nocheckptr
func reapAndExit(child uintptr) {
	var status unix.WaitStatus
	syscall.RawSyscall6(unix.SYS_WAIT4, child, uintptr(unsafe.Pointer(&status)), 0, 0, 0, 0)
	syscall.RawSyscall(unix.SYS_EXIT_GROUP, 40+uintptr(status>>8), 0, 0)
}

func TestMakerOfAForkMayStay(t *testing.T) {
	p, _ := New()
	fork := p.Add("clone", unix.SYS_CLONE, Sym(uintptr(unix.SIGCHLD), "flags=SIGCHLD"), Sym(0, "child_stack=NULL")).
		ParentRuns(reapAndExit)
	p.Execve([]string{"/bin/sh", "-c", "exit 2"}, nil, "")
	require.Equal(t, ExitStatus(42), execute(p))
	require.NotZero(t, fork.Ret, "the number of the child")
}

// changed is what a process changes in its own copy of memory.
var changed = []byte("no ")

//go:nosplit
//go:norace
//go:nocheckptr
func change() { copy(changed, "yes") }

func TestProcessDoesSomethingBeforeACall(t *testing.T) {
	out, in, err := os.Pipe()
	require.NoError(t, err)
	defer out.Close()
	p, _ := New()
	p.Add("write", unix.SYS_WRITE, int(in.Fd()), Ptr(unsafe.Pointer(&changed[0]), "CHANGED"), len(changed)).Before(change)
	p.Execve([]string{"/bin/true"}, nil, "")
	require.Equal(t, ExitStatus(0), execute(p))
	require.NoError(t, in.Close())
	text, err := io.ReadAll(out)
	require.NoError(t, err)
	require.Equal(t, "yes", string(text))
	require.Equal(t, "no ", string(changed), "the host's copy")
}

// A call that fills memory has its argument written again when the result is known, and its
// success can be refused.
func TestHostLooksAtAResult(t *testing.T) {
	var buf [64]byte
	list := &Plan{}
	call := list.Add("getcwd", unix.SYS_GETCWD, Ptr(unsafe.Pointer(&buf), "DIR"), len(buf))
	known := Pending("LENGTH")
	call.Then(func() {
		known.Set(call.Ret)
		call.SetText(0, Quote(unix.ByteSliceToString(buf[:])))
	})
	require.Equal(t, `getcwd(DIR, 64)`, call.String())
	require.Equal(t, "LENGTH", known.Arg().String())
	t.Chdir("/usr")
	require.NoError(t, list.Perform(nil))
	require.Equal(t, `getcwd("/usr", 64)`, call.String())
	require.Equal(t, "5", known.Arg().String(), "with the NUL byte")
	require.True(t, call.Done())

	call.Then(func() { call.Reject(fmt.Errorf("not the directory it was: %w", unix.ENOTDIR)) })
	err := list.Perform(nil)
	require.EqualError(t, err, `getcwd("/usr", 64): not the directory it was: not a directory`)
	require.ErrorIs(t, err, unix.ENOTDIR)
}

func TestStepThatShouldHaveBecomeTheProgram(t *testing.T) {
	failed := func(argv ...string) (step StepError) {
		p, _ := New()
		p.Execve(argv, nil, "/no/such/directory")
		require.ErrorAs(t, execute(p), &step)
		return step
	}
	require.True(t, failed("/no/such/program").AtExecve())
	require.True(t, failed("no-such-program").AtExecve())
	list := &Plan{}
	list.Command(filepath.Join(t.TempDir(), "missing"))
	var step StepError
	require.ErrorAs(t, list.Perform(nil), &step)
	require.False(t, step.AtExecve(), "a program that the host runs is not the one that the process becomes")
}

func TestHostStepThatFailsStopsTheProcess(t *testing.T) {
	p, _ := New()
	p.WhileHeld(func(h *Plan, pid string) { h.WriteFile("/no/such/file", "x") })
	p.Handshake()
	p.Execve([]string{"/bin/true"}, nil, "")
	_, err := p.launch(&Narration{})
	require.EqualError(t, err, `openat(AT_FDCWD, "/no/such/file", O_WRONLY|O_CLOEXEC): no such file or directory`)
	_, err = reap(-1)
	require.ErrorIs(t, err, unix.ECHILD, "the process was left behind")
}

func TestBits(t *testing.T) {
	require.Equal(t, "CLONE_NEWNS|CLONE_NEWPID", Bits(unix.CLONE_NEWNS|unix.CLONE_NEWPID, CloneFlags).String())
	require.Equal(t, "0", Bits(0, CloneFlags).String())
	require.Equal(t, "CLONE_NEWNS|0x1", Bits(unix.CLONE_NEWNS|1, CloneFlags).String())
}

// FuzzQuote holds quote against printf(1): what it writes, read back, is what went in.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "proc", "a b", `say "hi"`, `back\slash`, "new\nline", "bell\a7", "caf\xc3\xa9", "\x7f\xff\x01" + "9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ReplaceAll(s, "\x00", "")
		quoted := Quote(s)
		for _, c := range []byte(quoted) {
			require.True(t, c >= ' ' && c < 0x7f, "%q has a byte that cannot be printed", quoted)
		}
		inner := strings.ReplaceAll(quoted[1:len(quoted)-1], "%", "%%")
		back, err := exec.Command("printf", "--", inner).Output()
		require.NoError(t, err)
		require.Equal(t, s, string(back))
	})
}
