package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

// What Docker's own tests expect of a daemon, each found by one of them.

// TestBuildInTheWordsOfTheClassicBuilder: programs read what docker build prints, and its status.
func TestBuildInTheWordsOfTheClassicBuilder(t *testing.T) {
	c := ask(t)
	context := func() any { return tarOf(t, "Dockerfile", "FROM tiny\nENV a=b\nRUN echo seen; exit $((22 + 1))\n") }
	c.ok(200, "POST", "/build?t=built", context())
	out := c.ok(200, "POST", "/build?t=built", context())
	for _, words := range []string{`"Step 1/3 : FROM tiny\n"`, `"Step 2/3 : ENV a=b\n ---\u003e Using cache\n"`, `"seen\n"`} {
		require.Contains(t, out, words)
	}
	for text, words := range map[string]string{"FROM": "FROM requires either", "FROMM x": "unknown instruction: FROMM", "FROM tiny\nENV": "line 2: ENV requires at least one", "FROM tiny\nCOPY": "COPY requires at least two",
		"FROM tiny\nLABEL =": "LABEL names can not be blank", "FROM tiny\nSHELL x": "SHELL requires the arguments", "FROM tiny\nCOPY nosuch /": "stat nosuch: file does not exist",
		"FROM tiny\nCOPY --from=0 a b": "invalid from flag value 0: refers to current build stage", "FROM tiny AS 1": "invalid name for build stage"} {
		require.Contains(t, c.ok(200, "POST", "/build", tarOf(t, "Dockerfile", text+"\n")), words)
	}
	require.Contains(t, c.ok(200, "POST", "/build?target=nosuch", context()), "could not be found: --target nosuch")
	require.Contains(t, out, `"errorDetail":{"code":23,"message":"Dockerfile:3: RUN returned a non-zero code: 23"}`)
	require.NotContains(t, out, `"stream":"Dockerfile:3: `) // the error, a second time
	require.Contains(t, out, `"stream":"3 | RUN `)
}

// TestSeccompProfileAsText: docker reads the file, and sends what is in it.
func TestSeccompProfileAsText(t *testing.T) {
	c := ask(t)
	profile := `seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}`
	c.create("strict", map[string]any{"HostConfig": map[string]any{"SecurityOpt": []string{profile}}}, "mkdir /tmp/x || echo refused")
	c.ok(204, "POST", "/containers/strict/start", nil)
	c.box("wait", "strict")
	require.Contains(t, c.box("logs", "strict"), "refused\n")
}

// TestCommitWithABody: an image needs no name, and the configuration in the body wins over the container's.
func TestCommitWithABody(t *testing.T) {
	c := ask(t)
	c.create("web", map[string]any{"Env": []string{"KEPT=1", "WORD=old"}, "User": "7"}, "true")
	odd := "$HOME \"q\" \\ 'x' $$ \\$A"
	body := map[string]any{"Cmd": []string{"echo", odd}, "Entrypoint": []string{"env"}, "Env": []string{"WORD=" + odd}, "Labels": map[string]string{odd: odd},
		"WorkingDir": "/a b$", "Volumes": map[string]any{"/v $d": map[string]any{}}, "ExposedPorts": map[string]any{"80/tcp": map[string]any{}}, "StopSignal": "HUP",
		"Healthcheck": map[string]any{"Test": []string{"CMD", odd}, "Interval": 2e9}}
	var made struct{ Id string }
	require.NoError(t, json.Unmarshal([]byte(c.ok(201, "POST", "/commit?container=web&changes=CMD+true", body)), &made))
	var image struct {
		RepoTags []string
		Config   map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(c.ok(200, "GET", "/images/"+made.Id+"/json", nil)), &image))
	require.Empty(t, image.RepoTags)
	for field, want := range map[string]any{"Cmd": []any{"/bin/sh", "-c", "true"}, "Entrypoint": []any{"env"}, "User": "7", "WorkingDir": "/a b$", "StopSignal": "HUP",
		"Labels": map[string]any{odd: odd}, "Volumes": map[string]any{"/v $d": map[string]any{}}, "ExposedPorts": map[string]any{"80/tcp": map[string]any{}}} {
		require.Equal(t, want, image.Config[field], field)
	}
	require.Subset(t, image.Config["Env"], []any{"KEPT=1", "WORD=" + odd})
	require.Equal(t, []any{"CMD", odd}, image.Config["Healthcheck"].(map[string]any)["Test"])
	body = map[string]any{"Cmd": []string{"echo", odd}}
	require.NoError(t, json.Unmarshal([]byte(c.ok(201, "POST", "/commit?container=web&repo=named", body)), &made))
	require.NoError(t, json.Unmarshal([]byte(c.ok(200, "GET", "/images/named/json", nil)), &image))
	require.Equal(t, []any{"echo", odd}, image.Config["Cmd"])
}

