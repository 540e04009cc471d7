package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/format"
)

// shown is what box inspect shows of an object.
func shown(t *testing.T, s Store, name, template string) string {
	object, err := s.object(name, "")
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, format.Objects(&out, []any{object}, template), template)
	return strings.TrimSuffix(out.String(), "\n")
}

// The templates are those of public scripts, and the values what docker inspect says of the same
// container.
func TestInspectTemplates(t *testing.T) {
	l := newLife(t)
	dir := t.TempDir()
	id := l.box("run", "-d", "--name", "web", "--rootfs", l.tiny, "--hostname", "web.example", "--domainname", "example.org", "-i", "-w", "/tmp", "--read-only", "--init",
		"-e", "A=1", "-e", "B=x=y", "-e", "A=2", "-v", dir+":/h:ro", "-v", "data:/v", "-v", "/anonymous", "--tmpfs", "/t:size=1m",
		"--mount", "type=tmpfs,dst=/t2", "--cap-add", "net_raw", "--cap-drop", "CAP_MKNOD", "--ulimit", "nofile=10:20", "sleep", l.mark)
	s := Store{Root: l.store}
	r, err := s.find("web")
	require.NoError(t, err)
	pid, err := json.Marshal(r.State.PID)
	require.NoError(t, err)
	volume := r.Volumes[0]
	for text, want := range map[string]string{
		"{{.Id}}":             id,
		"{{.ID}}":             id,
		"{{.Name}}":           "/web",
		"{{slice .Name 1}}":   "web",
		"{{.Path}} {{.Args}}": "sleep [" + l.mark + "]",
		"{{.State.Status}}":   "running",
		"{{.State.Running}}":  "true",
		"{{if .State.Running}}up{{else}}down{{end}}": "up",
		"{{.State.Pid}}": string(pid),
		"{{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Dead}} {{.State.Paused}} {{.State.Restarting}}": "0 false false false false",
		"{{.State.Error}}":      "",
		"{{.State.FinishedAt}}": "0001-01-01T00:00:00Z",
		"{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}": "none",
		"{{.RestartCount}}":                           "0",
		"{{range .Config.Env}}{{println .}}{{end}}":   "A=2\nB=x=y\n",
		"{{json .Config.Env}}":                        `["A=2","B=x=y"]`,
		"{{.Config.Hostname}} {{.Config.WorkingDir}}": "web.example /tmp",
		"{{.Config.Domainname}}":                      "example.org",
		"{{.Config.Tty}} {{.Config.OpenStdin}}":       "false true",
		"{{.Config.User}}":                            "",
		"{{.Config.Cmd}}":                             "[sleep " + l.mark + "]",
		`{{join .Config.Cmd " "}}`:                    "sleep " + l.mark,
		"{{json .Config.Entrypoint}}":                 "null",
		"{{json .Config.Volumes}}":                    `{"/anonymous":{}}`,
		"{{json .HostConfig.Binds}}":                  `["` + dir + `:/h:ro","data:/v"]`,
		"{{.HostConfig.RestartPolicy.Name}}":          "no",
		"{{.HostConfig.NetworkMode}}":                 "none",
		"{{.HostConfig.Privileged}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.AutoRemove}}": "false true false",
		"{{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}}":                                       "[CAP_NET_RAW] [CAP_MKNOD]",
		"{{.HostConfig.LogConfig.Type}}":                                                       "json-file",
		`{{index .HostConfig.Tmpfs "/t"}}`:                                                     "size=1m",
		"{{range .HostConfig.Ulimits}}{{.Name}}={{.Soft}}:{{.Hard}}{{end}}":                    "nofile=10:20",
		"{{range .HostConfig.Mounts}}{{.Type}} {{.Target}}{{end}}":                             "tmpfs /t2",
		"{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}};{{end}}":                          "bind /h false;volume /v true;volume /anonymous true;tmpfs /t2 true;",
		`{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}`:                    "data " + volume + " ",
		`{{range .Mounts}}{{if eq .Destination "/v"}}{{.Source}}{{end}}{{end}}`:                filepath.Join(l.store, "volumes/data/_data"),
		`{{(index .Mounts 0).Source}}`:                                                         dir,
		"{{.GraphDriver.Data.UpperDir}}":                                                       filepath.Join(l.store, "containers", id, "upper"),
		"{{.LogPath}}":                                                                         filepath.Join(l.store, "containers", id, "log"),
		`{{with index .Config.Labels "com.example"}}{{.}}{{else}}no label{{end}}`:              "no label",
		"{{len .Config.Env}} {{len .Mounts}}":                                                  "2 4",
	} {
		require.Equal(t, want, shown(t, s, "web", text), text)
	}
	require.Regexp(t, `^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z 20\d\d-`, shown(t, s, "web", "{{.Created}} {{.State.StartedAt}}"))
	require.Equal(t, "data "+filepath.Join(l.store, "volumes/data/_data")+" local", shown(t, s, "data", "{{.Name}} {{.Mountpoint}} {{.Scope}}"))
}

// What is found is shown, also if something else is not.
func TestInspectOfSeveral(t *testing.T) {
	l := newLife(t)
	l.box("run", "--name", "one", "-v", "data:/v", "--rootfs", l.tiny, "true")
	t.Setenv("BOX_ROOT", l.store)
	for _, c := range []struct {
		words       string
		out, errors string
	}{
		{"one no-such data", `["/one","data"]`, "box: no such object: no-such\n"},
		{"--type container data one", `["/one"]`, "box: no such container: data\n"},
		{"--type volume data", `["data"]`, ""},
		{"no-such", `[]`, "box: no such object: no-such\n"},
		{"-f {{.State.Nope}} one", "", `box: --format {{.State.Nope}}: 1:8: <.State.Nope>: map has no entry for key "Nope"` + "\n"},
	} {
		stdout, stderr, status := run(t, append([]string{"inspect"}, strings.Fields(c.words)...)...)
		require.Equal(t, c.errors, stderr, c.words)
		require.Equal(t, map[bool]int{true: 0, false: 1}[c.errors == ""], status, c.words)
		if c.out == "" {
			require.Empty(t, stdout)
			continue
		}
		var objects []struct{ Name string }
		require.NoError(t, json.Unmarshal([]byte(stdout), &objects), stdout)
		names := []string{}
		for _, o := range objects {
			names = append(names, o.Name)
		}
		data, err := json.Marshal(names)
		require.NoError(t, err)
		require.Equal(t, c.out, string(data), c.words)
	}
}
