package listing_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/listing"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// containers are four, each made a minute after the one before.
func containers() (all []listing.Container) {
	begin := time.Now().Add(-100 * 24 * time.Hour)
	for i, state := range []string{"exited", "running", "paused", "created"} {
		name := []string{"old", "web", "webby", "new"}[i]
		all = append(all, listing.Container{ID: strings.Repeat(string('a'+rune(i)), 64), Name: name, State: state, ExitCode: 3,
			Command: []string{"sh", "-c", "echo a long command"}, Created: begin.Add(time.Duration(i) * time.Minute),
			StartedAt: begin, FinishedAt: begin, Labels: map[string]string{"tier": name[:1]}, Mounts: []string{"data", "/tmp"}, Volumes: 1,
			Health: []string{"", "healthy", "", ""}[i]})
	}
	return all
}

func source() listing.Source[listing.Container] {
	return listing.Source[listing.Container]{
		All: func() ([]listing.Container, error) { return containers(), nil },
		Find: func(name string) (listing.Container, error) {
			for _, c := range containers() {
				if c.Name == name {
					return c, nil
				}
			}
			return listing.Container{}, errors.New("none: " + name)
		},
		Describe: func(c listing.Container) listing.Container { return c },
		Filters: map[string]func(listing.Container, string) bool{
			"kind": func(c listing.Container, value string) bool { return c.Name[:1] == value },
		},
	}
}

func TestSelect(t *testing.T) {
	for _, c := range []struct {
		o    listing.Options
		want string
	}{
		{listing.Options{Last: -1}, "webby web"},
		{listing.Options{Last: -1, All: true}, "new webby web old"},
		{listing.Options{Last: 3}, "new webby web"},
		{listing.Options{Last: -1, Latest: true}, "new"},
		{listing.Options{Last: -1, Filter: []string{"status=exited", "status=paused"}}, "webby old"},
		{listing.Options{Last: -1, Filter: []string{"health=healthy"}}, "web"},
		{listing.Options{Last: -1, Filter: []string{"health=none"}}, "webby"},
		{listing.Options{Last: -1, All: true, Filter: []string{"exited=3"}}, "old"},
		{listing.Options{Last: -1, All: true, Filter: []string{"name=^/web$"}}, "web"},
		{listing.Options{Last: -1, All: true, Filter: []string{"id=^d"}}, "new"},
		{listing.Options{Last: -1, All: true, Filter: []string{"label=tier=w"}}, "webby web"},
		{listing.Options{Last: -1, All: true, Filter: []string{"kind=n"}}, "new"},
		{listing.Options{Last: -1, All: true, Filter: []string{"before=webby"}}, "web old"},
		{listing.Options{Last: -1, All: true, Filter: []string{"since=old", "before=new"}}, "webby web"},
	} {
		list, err := source().Select(c.o)
		require.NoError(t, err)
		var names []string
		for _, item := range list {
			names = append(names, item.Name)
		}
		require.Equal(t, c.want, strings.Join(names, " "), c.o)
	}
	for flag, says := range map[string]string{
		"nope=1":      `--filter nope=1: invalid filter "nope"; available: before, label, since, exited, health, id, kind, name, status`,
		"status=gone": "--filter status=gone: invalid value; available: created, running, paused, exited, restarting, removing, dead",
		"health=bad":  "--filter health=bad: invalid value; available: starting, healthy, unhealthy, none",
		"exited=x":    "--filter exited=x: give an exit status",
		"since=gone":  "--filter: none: gone",
	} {
		_, err := source().Select(listing.Options{Filter: []string{flag}})
		require.EqualError(t, err, says)
	}
}

// wider is a row with a column of the caller's.
type wider struct {
	listing.Row

	Image string
}