// TestDockersWords: programs look for these in an error.
func TestDockersWords(t *testing.T) {
	c := ask(t)
	c.create("web", nil, "while :; do sleep 0.05; done")
	c.create("removed", map[string]any{"HostConfig": map[string]any{"AutoRemove": true}}, "true")
	c.ok(204, "POST", "/containers/web/start", nil)
	for _, p := range []provoking{
		{"GET", "/containers/nosuch/json", nil, 404, "No such container: nosuch"},
		{"DELETE", "/containers/web", nil, 409, "container is running: "},
		{"POST", "/containers/web/rename?name=web", nil, 409, "Renaming a container with the same name as its current name: "},
		{"POST", "/containers/web/rename?name=a:b", nil, 400, "Invalid container name: "},
		{"POST", "/containers/web/kill?signal=FOO", nil, 400, "Invalid signal: FOO: "},
		{"POST", "/containers/removed/update", map[string]any{"RestartPolicy": map[string]any{"Name": "always"}}, 400, "Restart policy cannot be updated because AutoRemove is enabled for the container: "},
		{"GET", "/containers/web/archive?path=/nosuch", nil, 404, "Could not find the file /nosuch in container web"},
		{"POST", "/containers/create", map[string]any{"Image": "tiny", "HostConfig": map[string]any{"VolumesFrom": []string{"nosuch"}}}, 400, "nosuch"},
		{"POST", "/containers/create?platform=linux/s390x", map[string]any{"Image": "tiny", "Cmd": []string{"true"}}, 404, "linux/s390x"},
		{"GET", "/plugins/nosuch/json", nil, 404, "plugin nosuch not found"},
		{"GET", "/plugins", nil, 200, "[]"},
	} {
		c.all([]provoking{p})
	}
}

// TestBodiesOfJSON: a body that is something else is refused before anything is looked for.
func TestBodiesOfJSON(t *testing.T) {
	c := ask(t)
	for _, path := range []string{"/commit", "/containers/create", "/containers/nosuch/exec", "/containers/nosuch/update", "/exec/nosuch/start"} {
		status, text := c.do("POST", path, strings.NewReader("{} more"))
		require.Equal(t, 400, status, text)
		require.Contains(t, text, "unexpected content after JSON")
		status, text = c.do("POST", path, strings.NewReader("{x"))
		require.Equal(t, 400, status, text)
		require.Contains(t, text, "invalid JSON: ")
		answer, err := c.Post("http://box"+path, "text/plain", strings.NewReader("{}"))
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, 400, answer.StatusCode)
	}
}

// TestUndescribed: a container with a flag that cannot be read is in the lists, as it is in ps -a.
func TestUndescribed(t *testing.T) {
	boxtest.Turn(t, 1, 4)
	c := ask(t)
	c.create("odd", map[string]any{"HostConfig": map[string]any{"PortBindings": map[string]any{"80/tcp": []any{map[string]any{"HostPort": "8080"}}}}}, "true")
	id := strings.TrimSpace(c.box("ps", "-aq", "--no-trunc"))
	file := filepath.Join(c.root, "containers", id, "container.json")
	record, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(record), `"8080:80/tcp"`)
	require.NoError(t, os.WriteFile(file, bytes.ReplaceAll(record, []byte(`"8080:80/tcp"`), []byte(`"8080:http"`)), 0o600))
	require.Contains(t, c.box("ps", "-a"), "odd")
	status, text := c.do("GET", "/containers/odd/json", nil)
	require.NotEqual(t, 200, status, text)
	require.Contains(t, c.ok(200, "GET", "/containers/json?all=1&size=1", nil), id)
	require.Contains(t, c.ok(200, "GET", "/system/df", nil), id)
}

// TestKeptByCommit: inspect shows what was asked for, and an image of the container has its ports, volumes and health check.
func TestKeptByCommit(t *testing.T) {
	boxtest.Turn(t, 2, 4)
	c := ask(t)
	c.create("kept", map[string]any{"ExposedPorts": map[string]any{"80/tcp": map[string]any{}}, "Volumes": map[string]any{"/data": map[string]any{}},
		"Healthcheck": map[string]any{"Test": []string{"CMD", "true"}}, "HostConfig": map[string]any{"NetworkMode": "none", "Annotations": map[string]string{"a": "b"}}}, "true")
	require.Equal(t, `{"80/tcp":{}} map[a:b]`, strings.TrimSpace(c.box("inspect", "-f", "{{json .Config.ExposedPorts}} {{.HostConfig.Annotations}}", "kept")))
	c.ok(201, "POST", "/commit?container=kept&repo=kept&tag=1", map[string]any{})
	require.Equal(t, `{"80/tcp":{}} {"/data":{}} ["CMD","true"]`,
		strings.TrimSpace(c.box("image", "inspect", "-f", "{{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{json .Config.Healthcheck.Test}}", "kept:1")))
}

