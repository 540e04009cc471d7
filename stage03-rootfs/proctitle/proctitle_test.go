package proctitle

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// A process of its own changes its title: afterwards, its os.Args are not what they were.
func TestSet(t *testing.T) {
	if word := os.Getenv("TITLE"); word != "" {
		Prepare([]string{"/sbin/init", "--", word})
		Set()
		for _, name := range []string{"cmdline", "environ"} {
			data, err := os.ReadFile("/proc/self/" + name)
			if err != nil {
				os.Exit(1)
			}
			os.Stdout.Write(append(data, '|'))
		}
		os.Exit(0)
	}
	show := func(word string) string {
		self := exec.Command("/proc/self/exe", "-test.run=^TestSet$")
		self.Env = append(os.Environ(), "TITLE="+word)
		out, err := self.Output()
		require.NoError(t, err)
		return string(out)
	}
	require.Regexp(t, "^/sbin/init\x00--\x00sh\x00+\\|\x00+\\|$", show("sh"))
	long := "a name that is longer than the one before, so the end of it has no room"
	require.Regexp(t, "^/sbin/init\x00--\x00a name that is [a-z ]+\x00\\|\x00+\\|$", show(long))
	require.NotContains(t, show(long), "room")
}
