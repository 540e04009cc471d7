package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

// told is a line of the narration, or of strace: the call without what differs between
// the two (fields that --explain leaves out, the order of flags), and its result.
type told struct{ call, result string }

var (
	callLine = regexp.MustCompile(`^(\w+\(.*?\))(?:\s+= ([-\d?].*))?$`)
	unsaid   = regexp.MustCompile(`, (exit_signal=0|stack=NULL|stack_size=0)\b`)
	flagList = regexp.MustCompile(`[A-Z_0-9]+(\|[A-Z_0-9]+)+`)
)

func parse(line string) (told, bool) {
	m := callLine.FindStringSubmatch(strings.TrimSpace(line))
	if m == nil {
		return told{}, false
	}
	call := unsaid.ReplaceAllString(m[1], "")
	call = flagList.ReplaceAllStringFunc(call, func(list string) string {
		flags := strings.Split(list, "|")
		slices.Sort(flags)
		return strings.Join(flags, "|")
	})
	return told{call, m[2]}, true
}

// narrated parses what --explain printed, by side.
func narrated(t *testing.T, stderr string) (host, inside []told) {
	for line := range strings.Lines(stderr) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "  # ")
		if side, call, ok := strings.Cut(line, "│ "); ok {
			c, ok := parse(call)
			require.True(t, ok, "not a call: %s", line)
			if side == "host" {
				host = append(host, c)
			} else {
				inside = append(inside, c)
			}
		}
	}
	require.NotEmpty(t, inside, "nothing was told:\n%s", stderr)
	return host, inside
}

