package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/host"
)

// doctorTree is a file system with the given files; a path that ends in * is a program
// with the setuid bit.
func doctorTree(files map[string]string) fstest.MapFS {
	tree := fstest.MapFS{}
	for name, text := range files {
		file := &fstest.MapFile{Data: []byte(text), Mode: 0o755}
		if strings.HasSuffix(name, "*") {
			file.Mode |= fs.ModeSetuid
		}
		tree[strings.Trim(name, "/*")] = file
	}
	return tree
}

// allTried is what a host answers on which everything works but what is listed.
func allTried(failed map[string]unix.Errno) host.Outcomes {
	o := host.Outcomes{}
	for _, name := range strings.Fields("mnt pid uts ipc net cgroup time user clone3 pidfd_open close_range landlock " +
		"private tmpfs mkdir proc devpts overlay whiteout pivot_root veth bridge nftables") {
		o[name] = host.Outcome{Call: name, Errno: failed[name]}
	}
	return o
}

func doctorEnv(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

// goodHost is root's, with systemd and version 2 of the control groups.
func goodHost() *host.Host {
	return &host.Host{
		UID: 0, Machine: "x86_64", Env: doctorEnv(map[string]string{"HOME": "/root", "PATH": "/usr/local/go/bin"}),
		Now:     time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC),
		Writes:  func(string) error { return nil },
		HasCaps: func(string) bool { return false },
		AsRoot:  allTried(nil), AsUser: allTried(nil),
		Disk: host.Disk{Dir: "/var/lib", Free: 80 << 30, Inodes: 1 << 20, Unnamed: host.Outcome{Call: "open"},
			Xattr: host.Outcome{Call: "fsetxattr"}, Lock: host.Outcome{Call: "flock"}, Reflink: host.Outcome{Call: "ioctl"}},
		Files: doctorTree(map[string]string{
			"/etc/os-release": "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\n",
			"/etc/passwd":     "root:x:0:0::/root:/bin/bash\n",
			"/proc/self/mountinfo": "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n" +
				"30 1 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n",
			"/proc/self/cgroup":                           "0::/user.slice/user-0.slice/session-1.scope\n",
			"/proc/self/status":                           "CapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\n",
			"/proc/self/uid_map":                          "0 0 4294967295\n",
			"/proc/sys/kernel/osrelease":                  "6.12.43-amd64\n",
			"/proc/sys/kernel/cap_last_cap":               "40\n",
			"/proc/sys/kernel/seccomp/actions_avail":      "kill_process errno allow\n",
			"/proc/sys/net/ipv4/ip_forward":               "0\n",
			"/proc/sys/fs/inotify/max_user_watches":       "190000\n",
			"/proc/net/route":                             "eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
			"/proc/net/if_inet6":                          "x",
			"/proc/pressure/memory":                       "some avg10=0.00\n",
			"/sys/fs/cgroup/cgroup.controllers":           "cpuset cpu io memory pids\n",
			"/sys/fs/cgroup/system.slice/memory.max":      "max\n",
			"/sys/fs/cgroup/system.slice/memory.swap.max": "max\n",
			"/etc/resolv.conf":                            "nameserver 192.168.2.1\n",
			"/etc/ssl/certs/ca-certificates.crt":          "",
			"/dev/net/tun":                                "",
			"/var/lib/dpkg/status":                        "",
			"/usr/local/go/bin/go":                        "",
			"/usr/bin/git":                                "", "/usr/bin/newuidmap*": "", "/usr/bin/newgidmap*": "", "/usr/bin/pasta": "", "/usr/bin/docker": "",
			"/bin/sh": "", "/bin/ls": "", "/bin/cat": "", "/bin/ps": "", "/bin/mount": "", "/bin/id": "", "/bin/hostname": "", "/sbin/ip": "", "/bin/sleep": "",
			"/usr/bin/qemu-system-x86_64": "", "/boot/vmlinuz-6.12.43-cloud-amd64": "", "/usr/bin/npm": "",
		}),
	}
}