// TestInvalidAtCreate: what a container cannot have is refused when it is made, with a sentence.
func TestInvalidAtCreate(t *testing.T) {
	boxtest.Turn(t, 1, 4)
	c := ask(t)
	for words, host := range map[string]map[string]any{
		"NOSUCH":               {"CapAdd": []string{"NOSUCH"}},
		`\"aa80\"`:             {"PortBindings": map[string]any{"aa80/tcp": []any{map[string]any{"HostPort": "8080"}}}},
		"99999":                {"PortBindings": map[string]any{"80/tcp": []any{map[string]any{"HostPort": "99999"}}}},
		"--memory 4096":        {"Memory": 4096},
		"--shm-size":           {"ShmSize": -1},
		"--ulimit":             {"Ulimits": []any{map[string]any{"Name": "nosuch", "Soft": 1, "Hard": 1}}},
		"--oom-score-adj":      {"OomScoreAdj": 1001},
		"--cpuset-cpus":        {"CpusetCpus": "a"},
		"--cpuset-mems":        {"CpusetMems": "a"},
		"--cpu-period":         {"CpuPeriod": 1},
		"--cpu-quota":          {"CpuQuota": 50000, "NanoCpus": 1000000000},
		"--sysctl":             {"Sysctls": map[string]string{"nosuch.x": "1"}},
		"--security-opt":       {"SecurityOpt": []string{"nosuch"}},
		"--restart":            {"RestartPolicy": map[string]any{"Name": "nosuch"}},
		"--dns":                {"DNS": []string{"nosuch"}},
		"--add-host":           {"ExtraHosts": []string{"nosuch"}},
		"--tmpfs":              {"Tmpfs": map[string]string{"/x": "nosuch"}},
		"--volume":             {"Binds": []string{"/tmp:/x:nosuch"}},
		"--mount":              {"Mounts": []any{map[string]any{"Type": "bind", "Target": "/x"}}},
		"--memory-reservation": {"MemoryReservation": -1},
		"--blkio-weight":       {"BlkioWeight": 5},
		"--memory-swappiness":  {"MemorySwappiness": 101},
		"--device-cgroup-rule": {"DeviceCgroupRules": []string{"c 1"}},
	} {
		status, text := c.do("POST", "/containers/create", map[string]any{"Image": "tiny", "Cmd": []string{"true"}, "HostConfig": host})
		require.Equal(t, 400, status, "%v: %s", host, text)
		require.Contains(t, text, words)
	}
	require.Equal(t, "[]", strings.TrimSpace(c.ok(200, "GET", "/containers/json?all=1", nil)))
}

// TestPredefinedNetworks: those that no file describes have lists too, and were made with the store.
func TestPredefinedNetworks(t *testing.T) {
	boxtest.Turn(t, 1, 4)
	c := ask(t)
	info, err := os.Stat(filepath.Join(c.root, "images", "oci-layout"))
	require.NoError(t, err)
	for name, driver := range map[string]string{"none": "null", "host": "host", "bridge": "bridge"} {
		var n map[string]any
		require.NoError(t, json.Unmarshal([]byte(c.ok(200, "GET", "/networks/"+name, nil)), &n))
		require.Equal(t, info.ModTime().UTC().Format(time.RFC3339Nano), n["Created"])
		empty := map[string]any{}
		require.Equal(t, []any{driver, empty, empty, empty}, []any{n["Driver"], n["Labels"], n["Options"], n["Containers"]})
		require.Equal(t, map[string]any{"Driver": "default", "Options": nil, "Config": []any{}}, n["IPAM"])
	}
}

// TestSharedSizes: a layer counts as shared in the images that have it, and as an image's own if no other has.
func TestSharedSizes(t *testing.T) {
	boxtest.Turn(t, 2, 4)
	c := ask(t)
	c.ok(200, "POST", "/build?t=more", tarOf(t, "Dockerfile", "FROM tiny\nRUN printf 12345 >/more\n"))
	sizes := func(text string) map[string]int64 {
		var list []struct {
			RepoTags         []string
			Size, SharedSize int64
		}
		require.NoError(t, json.Unmarshal([]byte(text), &list))
		all := map[string]int64{}
		for _, image := range list {
			all[image.RepoTags[0]], all[image.RepoTags[0]+" shared"] = image.Size, image.SharedSize
		}
		return all
	}
	tiny := sizes(c.ok(200, "GET", "/images/json", nil))["tiny:latest"]
	require.Greater(t, tiny, int64(5))
	want := map[string]int64{"tiny:latest": tiny, "tiny:latest shared": tiny, "more:latest": tiny + 5, "more:latest shared": tiny}
	var usage struct{ Images json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(c.ok(200, "GET", "/system/df", nil)), &usage))
	require.Equal(t, want, sizes(string(usage.Images)))
	require.Equal(t, want, sizes(c.ok(200, "GET", "/images/json?shared-size=1", nil)))
	c.ok(200, "DELETE", "/images/more", nil)
	require.Equal(t, map[string]int64{"tiny:latest": tiny, "tiny:latest shared": 0}, sizes(c.ok(200, "GET", "/images/json?shared-size=1", nil)))
}
