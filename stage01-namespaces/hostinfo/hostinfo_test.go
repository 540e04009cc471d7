package hostinfo

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFacts(t *testing.T) {
	uname, err := exec.Command("uname", "-rm").Output()
	require.NoError(t, err)
	kernel, err := Kernel()
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(uname)), kernel)
	var out strings.Builder
	Write(&out, []Fact{{"kernel", Kernel}, {"moon", func() (string, error) { return "", errors.New("not up") }}})
	require.Equal(t, "kernel       "+kernel+"\nmoon         unknown: not up\n", out.String())
	require.Equal(t, "mnt pid", Namespaces([]string{"mnt", "none", "pid"}))
}

func TestProgram(t *testing.T) {
	path, err := exec.LookPath("true")
	require.NoError(t, err)
	require.Equal(t, path, Program("true"))
	require.Equal(t, "/bin/sh", Program("no-such-program"))
}
