package seccomp

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAbsolute(t *testing.T) {
	here, err := filepath.Abs("p.json")
	require.NoError(t, err)
	list := []string{"no-new-privileges", "seccomp=p.json", "seccomp=unconfined", "seccomp={}", "seccomp=/p"}
	require.NoError(t, Absolute(list))
	require.Equal(t, []string{"no-new-privileges", "seccomp=" + here, "seccomp=unconfined", "seccomp={}", "seccomp=/p"}, list)
}
