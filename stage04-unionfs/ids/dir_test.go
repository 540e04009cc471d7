package ids

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDir(t *testing.T) {
	top := t.TempDir()
	d := Dir{filepath.Join(top, "containers"), filepath.Join(top, "running")}
	at := func(name string) string { return filepath.Join(d.Path, name) }
	id := func(begin string) string { return begin + strings.Repeat("0", 64-len(begin)) }
	for _, dir := range []string{d.Running, at(id("abc1")), at(id("abc2")), at("." + id("def"))} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(d.Running, id("eee")), nil, 0o600))
	require.NoError(t, os.WriteFile(at("file"), nil, 0o600))
	for name, to := range map[string]string{"first": id("abc1"), "made": id("def"), "begun": id("eee"),
		"lost": id("999"), "out": "/etc", id("111"): id("abc1")} {
		require.NoError(t, os.Symlink(to, at(name)))
	}

	for text, want := range map[string]string{"first": id("abc1"), id("abc2"): id("abc2"), "abc2": id("abc2"),
		"none": "", "": "", "out": "", "../containers/first": "", "lost": id("999")} {
		got, err := d.Find(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	_, err := d.Find("abc")
	require.EqualError(t, err, `"abc" is the beginning of the ids of 2 containers: give more of it`)

	for name, is := range map[string]bool{"first": true, "made": true, "begun": true, "lost": false, "out": false, "file": false} {
		require.Equal(t, is, d.IsTaken(name), name)
		require.NoError(t, d.Drop(name))
	}
	require.NoError(t, d.Drop("../running"))
	require.Equal(t, []string{"begun", "first", "made"}, d.Names())
	require.Equal(t, `"frist"; box ps -a lists them by name and id`+"\n     did you mean first?", d.Missing("frist"))
	require.Equal(t, `"none"; box ps -a lists them by name and id`, d.Missing("none"))

	require.NoError(t, os.Symlink(id("abc1"), at("second")))
	require.NoError(t, d.DropAll(id("abc1")))
	require.Equal(t, []string{"begun", "made"}, d.Names())
	require.DirExists(t, at(id("abc1")))
}

// Take tries names until one is free, and says why the one that was asked for is not.
func TestTake(t *testing.T) {
	top := t.TempDir()
	d := Dir{filepath.Join(top, "containers"), filepath.Join(top, "running")}
	id := New()
	require.NoError(t, os.MkdirAll(filepath.Join(d.Path, id), 0o755))
	var tried []string
	link := func(name string) error {
		if tried = append(tried, name); len(tried) == 1 {
			require.NoError(t, os.Symlink(id, filepath.Join(d.Path, name)))
		}
		return os.Symlink(id, filepath.Join(d.Path, tried[len(tried)/2]))
	}
	require.NoError(t, d.Take("", link))
	require.Len(t, tried, 2)
	taken := func(name string) error { return os.Symlink(id, filepath.Join(d.Path, name)) }
	require.EqualError(t, d.Take(tried[0], taken), "--name "+tried[0]+": a container has this name already; box rm "+tried[0]+" removes it, if it has ended")
	require.NoError(t, os.WriteFile(filepath.Join(d.Path, "file"), nil, 0o600))
	require.EqualError(t, d.Take("file", taken), "--name file: "+d.Path+"/file is not a container's name; box rm -f file removes it")
	require.ErrorContains(t, d.Take("a/b", taken), `--name "a/b": a name is made of`)
	require.NoError(t, d.Take("free", taken))
	require.Equal(t, id, d.Named("free"))
}
