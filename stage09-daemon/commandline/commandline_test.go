package commandline_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage09-daemon/commandline"
	"stagebox/stage09-daemon/rest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func words(t *testing.T, body string) (string, error) {
	var c commandline.Create
	require.NoError(t, json.Unmarshal([]byte(body), &c))
	line, err := c.Words("web")
	return strings.Join(line, " "), err
}

// TestZeroIsDefault: the fields that every client sends make no flag.
func TestZeroIsDefault(t *testing.T) {
	line, err := words(t, `{"Hostname":"","Env":null,"Image":"tiny","HostConfig":{"Binds":null,"NetworkMode":"default","PortBindings":{},
		"RestartPolicy":{"Name":"","MaximumRetryCount":0},"Memory":0,"NanoCpus":0,"PidsLimit":0,"MemorySwappiness":-1,"OomKillDisable":false,
		"IpcMode":"","PidMode":"","ShmSize":0,"LogConfig":{"Type":"","Config":{}},"Runtime":""},"NetworkingConfig":{"EndpointsConfig":{"default":{}}}}`)
	require.NoError(t, err)
	require.Equal(t, "create --pull=never --name=web --hostname-id tiny", line)
}

func TestCreate(t *testing.T) {
	for body, want := range map[string]string{
		`{"Cmd":["-x"],"Entrypoint":["sh","-c"]}`:                                                       "--entrypoint=sh tiny -c -x",
		`{"Cmd":"echo a","Entrypoint":"env"}`:                                                           "--entrypoint=env tiny echo a",
		`{"Cmd":null,"Entrypoint":null}`:                                                                "tiny",
		`{"Env":["A=1","B"],"Labels":{"b":"","a":"1"}}`:                                                 "--env=A=1 --env=B --label=a=1 --label=b tiny",
		`{"HostConfig":{"Binds":["v:/d:ro"],"AutoRemove":true,"NetworkMode":"none"}}`:                   "--volume=v:/d:ro --rm --network=none tiny",
		`{"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"},{"HostIp":"::1"}]}}}`: "--publish=8080:80/tcp --publish=[::1]::80/tcp tiny",
		`{"HostConfig":{"NanoCpus":1500000000,"Memory":1048576,"PidsLimit":-1}}`:                        "--memory=1048576 --cpus=1.5 --pids-limit=-1 tiny",
		`{"HostConfig":{"VolumesFrom":["web:ro"],"ShmSize":1048576}}`:                                   "--volumes-from=web:ro --shm-size=1048576 tiny",
		`{"HostConfig":{"Dns":["9.9.9.9"],"DnsSearch":["."],"DnsOptions":["ndots:2"]}}`:                 "--dns=9.9.9.9 --dns-search=. --dns-option=ndots:2 tiny",
		`{"Domainname":"example.org"}`:                                                                  "--domainname=example.org tiny",
		`{"HostConfig":{"CpuQuota":50000}}`:                                                             "--cpu-quota=50000 tiny",
		`{"HostConfig":{"CpuQuota":-1,"CpuPeriod":50000,"CpusetMems":"0-1"}}`:                           "--cpu-period=50000 --cpu-quota=-1 --cpuset-mems=0-1 tiny",
		`{"HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3}}}`:                  "--restart=on-failure:3 tiny",
		`{"HostConfig":{"Mounts":[{"Type":"bind","Source":"/a","Target":"/b","ReadOnly":true}]}}`:       "--mount=type=bind,dst=/b,src=/a,readonly tiny",
		`{"Healthcheck":{"Test":["CMD","a","b c"],"Interval":1500000000,"Retries":2}}`:                  "--health-cmd=[\"a\",\"b c\"] --health-interval=1.5s --health-retries=2 tiny",
		`{"Healthcheck":{"Test":["CMD-SHELL","a || b"]}}`:                                               "--health-cmd=a || b tiny",
		`{"WorkingDir":"/tmp/","ExposedPorts":{"80/tcp":{},"53/udp":{}},"HostConfig":{"PublishAllPorts":true,"PortBindings":{"80/tcp":[{"HostPort":"8080"}]}}}`:                                                                               "--workdir=/tmp --publish-all --publish=8080:80/tcp --expose=53/udp tiny",
		`{"HostConfig":{"Mounts":[{"Type":"bind","Source":"/a","Target":"/b","BindOptions":{"NonRecursive":true}},{"Type":"volume","Source":"v","Target":"/d","VolumeOptions":{"NoCopy":true,"Subpath":"x","Labels":{"b":"2,3","a":"1"}}}]}}`: "--mount=type=bind,dst=/b,src=/a,bind-recursive=disabled --mount=type=volume,dst=/d,src=v,volume-nocopy,volume-subpath=x,volume-label=a=1,\"volume-label=b=2,3\" tiny",
		`{"HostConfig":{"Mounts":[{"Type":"bind","Source":"/a,b","Target":"/b","ReadOnly":true,"BindOptions":{"ReadOnlyNonRecursive":true}}]}}`:                                                                                               `--mount=type=bind,dst=/b,"src=/a,b",readonly,bind-recursive=writable tiny`,
		`{"Healthcheck":{"Test":["NONE"]}}`: "--no-healthcheck tiny",
		`{"Volumes":{"/a":{},"/b":{},"/c/":{},"/d":{}},"HostConfig":{"Binds":["v:/b:rw"],"Tmpfs":{"/c":""},"Mounts":[{"Type":"volume","Target":"/d"}]}}`: "--volume=/a --volume=v:/b:rw --tmpfs=/c --mount=type=volume,dst=/d tiny",
		`{"HostConfig":{"NetworkMode":"red"},"NetworkingConfig":{"EndpointsConfig":{"blue":null,"red":{"Aliases":["x","y"]}}}}`:                          "--network=name=red,alias=x,alias=y --network=blue tiny",
		`{"NetworkingConfig":{"EndpointsConfig":{"red":{"Aliases":["x"],"IPAMConfig":{"IPv4Address":"10.0.0.9"}}}}}`:                                     "--network=name=red,alias=x,ip=10.0.0.9 tiny",
		`{"HostConfig":{"NetworkMode":"default"},"NetworkingConfig":{"EndpointsConfig":{"default":{"MacAddress":"02:42:0a:00:00:09"}}}}`:                 "--network=name=default,mac-address=02:42:0a:00:00:09 tiny",
		`{"MacAddress":"02:42:0a:00:00:09","NetworkingConfig":{"EndpointsConfig":{"red":{"MacAddress":"02:42:0a:00:00:09"}}}}`:                           "--mac-address=02:42:0a:00:00:09 --network=name=red,mac-address=02:42:0a:00:00:09 tiny",
	} {
		line, err := words(t, strings.Replace(body, "{", `{"Image":"tiny",`, 1))
		require.NoError(t, err, body)
		require.Equal(t, "create --pull=never --name=web --hostname-id "+want, line)
	}
}

