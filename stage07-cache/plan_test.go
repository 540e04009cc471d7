package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestNULByteIsRefusedBeforeAnythingIsMade(t *testing.T) {
	p := newPlan()
	p.Execve([]string{"/bin/echo", "a\x00b"}, nil, "")
	_, err := p.launch(&Narration{})
	require.ErrorContains(t, err, `"a\0b" holds a NUL byte`)
	require.False(t, p.before.calls[0].done, "the leash was made all the same")
}

func TestArgumentListTooLong(t *testing.T) {
	p := newPlan()
	p.Execve([]string{"/bin/echo", strings.Repeat("x", 1<<18)}, nil, "")
	_, err := p.launch(&Narration{})
	require.ErrorIs(t, err.(StepError).errno, unix.E2BIG)
	require.Equal(t, 125, status(err))
	require.NotContains(t, err.Error(), "xxx", "a message is no place for 256 KiB")
}

func TestFailingStepIsNamed(t *testing.T) {
	p := newPlan()
	p.Leash()
	p.Mount("proc", "/no/such/dir", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "").
		Hint(unix.ENOENT, "make the directory")
	p.Execve([]string{"/bin/true"}, nil, "")
	_, err := p.launch(&Narration{})
	require.EqualError(t, err, `mount("proc", "/no/such/dir", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL): no such file or directory`+
		"\n     make the directory")
}

func TestResultOfAStepIsUsedByALaterOne(t *testing.T) {
	p := newPlan()
	socket := p.Socket()
	p.Close(socket.Result())
	again := p.Close(socket.Result()) // closed already: proves that it was the same descriptor
	p.Execve([]string{"/bin/true"}, nil, "")
	_, err := p.launch(&Narration{})
	require.ErrorIs(t, again.errno, unix.EBADF)
	require.ErrorContains(t, err, "close("+socket.out.text+"): bad file descriptor")
}

func TestUnexpectedResultStopsTheList(t *testing.T) {
	p := newPlan()
	p.Prctl(sym(unix.PR_GET_DUMPABLE, "PR_GET_DUMPABLE"), num(0)).Must(7)
	p.Execve([]string{"/bin/true"}, nil, "")
	_, err := p.launch(&Narration{})
	require.EqualError(t, err, "prctl(PR_GET_DUMPABLE, 0): returned 1 instead of 7")
}

func TestHostStepThatFailsStopsTheProcess(t *testing.T) {
	p := newPlan()
	p.WhileHeld(func(h *Plan, pid string) { h.WriteFile("/no/such/file", "x") })
	p.Leash()
	p.Execve([]string{"/bin/true"}, nil, "")
	_, err := p.launch(&Narration{})
	require.EqualError(t, err, `openat(AT_FDCWD, "/no/such/file", O_WRONLY|O_CLOEXEC): no such file or directory`)
	_, err = reap(-1)
	require.ErrorIs(t, err, unix.ECHILD, "the process was left behind")
}

func TestBits(t *testing.T) {
	require.Equal(t, "MS_REC|MS_PRIVATE", bits(unix.MS_REC|unix.MS_PRIVATE, mountFlags).text)
	require.Equal(t, "0", bits(0, mountFlags).text)
	require.Equal(t, "MS_BIND|0x80000000", bits(unix.MS_BIND|1<<31, mountFlags).text)
}

// FuzzQuote holds quote against printf(1): what it writes, read back, is what went in.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "proc", "a b", `say "hi"`, `back\slash`, "new\nline", "bell\a7", "caf\xc3\xa9", "\x7f\xff\x01" + "9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ReplaceAll(s, "\x00", "")
		quoted := quote(s)
		for _, c := range []byte(quoted) {
			require.True(t, c >= ' ' && c < 0x7f, "%q has a byte that cannot be printed", quoted)
		}
		inner := strings.ReplaceAll(quoted[1:len(quoted)-1], "%", "%%")
		back, err := exec.Command("printf", "--", inner).Output()
		require.NoError(t, err)
		require.Equal(t, s, string(back))
	})
}