// traced runs box under strace and returns its standard error and each thread's calls.
func traced(t *testing.T, user string, args ...string) (stderr string, calls map[int][]told) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	prefix := filepath.Join(t.TempDir(), "trace")
	strace := []string{"-ff", "-v", "-s", "100000", "-e", "signal=none", "-o", prefix}
	if user != "" {
		strace = append(strace, "-u", user)
	}
	cmd := exec.Command("strace", append(append(strace, box), args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	require.NoError(t, cmd.Run(), errs.String())
	files, err := filepath.Glob(prefix + ".*")
	require.NoError(t, err)
	calls = map[int][]told{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		tid, err := strconv.Atoi(strings.TrimPrefix(file, prefix+"."))
		require.NoError(t, err)
		for line := range strings.Lines(string(data)) {
			if c, ok := parse(line); ok {
				calls[tid] = append(calls[tid], c)
			}
		}
	}
	return errs.String(), calls
}

// agree holds what was told of one or several processes, in the order in which they
// replayed the list, against what strace saw each of them do.
func agree(t *testing.T, inside []told, calls map[int][]told, pids ...int) {
	var seen []told
	for _, pid := range pids {
		for _, c := range calls[pid] {
			if seen = append(seen, c); strings.HasPrefix(c.call, "execve(") {
				break
			}
			if pid != pids[len(pids)-1] && strings.HasPrefix(c.call, "clone3(") {
				break // the maker only ends after this
			}
		}
	}
	require.Equal(t, len(seen), len(inside), "told:\n%v\nseen:\n%v", inside, seen)
	for i := range inside {
		if inside[i].result == "" { // told before it was made
			inside[i].result = seen[i].result
		}
		require.Equal(t, seen[i], inside[i])
	}
}

// hostAgrees looks for every call of the host's in what its threads did, in this order.
func hostAgrees(t *testing.T, host []told, calls map[int][]told, pid int) {
	var by []told
	for tid, list := range calls {
		if slices.ContainsFunc(list, func(c told) bool { return strings.HasPrefix(c.call, "socketpair(") }) && tid != pid {
			by = append(by, list...)
		}
	}
	for _, c := range host {
		if strings.HasPrefix(c.call, "execve(") {
			continue // of newuidmap: a process of its own
		}
		i := slices.IndexFunc(by, func(seen told) bool {
			return seen.call == c.call && (c.result == "" || seen.result == c.result)
		})
		require.GreaterOrEqual(t, i, 0, "host did not make %v", c)
		by = by[i+1:]
	}
}

// resultOf is the number that the first call of a name returned.
func resultOf(t *testing.T, list []told, name string) int {
	i := slices.IndexFunc(list, func(c told) bool { return strings.HasPrefix(c.call, name+"(") })
	require.GreaterOrEqual(t, i, 0, "no %s was told", name)
	n, err := strconv.Atoi(list[i].result)
	require.NoError(t, err)
	return n
}

// asBoth runs a test as root with root's container, and as an ordinary user.
func asBoth(t *testing.T, test func(t *testing.T, user string)) {
	if os.Geteuid() != 0 {
		t.Run("user", func(t *testing.T) { test(t, "") })
		return
	}
	t.Run("root", func(t *testing.T) { test(t, "") })
	t.Run("nobody", func(t *testing.T) { test(t, "nobody") })
}

func TestStraceOfRunAgrees(t *testing.T) {
	boxtest.Turn(t, 0, 2)
	asBoth(t, func(t *testing.T, user string) {
		stderr, calls := traced(t, user, "run", "--explain", "/bin/true")
		host, inside := narrated(t, stderr)
		pid := resultOf(t, host, "clone3")
		agree(t, inside, calls, pid)
		hostAgrees(t, host, calls, pid)
	})
}

func TestStraceOfExecAgrees(t *testing.T) {
	boxtest.Turn(t, 1, 2)
	asBoth(t, func(t *testing.T, user string) {
		container := startSleep(t, user)
		stderr, calls := traced(t, user, "exec", "--explain", strconv.Itoa(container), "true")
		host, inside := narrated(t, stderr)
		maker, pid := resultOf(t, host, "clone3"), resultOf(t, inside, "clone3")
		agree(t, inside, calls, maker, pid)
		hostAgrees(t, host, calls, maker)
	})
}

// startSleep starts a container as a user and returns its first process.
func startSleep(t *testing.T, user string) int {
	args := []string{box, "run", "/bin/sleep", "1000"}
	if user != "" {
		args = append([]string{"setpriv", "--reuid", user, "--regid", "nogroup", "--clear-groups"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	var pid int
	require.Eventually(t, func() bool {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", cmd.Process.Pid))
		for _, file := range tasks {
			children, _ := os.ReadFile(file)
			for _, child := range strings.Fields(string(children)) {
				name, _ := os.ReadFile("/proc/" + child + "/comm")
				if string(name) == "sleep\n" {
					pid, _ = strconv.Atoi(child)
				}
			}
		}
		return pid != 0
	}, time.Minute, 10*time.Millisecond)
	return pid
}

func TestExplainTellsAFailure(t *testing.T) {
	_, stderr, _ := run(t, "exec", "--explain", strconv.Itoa(startSleep(t, "")), "no-such-program")
	require.Contains(t, stderr, `"/bin/no-such-program", X_OK) = -1 ENOENT (No such file or directory)`)
}

func TestExplainJSON(t *testing.T) {
	_, stderr, status := run(t, "run", "--explain=json", "/bin/true")
	require.Zero(t, status)
	var names []string
	for line := range strings.Lines(stderr) {
		var c struct {
			Side, Call string
			Args       []string
			Ret        *int
			Why        string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &c), line)
		require.Contains(t, []string{"host", "box"}, c.Side)
		names = append(names, c.Call)
	}
	require.Equal(t, "socketpair", names[0])
	require.Equal(t, "execve", names[len(names)-1])
}

func TestDryRunMakesNothing(t *testing.T) {
	stdout, stderr, status := run(t, "run", "--dry-run", "/bin/touch", "/no/such/file")
	require.Zero(t, status)
	require.Empty(t, stderr)
	require.Contains(t, stdout, `box │ execve("/bin/touch", ["/bin/touch", "/no/such/file"]`)
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	made := func(args ...string) string {
		require.NoError(t, exec.Command("strace", append([]string{"-f", "-o", trace, "-e", "trace=clone3,socketpair,mount", box, "run"}, args...)...).Run())
		data, err := os.ReadFile(trace)
		require.NoError(t, err)
		return string(data)
	}
	require.NotRegexp(t, `clone3|socketpair|mount`, made("--dry-run", "/bin/true"))
	require.Regexp(t, `clone3(.*\n)*.*mount`, made("/bin/true"), "the control: without --dry-run they are made")
}
