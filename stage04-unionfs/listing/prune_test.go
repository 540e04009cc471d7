package listing_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/listing"
	"stagebox/stage04-unionfs/volume"
)

func TestPrune(t *testing.T) {
	id := func(digit string) string { return strings.Repeat(digit, 64) }
	all := func() ([]listing.Volume, error) {
		return []listing.Volume{{Volume: api.Volume{Name: id("1")}}, {Volume: api.Volume{Name: id("2")}, Users: []string{"web"}},
			{Volume: api.Volume{Name: id("3"), Labels: map[string]string{"keep": ""}}}, {Volume: api.Volume{Name: "data"}}}, nil
	}
	for _, c := range []struct {
		flags listing.PruneOptions
		want  []string
	}{
		{listing.PruneOptions{Force: true}, []string{id("1"), id("3")}},
		{listing.PruneOptions{Force: true, All: true}, []string{id("1"), id("3"), "data"}},
		{listing.PruneOptions{Force: true, Filter: []string{"label=keep"}}, []string{id("3")}},
	} {
		var removed []string
		err := c.flags.Prune(all, func(name string) error { removed = append(removed, name); return nil })
		require.NoError(t, err)
		require.Equal(t, c.want, removed)
	}
	bad := listing.PruneOptions{Force: true, Filter: []string{"color=red"}}
	require.Error(t, bad.Prune(all, func(string) error { return errors.New("it was not to be asked") }))
}

// A volume that another process was faster with is no error; what is wrong with one keeps none back.
func TestPruneMeanwhile(t *testing.T) {
	all := func() ([]listing.Volume, error) {
		return []listing.Volume{{Volume: api.Volume{Name: "used"}}, {Volume: api.Volume{Name: "gone"}},
			{Volume: api.Volume{Name: "bad"}}, {Volume: api.Volume{Name: "last"}}}, nil
	}
	var removed []string
	err := listing.PruneOptions{Force: true, All: true}.Prune(all, func(name string) error {
		removed = append(removed, name)
		return map[string]error{"used": fmt.Errorf("the volume used: %w web", volume.ErrInUse), "gone": fs.ErrNotExist,
			"bad": errors.New("input/output error")}[name]
	})
	require.EqualError(t, err, "input/output error")
	require.Equal(t, []string{"used", "gone", "bad", "last"}, removed)
}