// badHost is alice's, where nearly nothing is as it should be.
func badHost() *host.Host {
	refused := allTried(map[string]unix.Errno{"mnt": unix.EPERM, "pid": unix.EPERM, "uts": unix.EPERM, "ipc": unix.EPERM,
		"net": unix.EPERM, "cgroup": unix.EPERM, "time": unix.EINVAL})
	for _, name := range strings.Fields("private tmpfs mkdir proc devpts overlay whiteout pivot_root veth bridge nftables landlock") {
		delete(refused, name)
	}
	return &host.Host{
		UID: 1000, Machine: "riscv64", Env: doctorEnv(map[string]string{"HOME": "/home/alice", "HTTPS_PROXY": "http://alice:secret@proxy:3128"}),
		Now:     time.Date(1970, time.January, 1, 0, 3, 0, 0, time.UTC),
		HasCaps: func(string) bool { return false },
		Writes: func(path string) error {
			if strings.HasPrefix(path, "/sys") {
				return unix.EACCES
			}
			return nil
		},
		AsUser: refused,
		Disk: host.Disk{Dir: "/home", Free: 90 << 20, CaseLess: true, Unnamed: host.Outcome{Call: "open"},
			Xattr: host.Outcome{Call: "fsetxattr(user.box)", Errno: unix.EOPNOTSUPP}, Lock: host.Outcome{Call: "flock", Errno: unix.ENOLCK}},
		Files: doctorTree(map[string]string{
			"/etc/os-release": "ID=ubuntu\nID_LIKE=debian\nPRETTY_NAME=\"Ubuntu 24.04 LTS\"\n",
			"/etc/passwd":     "alice:x:1000:1000::/home/alice:/bin/bash\n",
			"/proc/self/mountinfo": "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n" +
				"2 1 0:50 / /home rw shared:2 - nfs4 server:/home rw\n" +
				"30 1 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n",
			"/proc/self/cgroup":          "0::/user.slice/user-1000.slice/session-3.scope\n",
			"/proc/self/status":          "NoNewPrivs:\t1\n",
			"/proc/sys/kernel/osrelease": "5.10.0-28-generic\n",
			"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n",
			"/proc/cgroups":                     "memory\t0\t100\t0\n",
			"/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io pids\n",
			"/run/systemd/system/x":             "",
			"/usr/bin/systemd-run":              "",
			"/usr/bin/go":                       "",
			"/home/alice/notes":                 "",
			"/tmp/x":                            "",
			"/bin/sh":                           "", "/bin/ls": "", "/bin/cat": "", "/bin/mount": "", "/bin/id": "", "/bin/hostname": "", "/bin/sleep": "",
		}),
	}
}

func doctorOutput(h *host.Host, c doctorCmd, width int, color bool) string {
	var out bytes.Buffer
	(&doctorSheet{out: &out, width: width, color: color}).report(h, c.report(h), c.All)
	return out.String()
}

func TestDoctorOnAGoodHost(t *testing.T) {
	requireDoctorGolden(t, "doctor-good.txt", doctorOutput(goodHost(), doctorCmd{}, 80, false))
	require.NoError(t, (&doctorCmd{}).verdict(goodHost().Examine(), 9))
}

func TestDoctorOnABadHost(t *testing.T) {
	out := doctorOutput(badHost(), doctorCmd{}, 80, false)
	requireDoctorGolden(t, "doctor-bad.txt", out)
	require.NotContains(t, out, "secret")
}

func requireDoctorGolden(t *testing.T, name, got string) {
	want, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestDoctorOnOneStage(t *testing.T) {
	out := doctorOutput(badHost(), doctorCmd{Stage: 7}, 80, false)
	require.Contains(t, out, "07 cache          waits for 01 namespaces")
	require.Contains(t, out, "Linux 5.10.0-28-generic is older", "what every stage needs is told, too")
	require.NotContains(t, out, "06 ")
}

func TestDoctorTellsAllWhenAsked(t *testing.T) {
	out := doctorOutput(goodHost(), doctorCmd{All: true}, 80, false)
	for _, c := range host.Checks {
		require.Contains(t, out, "   ok    "+c.Name+":")
	}
}

func TestDoctorsExitStatus(t *testing.T) {
	bad := badHost().Examine()
	require.NoError(t, (&doctorCmd{}).verdict(bad, 0), "no stage is built yet")
	require.EqualError(t, (&doctorCmd{}).verdict(bad, 2), "cannot work on this host yet: 01 namespaces, 02 cgroups")
	require.NoError(t, (&doctorCmd{}).verdict(goodHost().Examine(), 9))
}

func TestDoctorRefusesAStageThatIsNotThere(t *testing.T) {
	for _, stage := range []int{-1, 10, 12} {
		require.ErrorContains(t, (&doctorCmd{Stage: stage}).Run(), "the stages are 1 to 9")
	}
}

// Text is broken to the width, commands never; colours are there only when asked for.
func TestDoctorsPaper(t *testing.T) {
	for _, line := range strings.Split(doctorOutput(badHost(), doctorCmd{}, 50, false), "\n") {
		isCommand := strings.HasPrefix(line, strings.Repeat(" ", 11))
		require.True(t, isCommand || len(line) <= 50 || len(strings.Fields(line)) == 1, "%q", line)
		require.NotContains(t, line, "\x1b")
	}
	colored := doctorOutput(badHost(), doctorCmd{}, 80, true)
	require.Contains(t, colored, "\x1b[31mno  \x1b[0m")
	plain := colored
	for _, code := range []string{ansiBold, ansiGreen, ansiYellow, ansiRed, ansiCyan, "0"} {
		plain = strings.ReplaceAll(plain, "\x1b["+code+"m", "")
	}
	require.Equal(t, doctorOutput(badHost(), doctorCmd{}, 80, false), plain)
}

func TestAFileIsNoTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, &doctorSheet{out: f, width: 80}, newDoctorSheet(f))
}