// TestLimitsAndNotes: those that few containers have. A swappiness of 0 is one, and -1 is none.
func TestLimitsAndNotes(t *testing.T) {
	line, err := words(t, `{"Image":"tiny","ExposedPorts":{"80/tcp":{}},"HostConfig":{"NetworkMode":"none","Annotations":{"b":"2","a":"1"},"BlkioWeight":300,
		"MemorySwappiness":0,"DeviceCgroupRules":["c 42:* rwm"],"PortBindings":{"80/tcp":[{"HostPort":"8080"}]}}}`)
	require.NoError(t, err)
	require.Equal(t, "create --pull=never --name=web --hostname-id --blkio-weight=300 --memory-swappiness=0 --device-cgroup-rule=c 42:* rwm"+
		" --annotation=a=1 --annotation=b=2 --expose=80/tcp --network=none tiny", line)
}

// TestWarnings: about what is taken and has no effect.
func TestWarnings(t *testing.T) {
	for body, want := range map[string][]string{`{}`: {}, `{"HostConfig":{"LogConfig":{"Type":"json-file"}}}`: {},
		`{"HostConfig":{"LogConfig":{"Config":{"max-size":"1m","max-file":"2"}}}}`: {"Log option max-file is discarded: the whole log is kept, as it is",
			"Log option max-size is discarded: the whole log is kept, as it is"}} {
		var c commandline.Create
		require.NoError(t, json.Unmarshal([]byte(body), &c))
		require.Equal(t, want, c.Warnings())
	}
}

// TestLinks: Docker's clients give them with each network.
func TestLinks(t *testing.T) {
	line, err := words(t, `{"Image":"tiny","HostConfig":{"NetworkMode":"red","Links":["db:x"]},"NetworkingConfig":{"EndpointsConfig":{"red":{"Links":["db:y","db:x"]},"blue":{"Links":["db:y"]}}}}`)
	require.NoError(t, err)
	require.Equal(t, "create --pull=never --name=web --hostname-id --link=db:x --link=db:y --network=red --network=blue tiny", line)
	_, err = (&commandline.Connect{Container: "web", EndpointConfig: &commandline.Endpoint{Links: []string{"db:x"}}}).Words("red")
	require.ErrorContains(t, err, "Links is not supported")
}

