package tiny

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestMakeIsReproducible(t *testing.T) {
	boxtest.Slow(t)
	t.Parallel()
	archive := func(dir string) string {
		out, err := exec.Command("sh", "-c", `tar -C "$0" --sort=name -cf - . | sha256sum`, dir).Output()
		require.NoError(t, err)
		return string(out)
	}
	base := t.TempDir()
	one, two := filepath.Join(base, "one"), filepath.Join(base, "two")
	first, err := Make(one)
	require.NoError(t, err)
	second, err := Make(two)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Equal(t, archive(one), archive(two))
	require.NoError(t, os.Chmod(filepath.Join(two, "bin/ls"), 0o700))
	require.NotEqual(t, archive(one), archive(two), "the control")
}

func TestMakeLeavesNothingHalfMade(t *testing.T) {
	base := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(base, "full/x"), 0o755))
	_, err := Make(filepath.Join(base, "full"))
	require.ErrorContains(t, err, "the directory holds something already")
	_, err = Make("")
	require.ErrorContains(t, err, "give the name of a new directory")

	_, err = Make(filepath.Join(base, "no/such"))
	require.EqualError(t, err, "parent directory "+filepath.Join(base, "no")+" does not exist")

	t.Setenv("PATH", "/nowhere")
	_, err = Make(filepath.Join(base, "none"))
	require.ErrorContains(t, err, "this host has no shell in PATH")
	left, err := os.ReadDir(base)
	require.NoError(t, err)
	require.Len(t, left, 1, "only full is there")
}

func TestParseList(t *testing.T) {
	glibc := "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n"
	require.Equal(t, []string{"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"}, parseList(glibc))
	musl := "\t/lib/ld-musl-x86_64.so.1 (0x7f3)\n\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f3)\n"
	require.Equal(t, []string{"/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-x86_64.so.1"}, parseList(musl))
}

// TestMakeInADirectoryThatIsThere fills the working directory, which cannot be replaced.
func TestMakeInADirectoryThatIsThere(t *testing.T) {
	t.Chdir(t.TempDir())
	before, err := os.Stat(".")
	require.NoError(t, err)
	_, err = Make(".")
	require.NoError(t, err)
	after, err := os.Stat(".")
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	require.FileExists(t, "etc/passwd")
	hidden, err := filepath.Glob(".*")
	require.NoError(t, err)
	require.Empty(t, hidden)
	_, err = Make(".")
	require.ErrorContains(t, err, "holds something already")
}

// A loader is not asked again about libraries that it has listed.
func TestLibrariesAreListedOnce(t *testing.T) {
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	loader, err := Interpreter(shell)
	require.NoError(t, err)
	if loader == "" {
		t.Skip("this host's sh is a static program")
	}
	r := &root{dir: t.TempDir(), copied: map[string]bool{}, listed: map[string]bool{}}
	require.False(t, r.hasLibraries(loader, shell))
	require.NoError(t, r.addLibraries(shell))
	require.True(t, r.hasLibraries(loader, shell))
	require.False(t, r.hasLibraries("/other/loader", shell))
	require.False(t, r.hasLibraries(loader, "/no/such/program"))
}
