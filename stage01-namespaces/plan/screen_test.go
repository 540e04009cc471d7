package plan

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestLineFitsTheTerminal: a call is cut before its reason, and in a pipe nothing is.
func TestLineFitsTheTerminal(t *testing.T) {
	call, why := "mount("+strings.Repeat("x", 300)+")", "no mount made in here shows outside"
	require.Equal(t, "box │ "+call+"  # "+why, screen{}.line("box", call, why))
	for _, width := range []int{200, 100, 80} {
		line := screen{width: width}.line("box", call, why)
		require.Equal(t, width, utf8.RuneCountInString(line))
		require.True(t, strings.HasSuffix(line, "…  # "+why), line)
	}
	line := screen{width: 40}.line("box", call, why)
	require.Equal(t, 40, utf8.RuneCountInString(line), "too narrow for the reason: it is cut too")
	require.True(t, strings.HasSuffix(line, "…"), line)
	require.Equal(t, "host│ close(5) = 0"+strings.Repeat(" ", 44-12)+"  # done",
		screen{width: 100}.line("host", "close(5) = 0", "done"), "reasons begin in the middle")
}

func TestLineHasColours(t *testing.T) {
	line := screen{width: 80, coloured: true}.line("box", "close(5) = 0", "done")
	require.Contains(t, line, "\x1b[32mbox │\x1b[0m close(5) = 0")
	require.Contains(t, line, "\x1b[2m  # done\x1b[0m")
	require.NotContains(t, screen{width: 80}.line("box", "close(5) = 0", "done"), "\x1b")
}

// TestPauseStopsAt: at each call of a name, or where a section begins.
func TestPauseStopsAt(t *testing.T) {
	list := func() *Plan {
		p, host := New()
		host.Close(Num(9))
		p.Section("early: by the host alone")
		host.Add("mkdirat", unix.SYS_MKDIRAT, Cwd, "x", 0)
		p.Handshake()
		p.Section("first: things")
		p.Prctl(Num(1), Num(2))
		p.Close(Num(7))
		p.Section("second: others")
		p.Close(Num(8))
		p.Execve([]string{"/bin/true"}, nil, "")
		return p
	}
	stopped := func(at stops) (names []string) {
		p := list()
		require.NoError(t, p.addGates(at))
		for _, c := range p.Calls {
			if c.stop {
				names = append(names, c.String())
			}
		}
		return names
	}
	require.Equal(t, []string{"close(7)", "close(8)"}, stopped("close"))
	require.Equal(t, []string{"close(8)"}, stopped("second"))
	require.Equal(t, []string{"close(7)", "close(8)", "execve(\"/bin/true\", [\"/bin/true\"], [])"}, stopped("close,execve"))
	require.Empty(t, stopped(""))
	require.Greater(t, len(stopped("all")), 4)
	require.EqualError(t, list().addGates("close,third"), "--pause=third: the process makes no such call and has no such section; "+
		"sections to stop at: handshake, first, second, command")
	for _, host := range []stops{"early", "mkdirat", "process", "clone3"} {
		require.EqualError(t, list().addGates(host), "--pause="+string(host)+": the host does this before there is a process to stop; "+
			"sections to stop at: handshake, first, second, command")
	}
}

// TestOutlineNamesStops: each section is marked as the host's, or --pause stops in it.
func TestOutlineNamesStops(t *testing.T) {
	list := func() *Plan {
		p, host := New()
		p.Section("early: by the host alone")
		host.Close(Num(9))
		p.Section("both: the host first")
		host.Close(Num(8))
		p.Close(Num(8))
		p.Handshake()
		p.Execve([]string{"true"}, nil, "/bin")
		return p
	}
	p, marked := list(), []string{}
	var o outline
	for _, c := range p.before.Calls {
		o.add("host", c)
	}
	for _, c := range p.Calls {
		o.add("box", c)
	}
	for _, part := range o.sections {
		name, _, _ := strings.Cut(part.topic, ":")
		if !part.stoppable {
			marked = append(marked, name)
			require.Error(t, list().addGates(stops(name)))
			continue
		}
		require.NoError(t, list().addGates(stops(name)))
	}
	require.Equal(t, []string{"process", "early"}, marked)
}

// TestOutlineCounts: each call is in one section, the host's and the process's together.
func TestOutlineCounts(t *testing.T) {
	p, host := New()
	p.Section("files: what is set")
	host.WriteFile("/x", "1")
	p.WriteFile("/y", "2")
	p.Add("umask", unix.SYS_UMASK, 0).Why("exactly the mode that is named")
	var o outline
	for _, c := range host.Calls {
		o.add("host", c)
	}
	for _, c := range p.Calls {
		o.add("box", c)
	}
	var b strings.Builder
	o.flush(&b)
	require.Equal(t, `process (host)   2  a copy of box, and a socket to signal it: socketpair close
files            7  what is set: umask
                 9  calls: --explain shows each, --pause=SECTION stops at one
`, b.String())
	require.Zero(t, o)
}