// TestShared: a container that shares another's host name has none of its own, and one on the host's network publishes nothing.
func TestShared(t *testing.T) {
	for body, want := range map[string]string{
		`{"HostConfig":{"PidMode":"container:x","IpcMode":"none","ShmSize":1048576}}`:                                                                               "--hostname-id --pid=container:x --ipc=none tiny",
		`{"HostConfig":{"IpcMode":"shareable","ShmSize":1048576,"CgroupnsMode":"host"}}`:                                                                            "--hostname-id --shm-size=1048576 --ipc=shareable --share=cgroup tiny",
		`{"HostConfig":{"UTSMode":"host"}}`:                                                                                                                         "--uts=host tiny",
		`{"Hostname":"a","HostConfig":{"NetworkMode":"host","PublishAllPorts":true,"PortBindings":{"80/tcp":[{"HostPort":"8080"}]}}}`:                               "--hostname=a --network=host tiny",
		`{"MacAddress":"02:42:0a:00:00:09","HostConfig":{"NetworkMode":"none"},"NetworkingConfig":{"EndpointsConfig":{"none":{"MacAddress":"02:42:0a:00:00:09"}}}}`: "--hostname-id --network=none tiny",
		`{"HostConfig":{"NetworkMode":"none","PortBindings":{"80/tcp":[{"HostPort":"8080"}]}}}`:                                                                     "--hostname-id --network=none tiny",
		`{"HostConfig":{"NetworkMode":"container:x"}}`:                                                                                                              "--network=container:x tiny",
	} {
		line, err := words(t, strings.Replace(body, "{", `{"Image":"tiny",`, 1))
		require.NoError(t, err, body)
		require.Equal(t, "create --pull=never --name=web "+want, line)
	}
}

// TestRefused: no image is taken for a path or a flag, and no field is ignored that has a meaning.
func TestRefused(t *testing.T) {
	for _, image := range []string{"/bin/sh", "./x", "--privileged", "a b"} {
		_, err := (&commandline.Create{Image: image}).Words("")
		require.ErrorContains(t, err, "invalid reference format", image)
	}
	for _, field := range []string{
		`"OomKillDisable":true`, `"DeviceRequests":[{}]`, `"MaskedPaths":[]`, `"ReadonlyPaths":["/x"]`,
		`"BlkioWeightDevice":[{}]`, `"KernelMemory":1`, `"CpuRealtimePeriod":1`, `"Mounts":[{"Type":"bind","BindOptions":{"CreateMountpoint":true}}]`,
		`"Mounts":[{"Type":"volume","VolumeOptions":{"DriverConfig":{"Name":"nfs"}}}]`, `"Mounts":[{"Type":"tmpfs","TmpfsOptions":{"Options":[["noexec"]]}}]`} {
		_, err := words(t, `{"Image":"tiny","HostConfig":{`+field+`}}`)
		require.ErrorContains(t, err, "is not supported", field)
	}
}

// TestInvalid: what Docker refuses, in its words.
func TestInvalid(t *testing.T) {
	for body, want := range map[string]string{
		`"HostConfig":{"NetworkMode":"container:x","Dns":["1.1.1.1"]}`:            "conflicting options: dns and the network mode",
		`"Hostname":"a","HostConfig":{"NetworkMode":"container:x"}`:               "conflicting options: hostname and the network mode",
		`"HostConfig":{"NetworkMode":"container:x","PublishAllPorts":true}`:       "conflicting options: port publishing and the container type network mode",
		`"ExposedPorts":{"80/tcp":{}},"HostConfig":{"NetworkMode":"container:x"}`: "conflicting options: port exposing and the container type network mode",
		`"MacAddress":"02:42:ac:11:00:02","HostConfig":{"NetworkMode":"host"}`:    "conflicting options: mac-address and the network mode",
		`"Hostname":"a","HostConfig":{"UTSMode":"host"}`:                          "conflicting options: hostname and the UTS mode",
		`"Env":["A=1","=x"]`:                    "invalid environment variable: =x",
		`"HostConfig":{"PidMode":"container:"}`: "invalid PID mode: container:",
		`"HostConfig":{"NanoCpus":-1}`:          "NanoCpus: the number of CPUs cannot be negative",
		`"HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":-3}}`: "maximum retry count cannot be negative",
		`"HostConfig":{"Isolation":"hyperv"}`:                                         `Invalid isolation: "hyperv" - linux only supports 'default'`,
		`"HostConfig":{"LogConfig":{"Type":"syslog"}}`:                                "logger: no log driver named 'syslog' is registered",
		`"HostConfig":{"Mounts":[{"Type":"npipe"}]}`:                                  `invalid mount config for type "npipe": mount type unknown`,
		`"HostConfig":{"Runtime":"kata"}`:                                             "unknown or invalid runtime name: kata",
		`"HostConfig":{"NetworkMode":"none","PortBindings":{"foo/tcp":[]}}`:           `invalid port specification: "foo"`,
		`"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"8080-x"}]}}`:            `invalid port specification: "8080-x"`,
		`"HostConfig":{"IpcMode":"x"}`:                                                "invalid IPC mode: x", `"HostConfig":{"UTSMode":"x"}`: "invalid UTS mode: x",
		`"HostConfig":{"Annotations":{"":"x"}}`: "invalid Annotations: the empty string is not permitted as an annotation key",
		`"Healthcheck":{"Interval":-1}`:         "Interval in Healthcheck cannot be less than 1ms", `"Healthcheck":{"Retries":-1}`: "Retries in Healthcheck cannot be negative",
	} {
		_, err := words(t, `{"Image":"tiny",`+body+`}`)
		require.EqualError(t, err, want)
	}
}