func TestRows(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), make([]byte, 2048), 0o600))
	print := func(o listing.Options, c listing.Container) string {
		var out strings.Builder
		rows := []any{wider{o.Row(c), "tiny"}}
		require.NoError(t, o.Write(&out, rows, "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.Status}}\t{{.Names}}", "Image"))
		return out.String()
	}
	all := containers()
	require.Equal(t, "CONTAINER ID   IMAGE   COMMAND                  STATUS                    NAMES\n"+
		"aaaaaaaaaaaa   tiny    \"sh -c 'echo a long …\"   Exited (3) 3 months ago   old\n", print(listing.Options{}, all[0]))
	require.Equal(t, "Up 3 months (healthy)\n", print(listing.Options{Format: "{{.Status}}"}, all[1]))
	require.Equal(t, "Up 3 months (Paused)\n", print(listing.Options{Format: "{{.Status}}"}, all[2]))
	require.Equal(t, "Created\n", print(listing.Options{Format: "{{.Status}}"}, all[3]))
	require.Equal(t, all[0].ID+"\n", print(listing.Options{Quiet: true, NoTrunc: true}, all[0]))
	require.Equal(t, "\"sh -c 'echo a long command'\" o tier=o data,/tmp 1 tiny\n", print(listing.Options{NoTrunc: true,
		Format: `{{.Command}} {{.Label "tier"}} {{.Labels}} {{.Mounts}} {{.LocalVolumes}} {{.Image}}`}, all[0]))
	all[0].Layers = []string{t.TempDir(), dir}
	require.Regexp(t, `^\d.* \(virtual \d`, print(listing.Options{Format: "{{.Size}}"}, all[0]))
	require.Contains(t, print(listing.Options{Size: true}, all[0]), "SIZE")
	all[0].Layers = []string{dir + "/gone"}
	require.Equal(t, "-\n", print(listing.Options{Format: "{{.Size}}"}, all[0]))
}

// writes counts the writes that it gets.
type writes int

func (n *writes) Write(b []byte) (int, error) {
	*n++
	return len(b), nil
}

// Records have their times in UTC; a list shows them in the reader's zone, as docker ps does.
func TestTimesOfTheReadersZone(t *testing.T) {
	here := time.Local
	defer func() { time.Local = here }()
	time.Local = time.FixedZone("JST", 9*60*60)
	created := time.Date(2026, 2, 3, 20, 5, 6, 0, time.UTC)
	row := listing.Options{}.Row(listing.Container{ID: strings.Repeat("0", 64), Created: created})
	require.Equal(t, "2026-02-04 05:05:06 +0900 JST", row.CreatedAt)
}

// A list is one write, however long it is: what reads along never sees a half of it.
func TestAListIsOneWrite(t *testing.T) {
	var rows []any
	for range 100 {
		rows = append(rows, wider{listing.Options{}.Row(containers()[0]), "tiny"})
	}
	for _, o := range []listing.Options{{}, {Quiet: true}, {Format: "{{.Names}}"}} {
		var n writes
		require.NoError(t, o.Write(&n, rows, "{{.ID}}\t{{.Image}}\t{{.Names}}", "Image"))
		require.EqualValues(t, 1, n)
	}
}

func TestVolumes(t *testing.T) {
	all := func() ([]listing.Volume, error) {
		return []listing.Volume{
			{Volume: api.Volume{Name: "data", Driver: "local", Labels: map[string]string{"a": "1"}}, Users: []string{"web"}},
			{Volume: api.Volume{Name: "logs", Driver: "local", Mountpoint: "/v/logs"}},
		}, nil
	}
	for _, c := range []struct {
		o    listing.VolumeOptions
		want string
	}{
		{listing.VolumeOptions{}, "DRIVER   VOLUME NAME\nlocal    data\nlocal    logs\n"},
		{listing.VolumeOptions{Quiet: true, Filter: []string{"dangling=true"}}, "logs\n"},
		{listing.VolumeOptions{Quiet: true, Filter: []string{"dangling=0"}}, "data\n"},
		{listing.VolumeOptions{Quiet: true, Filter: []string{"label=a=1", "name=^d", "driver=local"}}, "data\n"},
		{listing.VolumeOptions{Quiet: true, Filter: []string{"driver=nfs"}}, ""},
		{listing.VolumeOptions{Format: `{{.Mountpoint}} {{.Label "a"}} {{.Labels}}`}, " 1 a=1\n/v/logs  \n"},
	} {
		var out strings.Builder
		require.NoError(t, c.o.Write(&out, all))
		require.Equal(t, c.want, out.String())
	}
	err := listing.VolumeOptions{Filter: []string{"dangling=maybe"}}.Write(nil, nil)
	require.EqualError(t, err, "--filter dangling=maybe: invalid value; available: true, 1, false, 0")
}
