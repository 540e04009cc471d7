package listing_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/listing"
)

// An error with one volume keeps no other back.
func TestInspectVolumes(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data/_data"), 0o700))
	var out strings.Builder
	o := listing.VolumeInspectOptions{Names: []string{"none", "data"}, Format: "{{.Mountpoint}}"}
	require.Equal(t, plan.ExitStatus(1), o.Show(&out, dir))
	require.Equal(t, dir+"/data/_data\n", out.String())
}

// One that is missing is an error, but for -f; what is no name is one with -f too, and is not looked for.
func TestRemoveVolumes(t *testing.T) {
	for _, c := range []struct {
		name         string
		result       error
		fails, asked bool
	}{{"data", nil, false, true}, {"none", fs.ErrNotExist, true, true}, {"busy", errors.New("a container has it"), true, true}, {"../data", nil, true, false}} {
		for _, force := range []bool{false, true} {
			asked := false
			o := listing.VolumeRemoveOptions{Names: []string{c.name}, Force: force}
			err := o.Remove(func(name string) error {
				asked = name == c.name
				return c.result
			})
			require.Equal(t, c.asked, asked, c.name)
			require.Equal(t, c.fails && !(force && c.result == fs.ErrNotExist), err != nil, c.name)
		}
	}
}