func TestBuild(t *testing.T) {
	line := func(query string) (string, error) {
		words, err := commandline.Build(&rest.Request{Request: httptest.NewRequest("POST", "/build?"+query, nil)})
		return strings.Join(words, " "), err
	}
	got, err := line("t=a&t=b&nocache=1&target=x&buildargs=" + url.QueryEscape(`{"A":"1","B":null}`) + "&labels=%7B%7D&shmsize=0&networkmode=default&cachefrom=%5B%5D")
	require.NoError(t, err)
	require.Equal(t, "build --progress=plain --tag=a --tag=b --file=Dockerfile --target=x --no-cache --build-arg=A=1 -", got)
	got, err = line("networkmode=mine&extrahosts=a:192.0.2.1&extrahosts=b:192.0.2.2")
	require.NoError(t, err)
	require.Equal(t, "build --progress=plain --file=Dockerfile --network=mine --add-host=a:192.0.2.1 --add-host=b:192.0.2.2 -", got)
	got, err = line("shmsize=1048576&ulimits=" + url.QueryEscape(`[{"Name":"nofile","Soft":5,"Hard":6},{"Name":"core","Soft":-1,"Hard":-1}]`))
	require.NoError(t, err)
	require.Equal(t, "build --progress=plain --file=Dockerfile --shm-size=1048576 --ulimit=nofile=5:6 --ulimit=core=-1:-1 -", got)
	for _, query := range []string{"remote=http://x", "memory=1", "buildargs=x", "shmsize=x", "ulimits=x"} {
		_, err := line(query)
		require.Error(t, err, query)
	}
}

// TestBadRequests: what is not JSON's to refuse.
func TestBadRequests(t *testing.T) {
	for _, body := range []string{`{"Image":"tiny","Healthcheck":{"Test":["x"]}}`, `{"Image":"tiny","Healthcheck":{"Test":["CMD"]}}`,
		`{"Image":"tiny","MacAddress":"x"}`, `{"Image":"tiny","NetworkingConfig":{"EndpointsConfig":{"red":{"MacAddress":"x"}}}}`,
		`{"Image":"tiny","NetworkingConfig":{"EndpointsConfig":{"red":{"IPAMConfig":{"IPv4Address":"x"}}}}}`, `{"Image":"tiny","NetworkingConfig":{"EndpointsConfig":{"red":{"Aliases":["a,ip=10.0.0.9"]}}}}`} {
		_, err := words(t, body)
		var problem rest.Problem
		require.ErrorAs(t, err, &problem, body)
		require.Equal(t, 400, problem.Status)
	}
}

func TestNetwork(t *testing.T) {
	line, err := (&commandline.Network{Name: "red", Internal: true, Labels: map[string]string{"a": "1"}}).Words()
	require.NoError(t, err)
	require.Equal(t, "network create --internal --label=a=1 -- red", strings.Join(line, " "))
	var given commandline.Network
	require.NoError(t, json.Unmarshal([]byte(`{"Name":"red","IPAM":{"Driver":"default","Config":[{"Subnet":"10.9.0.0/16","Gateway":"10.9.0.9","IPRange":"10.9.1.0/24"}]}}`), &given))
	line, err = given.Words()
	require.NoError(t, err)
	require.Equal(t, "network create --subnet=10.9.0.0/16 --gateway=10.9.0.9 --ip-range=10.9.1.0/24 -- red", strings.Join(line, " "))
	for _, wrong := range []string{`"Scope":"swarm"`, `"IPAM":{"Driver":"nosuch"}`, `"IPAM":{"Config":[{"AuxiliaryAddresses":{"a":"10.9.0.2"}}]}`} {
		var n commandline.Network
		require.NoError(t, json.Unmarshal([]byte(`{"Name":"red",`+wrong+`}`), &n))
		_, err := n.Words()
		require.Error(t, err, wrong)
	}
	var c commandline.Connect
	require.NoError(t, json.Unmarshal([]byte(`{"Container":"web","EndpointConfig":{"Aliases":["x"],"IPAMConfig":{"IPv4Address":"10.0.0.9"},"MacAddress":"02:42:0a:00:00:09"}}`), &c))
	line, err = c.Words("red")
	require.NoError(t, err)
	require.Equal(t, "network connect --alias=x --ip=10.0.0.9 --mac-address=02:42:0a:00:00:09 -- red web", strings.Join(line, " "))
}
