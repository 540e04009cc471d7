package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage03-rootfs/capability"
	"stagebox/stage05-images/runtimespec"
)

// withEngine runs a script in which an engine has box in runc's place, and returns what it prints. The
// engine's processes and files end with the script: they are in a PID namespace of its own, and on
// file systems in memory. Its cgroups, below $group, are removed. The script begins in $PWD with
// ./runc, which is box, and ./root, a container's root.
func withEngine(t *testing.T, script string, programs ...string) string {
	t.Helper()
	tools(t, append(programs, "unshare", "mount")...)
	if os.Geteuid() != 0 {
		t.Skip("an engine of an ordinary user needs a cgroup that was delegated to it")
	}
	dir, err := os.MkdirTemp("", "") // of a short name: an engine has sockets in it
	require.NoError(t, err)
	group := fmt.Sprintf("box-test-%d", os.Getpid())
	t.Cleanup(func() {
		require.NoError(t, os.RemoveAll(dir))
		exec.Command("find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", "*/"+group+"*", "-exec", "rmdir", "{}", ";").Run()
		left, err := filepath.Glob("/sys/fs/cgroup/*/" + group)
		require.NoError(t, err)
		require.Empty(t, left)
	})
	cmd := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-euc", `
		for dir in "$PWD" /run /dev/shm; do mount -t tmpfs box-test "$dir"; done
		cd "$PWD"
		ln -s "$box" runc
		"$box" rootfs root >/dev/null
		until_true() { tries=0; until "$@" >/dev/null 2>&1; do [ $((tries += 1)) -lt 600 ] || exit 1; sleep 0.1; done; }
		`+script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "box="+box, "group="+group, "TMPDIR="+dir, "HOME="+dir)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, "%s%s", out, &said)
	return string(out)
}

// everyday is what an engine is asked for every day. It calls ask, with podman's words and docker's.
const everyday = `
	echo typed | ask run -i --rm $flags sh -c 'cat; exit 7' || echo status $?
	ask run -d --name one $flags sh -c 'trap "echo ended; exit 5" TERM; echo begun; while :; do sleep 0.1; done' >/dev/null
	until_true sh -c 'ask logs one | grep begun'
	ask exec one sh -c 'grep -c $0 /proc/1/cgroup | grep -qx 0 || echo its own group; exit 4' $group || echo status $?
	printf 'typed\n' | script -qec "ask exec -it one sh -c 'tty; read line; echo got \$line'" /dev/null | tr -d '\r' | grep -x -e '/dev/pts/[01]' -e 'got typed'
	printf 'typed\n' | script -qec "ask run -it --rm $flags sh -c 'tty; read line; echo got \$line; exit 6'" /dev/null | tr -d '\r' | grep -x -e /dev/pts/0 -e 'got typed'
	ask stop -t 60 one
	ask inspect -f '{{.State.Status}} {{.State.ExitCode}}' one
	ask logs one
	ask rm one >/dev/null
	ask ps -aq
	`

// ofEveryday is what it prints then.
const ofEveryday = `typed
status 7
its own group
status 4
/dev/pts/0
got typed
/dev/pts/0
got typed
one
exited 5
begun
ended
`

func TestPodmanRunsItsContainersWithBox(t *testing.T) {
	boxtest.Slow(t)
	out := withEngine(t, `
		cat >ask <<-END
			#!/bin/sh
			exec podman --root $PWD/s --runroot $PWD/r --tmpdir $PWD/t --volumepath $PWD/v --network-config-dir $PWD/n --storage-driver vfs \
				--cgroup-manager cgroupfs --events-backend none --runtime $PWD/runc "\$@"
		END
		chmod +x ask; PATH=$PWD:$PATH
		ask info -f '{{.Host.OCIRuntime.Version}}' | head -n 1
		flags="--network none --cgroup-parent /$group --rootfs $PWD/root"`+everyday+`
		ls /run/stagebox`, "podman", "conmon", "script")
	require.Regexp(t, "^box version [0-9.]+\n", out)
	_, out, _ = strings.Cut(out, "\n")
	require.Equal(t, ofEveryday, out)
}

func TestDockerRunsItsContainersWithBox(t *testing.T) {
	boxtest.Slow(t)
	out := withEngine(t, `
		export DOCKER_HOST=unix://$PWD/docker.sock DOCKER_CONFIG=$PWD
		ip link set lo up
		dockerd -H $DOCKER_HOST --data-root $PWD/data --exec-root $PWD/exec --pidfile $PWD/pid --storage-driver vfs --bridge none \
			--iptables=false --ip6tables=false --cgroup-parent /$group --add-runtime box=$PWD/runc >log 2>&1 || tail log >&2 &
		until_true docker version
		tar -C root -c . | docker import - tiny >/dev/null
		printf '#!/bin/sh\nexec docker "$@"\n' >ask
		chmod +x ask; PATH=$PWD:$PATH
		flags="--network none --runtime box tiny"`+everyday, "dockerd", "docker", "containerd", "containerd-shim-runc-v2", "script", "ip")
	require.Equal(t, ofEveryday, out)
}

// TestContainerdRunsItsContainersWithBox has processes that end at once as well: what one of them
// leaves may be there before the engine has looked.
func TestContainerdRunsItsContainersWithBox(t *testing.T) {
	boxtest.Slow(t)
	fast := 10
	if boxtest.Long() {
		fast = 200
	}
	out := withEngine(t, fmt.Sprintf("fast=%d\n", fast)+`
		cat >config <<-END
			version = 2
			root = "$PWD/data"
			state = "$PWD/state"
			disabled_plugins = ["io.containerd.grpc.v1.cri"]
			[grpc]
			address = "$PWD/sock"
		END
		containerd --config config >log 2>&1 || tail log >&2 &
		ctr() { command ctr --address $PWD/sock "$@"; }
		until_true ctr version
		run() { how=$1 id=$2; shift 2; ctr run $how --rootfs --runc-binary $PWD/runc --cgroup /$group/$id $PWD/root $id "$@"; }
		run --rm one sh -c 'grep -c $0 /proc/1/cgroup | grep -qx 0 || echo its own group; exit 7' $group || echo status $?
		run -d two sleep 1000
		ctr tasks exec --exec-id one two sh -c 'readlink /proc/1/exe; exit 4' || echo status $?
		ctr tasks pause two && ctr tasks resume two
		ctr tasks ls | grep -o 'two .* RUNNING' | tr -s ' ' | cut -d' ' -f1,3
		while [ $fast -gt 0 ]; do
			ctr tasks exec --exec-id $fast two true
			run --rm fast-$fast true
			fast=$((fast - 1))
		done
		ctr tasks kill -s KILL two
		until_true sh -c "ctr --address $PWD/sock tasks ls | grep STOPPED"
		ctr tasks rm two
		ctr containers rm two
		find /run/containerd -name state.json`, "containerd", "ctr", "containerd-shim-runc-v2")
	require.Equal(t, "its own group\nstatus 7\n/bin/sleep\nstatus 4\ntwo RUNNING\n", out)
}

// TestAmbientCapabilityHasItsName: of one capability, prctl(2) takes the number. --explain shows that as strace does.
func TestAmbientCapabilityHasItsName(t *testing.T) {
	tools(t, "strace", "setpriv")
	if os.Geteuid() != 0 {
		t.Skip("only root has capabilities to raise")
	}
	traced, err := exec.Command("strace", "-e", "trace=prctl", "setpriv", "--inh-caps", "+kill", "--ambient-caps", "+kill", "true").CombinedOutput()
	require.NoError(t, err, string(traced))

	p, kill := newPlan(), capability.Set(1<<unix.CAP_KILL)
	p.switchUser(specs.User{}, runtimespec.Capabilities{Permitted: kill, Inheritable: kill, Ambient: kill})
	require.Contains(t, string(traced), "\n"+p.Calls[len(p.Calls)-1].String()+" = 0")
}
