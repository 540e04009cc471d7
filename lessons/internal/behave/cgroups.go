package behave

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The rows about limits, which an ordinary user has only where a group was delegated:
// cgroups(7).

var cgroupRows = slices.Concat([]Row{
	aboutLimit("memory", "--memory", "64m", "memory.max", "67108864", "memory.limit_in_bytes", "67108864"),
	aboutLimit("memory", "--memory-reservation", "32m", "memory.low", "33554432", "memory.soft_limit_in_bytes", "33554432"),
	aboutLimit("pids", "--pids-limit", "17", "pids.max", "17", "pids.max", "17"),
	aboutLimit("cpu", "--cpus", "0.5", "cpu.max", "50000 100000", "cpu.cfs_quota_us", "50000"),
	aboutLimit("cpu", "--cpu-shares", "512", "cpu.weight", "59", "cpu.shares", "512"),
	aboutLimit("cpu", "--cpu-quota", "25000", "cpu.max", "25000 100000", "cpu.cfs_quota_us", "25000"),
	aboutLimit("cpu", "--cpu-period", "50000", "cpu.max", "max 50000", "cpu.cfs_period_us", "50000"),
}, []Row{{
	Name: "--cpu-period and --cpu-quota are set together, changed by update, and exclude --cpus", Since: 2, For: Root,
	Check:  quotaInPeriod,
	Broken: drop("--cpu-period | 50000"),
}, {
	Name: "--blkio-weight is the group's, on the scale of its version", Since: 2, For: Root,
	Check:  ioWeight,
	Broken: drop("--blkio-weight | 500"),
}, {
	Name: "--memory-swappiness is the group's, where there is such a setting", Since: 2, For: Root,
	Check:  swappiness,
	Broken: drop("--memory-swappiness | 7"),
}, {
	Name: "--cpuset-mems is where the kernel lets the command allocate, and no node that the host lacks", Since: 2, For: Root,
	Check:  memoryNodes,
	Broken: drop("--cpuset-mems | 0 | 65535"),
}, {
	Name: "--memory-swap counts memory and swap together", Since: 2, For: Root,
	Check:  memorySwap,
	Broken: drop("--memory-swap | 96m"),
}, {
	Name: "--cpuset-cpus is where the kernel lets the command run", Since: 2, For: Root,
	Check: cpuset,
	Broken: `[ "$2" = --cpuset-cpus ] && { shift 3; set -- run "$@"; }
exec "$BOX" "$@"`,
}, {
	Name: "--oom-score-adj is the command's", Since: 2,
	Check: func(b *Box) Seen {
		return printed("500", b.Run("run", "--oom-score-adj", "500", "/bin/cat", "/proc/self/oom_score_adj"))
	},
	Broken: drop("--oom-score-adj | 500"),
}, {
	Name: "an allocation beyond --memory is killed: 137, and a sentence says by whom", Since: 2, For: Root,
	Check:  outOfMemory,
	Broken: drop("--memory | 32m"),
}, {
	Name: "a process that is killed for the memory of a cgroup above is not said to have reached its own limit", Since: 2, For: Root,
	Check:  outOfMemoryAbove,
	Broken: drop("--cgroup-parent | stagebox-check-*"),
}, {
	Name: "a fork beyond --pids-limit is refused, and the kernel has counted it", Since: 2, For: Root,
	Check:  forkRefused,
	Broken: drop("--pids-limit | 3"),
}, {
	Name: "--cpus is all the CPU time that a spinning loop gets, within 15 percent", Since: 2, For: Root,
	Check: throttledCPU,
	Broken: `[ "$3" = 0.1 ] && { shift 3; set -- run --cpus 0.3 "$@"; }
exec "$BOX" "$@"`,
}, {
	Name: "writes beyond --device-write-bps are held up", Since: 2, For: Root,
	Check:  throttledWrite,
	Broken: drop("--device-write-bps | /dev/loop*"),
}, {
	Name: "a container's group is gone after it", Since: 2, For: Root,
	Check:  groupGone,
	Broken: beside + `p=$!; wait $p; mkdir "$(cat group)"`,
}, {
	Name: "a process that lingers is killed, and the group is gone", Since: 2, For: Root,
	Check:  lingering,
	Broken: `[ "$1" = run ] && { shift 3; "$@"; exit; }`,
}, {
	Name: "a group that a killed binary has left behind is removed by the next run", Since: 2, For: Root,
	Check: sweptGroup,
	Broken: `[ "$4" = /bin/true ] && exit
exec "$BOX" "$@"`,
}, {
	Name: "a group that a killed binary has left is removed by a box that does not see the processes in it", Since: 2, For: Root,
	Check: sweptStranger,
	Broken: `[ "$4" = /bin/true ] && exit
exec "$BOX" "$@"`,
}, {
	Name: "a box in another PID namespace takes no living group for a leftover", Since: 2, For: Root,
	Check: sparedGroup,
	Broken: `[ "$4" = /bin/true ] && exec find /sys/fs/cgroup -path "*/$3/box-*/cgroup.kill" -exec sh -c 'echo 1 >"$0"' {} ";"
exec "$BOX" "$@"`,
}, {
	Name: "groups are shown from the container's own on", Since: 2, For: Root,
	Check: func(b *Box) Seen {
		e := b.Run("run", "/bin/sh", "-c", `grep -v ":/$" /proc/self/cgroup; :`)
		return printed("", e)
	},
	Broken: addFlags("--share cgroup"),
}, {
	Name: "exec's command is in the container's groups", Since: 2, For: Root,
	Check: execGroup,
	Broken: `[ "$1" = exec ] && { shift 2; "$@"; exit; }
exec "$BOX" "$@"`,
}, {
	Name: "pause stops every process of a container and lets none in, and unpause lets them go on", Since: 2, For: Root,
	Check:  paused,
	Broken: `[ "$1" = pause ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "update changes a limit of a container that runs", Since: 2, For: Root,
	Check:  updated,
	Broken: `[ "$1" = update ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "stats tells the limit and the use that the kernel tells", Since: 2, For: Root,
	Check:  statistics,
	Broken: drop("--memory | 64m"),
}, {
	Name: "a limit that cannot be is refused", Since: 2,
	Check:  badLimits,
	Broken: one,
}, {
	Name: "a limit of 0 is no limit, and needs no group", Since: 2,
	Check:  noLimits,
	Broken: `for word; do shift; [ "$word" = 0 ] && word=7; set -- "$@" "$word"; done; exec "$BOX" "$@"`,
}, {
	Name: "a limit that a user cannot have is refused, and it says how to get it", Since: 2, For: User,
	Check:  undelegated,
	Broken: one,
}, {
	Name: "an ordinary user has limits in a group of version 2 that was delegated", Since: 2, For: User,
	Check:  delegated,
	Broken: drop("--memory | 64m"),
	Alone:  "has the root of all groups hand out a controller",
}})

// aboutLimit is a row about a flag and what the kernel has of it, in either version.
func aboutLimit(controller, flag, value, v2, is2, v1, is1 string) Row {
	return Row{
		Name: flag + " is the group's limit", Since: 2, For: Root, Broken: drop(flag + " | " + value),
		Check: func(b *Box) Seen {
			if !b.hasController(controller) {
				return Seen{Cannot: "the kernel offers no " + controller + " controller"}
			}
			c, err := b.Cat("run", flag, value, "/bin/cat")
			if err != nil {
				return failed(err)
			}
			_, isV2, err := b.group(c.pid(), controller)
			if err != nil {
				return failed(err)
			}
			expected := is1
			if isV2 {
				expected = is2
			}
			return same(expected, c.limit(v2, v1))
		},
	}
}

// ioWeight needs what divides the devices' time: in version 2 the cost model of iocost, in version 1 bfq.
func ioWeight(b *Box) Seen {
	_, isV2, err := b.group(host, "blkio")
	mount, _, errTree := b.tree("blkio")
	sign, expected := "blkio.bfq.io_serviced", "500"
	if isV2 {
		mount, _, errTree = b.tree("")
		sign, expected = "io.cost.qos", "default 4950"
	}
	if _, errSign := os.Stat(filepath.Join(mount, sign)); err != nil || errTree != nil || errSign != nil {
		return Seen{Cannot: "the kernel has no weights of block devices"}
	}
	c, err := b.Cat("run", "--blkio-weight", "500", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	return same(expected, c.limit("io.weight", "blkio.bfq.weight"))
}

// swappiness asks for what version 2 has no file for, and must refuse.
func swappiness(b *Box) Seen {
	if !b.hasController("memory") {
		return Seen{Cannot: "the kernel offers no memory controller"}
	}
	if _, isV2, err := b.group(host, "memory"); err != nil || isV2 {
		return all(holds(err == nil, "a memory controller", fmt.Sprint(err)), refused(b.Run("run", "--memory-swappiness", "7", "/bin/true")))
	}
	c, err := b.Cat("run", "--memory-swappiness", "7", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	return same("7", c.limit("", "memory.swappiness"))
}

func memorySwap(b *Box) Seen {
	c, err := b.Cat("run", "--memory", "64m", "--memory-swap", "96m", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	_, isV2, err := b.group(c.pid(), "memory")
	expected := "100663296"
	if isV2 {
		expected = "33554432" // swap alone
	}
	return all(holds(err == nil, "a memory controller", fmt.Sprint(err)), same(expected, c.limit("memory.swap.max", "memory.memsw.limit_in_bytes")))
}

// cpuset takes the last CPU that there is, also in a group that has no other (version 1).
func cpuset(b *Box) Seen {
	online := b.status(host, "Cpus_allowed_list")
	last := online[strings.LastIndexAny(online, ",-")+1:]
	if last == online {
		return Seen{Cannot: "there is one CPU"}
	}
	c, err := b.Cat("run", "--cpuset-cpus", last, "/bin/cat")
	if err != nil {
		return failed(err)
	}
	parent, done, err := b.nursery()
	if err != nil {
		return failed(err)
	}
	defer done()
	for file, value := range map[string]string{"cpus": last, "mems": "0"} {
		found, _ := filepath.Glob("/sys/fs/cgroup/*/" + parent + "/cpuset." + file)
		for _, path := range found {
			if err := os.WriteFile(path, []byte(value), 0); err != nil {
				return failed(err)
			}
		}
	}
	return all(same(last, b.status(c.pid(), "Cpus_allowed_list")),
		status(0, b.Run("run", "--cgroup-parent", parent, "--cpuset-cpus", last, "/bin/true")))
}

// quotaInPeriod reads two files of version 1, and the one of version 2, in one form.
func quotaInPeriod(b *Box) Seen {
	if !b.hasController("cpu") {
		return Seen{Cannot: "the kernel offers no cpu controller"}
	}
	c, err := b.Cat("run", "--cpu-period", "50000", "--cpu-quota", "25000", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	is := func(quota, period string) Seen {
		if _, isV2, _ := b.group(c.pid(), "cpu"); isV2 {
			return same(quota+" "+period, strings.Replace(c.limit("cpu.max", "cpu.cfs_quota_us"), "max", "-1", 1))
		}
		return same(quota+" "+period, c.limit("", "cpu.cfs_quota_us")+" "+c.limit("", "cpu.cfs_period_us"))
	}
	seen := []Seen{is("25000", "50000"), status(0, b.Run("update", c.pid(), "--cpu-quota", "30000")), is("30000", "50000")}
	seen = append(seen, status(0, b.Run("update", c.pid(), "--cpu-period", "20000", "--cpu-quota", "-1")), is("-1", "20000"))
	seen = append(seen, refused(b.Run("update", c.pid(), "--cpu-period", "30000")), is("-1", "20000"))
	seen = append(seen, status(0, b.Run("update", c.pid(), "--cpu-quota", "0", "--cpus", "0.5")), is("50000", "100000"))
	return all(append(seen, refused(b.Run("run", "--cpus", "1", "--cpu-quota", "50000", "/bin/true")), refused(b.Run("run", "--cpus", "1", "--cpu-period", "50000", "/bin/true")))...)
}

// memoryNodes takes the first node of all, which every host has.
func memoryNodes(b *Box) Seen {
	if !b.hasController("cpuset") {
		return Seen{Cannot: "the kernel offers no cpuset controller"}
	}
	c, err := b.Cat("run", "--cpuset-mems", "0", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	return all(same("0", c.limit("cpuset.mems", "cpuset.mems")), same("0", b.status(c.pid(), "Mems_allowed_list")),
		refused(b.Run("run", "--cpuset-mems", "65535", "/bin/true")))
}

// outOfMemory lets dd fill a buffer.
func outOfMemory(b *Box) Seen {
	e := b.Run("run", "--memory", "32m", "/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=128M", "count=1")
	told := strings.Contains(e.Stderr, "box: the kernel killed") && strings.Contains(e.Stderr, "(dd)") && strings.Contains(e.Stderr, "of 32 MiB")
	return ended(e.Status == 137 && told, "exit 137, standard error \"box: the kernel killed … (dd) … of 32 MiB\"", e)
}

// forkRefused has exec bring in a shell, beside process 1, that forks twice.
func forkRefused(b *Box) Seen {
	c, err := b.Cat("run", "--pids-limit", "3", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	e := b.Run("exec", c.pid(), "sh", "-c", strings.Repeat("sleep 5 >/dev/null 2>&1 & ", 3))
	refusals := counter(c.limit("pids.events", "pids.events"), "max")
	told := strings.Contains(strings.ToLower(e.Stderr), "fork")
	return holds(e.Status != 0 && told && refusals > 0, "a failure, standard error \"… fork …\"; pids.events max 1 or more",
		fmt.Sprintf("%v; pids.events max %d", e, refusals))
}

// throttledCPU reads how much CPU time a loop was given, and in how many periods: 10 ms in each
// of 100 ms. On a busy host there are periods in which it does not get what it may, and in all
// others it is held back, which the kernel counts. A processor that stalls while the loop is
// on it, as those of virtual machines do, gives it more at once, which it has to do without
// afterwards: so of five looks one has to be right. With more than its share, none ever is.
func throttledCPU(b *Box) (seen Seen) {
	c, err := b.Cat("run", "--cpus", "0.1", "/bin/sh", "-c", "while :; do :; done & exec cat")
	if err != nil {
		return failed(err)
	}
	for range 5 {
		if seen = c.throttled(); seen.Holds {
			break
		}
	}
	return seen
}

// throttled looks at some twenty periods. They are read outermost, so that all the time that
// was given falls into them.
func (c *Container) throttled() Seen {
	count := func(word string) int { return counter(c.limit("cpu.stat", "cpu.stat"), word) }
	throttled := func() int { return count("nr_throttled") }
	_, ok := c.reach(throttled, 3)
	periods, held, before := count("nr_periods"), throttled(), c.usage()
	_, ok2 := c.reach(throttled, held+20)
	given := c.usage() - before
	held, periods = throttled()-held, count("nr_periods")-periods
	quota, period := c.quota()
	most, least := time.Duration(periods)*quota*115/100, time.Duration(held)*quota/4
	return holds(ok && ok2 && given > least && given < most && (10*quota-period).Abs() <= period/100,
		"10 ms of CPU time in each period of 100 ms, and held back then",
		fmt.Sprintf("%v in %d periods of %v, which is %.1f ms each; held back in %d", given, periods, period, given.Seconds()*1000/float64(max(1, periods)), held))
}

// quota is how much CPU time the group may have in a period. On a host that is so busy that the
// end of a period is noticed too late, the kernel makes both longer.
func (c *Container) quota() (quota, period time.Duration) {
	first, _, _ := strings.Cut(c.limit("cpu.max", "cpu.cfs_quota_us"), " ")
	all := c.limit("cpu.max", "cpu.cfs_period_us")
	last := all[strings.LastIndexByte(all, ' ')+1:]
	return time.Duration(number(first)) * time.Microsecond, time.Duration(number(last)) * time.Microsecond
}

// reach waits until a counter has come to n, as long as it goes on.
func (c *Container) reach(count func() int, n int) (int, bool) {
	at, moved := count(), time.Now()
	for at < n && time.Since(moved) < patience/6 {
		time.Sleep(10 * time.Millisecond)
		if now := count(); now != at {
			at, moved = now, time.Now()
		}
	}
	return at, at >= n
}

// usage is the CPU time that the group has had.
func (c *Container) usage() time.Duration {
	dir, v2, err := c.box.group(c.pid(), "cpuacct")
	switch {
	case err != nil:
		return -1
	case v2:
		return time.Duration(counter(contentOf(filepath.Join(dir, "cpu.stat")), "usage_usec")) * time.Microsecond
	}
	return time.Duration(number(contentOf(filepath.Join(dir, "cpuacct.usage"))))
}

// throttledWrite writes two megabytes, at one a second, to a device that is a file. It
// cannot be done in less than a second; how much longer it takes, cannot be said. On a busy
// host it may take as long without a limit: so the kernel is asked for that, too.
func throttledWrite(b *Box) Seen {
	file := filepath.Join(b.Dir, "disk")
	if err := os.WriteFile(file, make([]byte, 8<<20), 0o600); err != nil {
		return failed(err)
	}
	device, detach, err := loopDevice(file)
	if err != nil {
		return Seen{Cannot: "no loop device to write to: " + err.Error()}
	}
	defer detach()
	c, err := b.Cat("run", "--device-write-bps", device+":1mb", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	limit := c.limit("io.max", "blkio.throttle.write_bps_device")
	begin := time.Now()
	e := b.Run("exec", c.pid(), "dd", "if=/dev/zero", "of="+device, "bs=64k", "count=32", "oflag=direct")
	took := time.Since(begin)
	return all(holds(strings.Contains(limit, "1048576"), "a limit of 1048576 bytes a second", limit),
		status(0, e), holds(took > time.Second, "more than a second for 2 MB", fmt.Sprintf("%.1f s", took.Seconds())))
}

func groupGone(b *Box) Seen {
	parent, done, err := b.nursery()
	if err != nil {
		return failed(err)
	}
	defer done()
	c, err := b.Cat("run", "--cgroup-parent", parent, "/bin/cat")
	if err != nil {
		return failed(err)
	}
	dir, _, err := b.group(c.pid(), "")
	if err == nil {
		err = os.WriteFile(filepath.Join(b.Dir, "group"), []byte(dir), 0o644)
	}
	if err != nil {
		return failed(err)
	}
	defer os.Remove(dir)
	if ours, _, _ := b.group(host, ""); dir == ours {
		return same("a group of its own", "ours")
	}
	c.Stop()
	return same("gone", gone(dir))
}

// lingering makes a process that is not waited for, and that no PID namespace takes along.
func lingering(b *Box) Seen {
	if ran := status(0, b.Run("run", "--share", "pid", "/bin/sh", "-c", "sleep 1000 >/dev/null 2>&1 &")); !ran.Holds {
		return ran
	}
	left, err := b.left()
	if err != nil {
		return failed(err)
	}
	return same("0 processes left", fmt.Sprintf("%d processes left", len(left)))
}

// sweptGroup is about groups in a place of our own: elsewhere another run may be
// the next.
func sweptGroup(b *Box) Seen {
	parent, done, err := b.nursery()
	if err != nil {
		return failed(err)
	}
	defer done()
	c, err := b.Cat("run", "--cgroup-parent", parent, "/bin/cat")
	if err != nil {
		return failed(err)
	}
	dir, _, err := b.group(c.pid(), "")
	if err == nil {
		err = c.Signal(unix.SIGKILL)
	}
	if err != nil {
		return failed(err)
	}
	c.Wait()
	if ran := status(0, b.Run("run", "--cgroup-parent", parent, "/bin/true")); !ran.Holds {
		return ran
	}
	return all(holds(strings.Contains(dir, parent), "a group in "+parent, dir), same("gone", gone(dir)))
}

// sweptStranger has a box remove a group with a process that it has no number for: its own PID
// namespace is another one.
func sweptStranger(b *Box) Seen {
	if _, _, err := b.tree(""); err != nil {
		return Seen{Cannot: err.Error()}
	}
	parent, done, err := b.nursery()
	if err != nil {
		return failed(err)
	}
	defer done()
	c, err := b.Start("run", "--cgroup-parent", parent, "--share", "pid", "/bin/sh", "-c", "sleep 1000 & echo ready; exec cat")
	if err != nil {
		return failed(err)
	}
	dir, _, err := b.group(c.pid(), "")
	if err == nil {
		err = c.Signal(unix.SIGKILL)
	}
	if err != nil {
		return failed(err)
	}
	c.reap()
	e := b.prepare("unshare", "-m", "-p", "-f", "--mount-proc", b.path, "run", "--cgroup-parent", parent, "/bin/true").toItsEnd()
	return all(status(0, e), same("", e.Stderr), holds(strings.Contains(dir, parent), "a group in "+parent, dir), same("gone", gone(dir)))
}

// outOfMemoryAbove has a group above the container's run out of memory.
func outOfMemoryAbove(b *Box) Seen {
	parent, done, err := b.nursery()
	if err != nil {
		return failed(err)
	}
	defer done()
	if err := b.limitMemory(parent, "24M"); err != nil {
		return Seen{Cannot: err.Error()}
	}
	args := strings.Fields("run --memory 512m /bin/dd if=/dev/zero of=/dev/null bs=128M count=1")
	e := b.Run(slices.Insert(args, 1, "--cgroup-parent", parent)...)
	told := strings.Contains(e.Stderr, "(dd)") && strings.Contains(e.Stderr, "a cgroup above its own")
	return ended(e.Status == 137 && told, "exit 137, standard error \"… (dd) … a cgroup above its own …\"", e)
}

// limitMemory limits a group in the root of a tree, in either version.
func (b *Box) limitMemory(name, value string) error {
	if mount, _, err := b.tree("memory"); err == nil {
		return os.WriteFile(filepath.Join(mount, name, "memory.limit_in_bytes"), []byte(value), 0)
	}
	mount, _, err := b.tree("")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(mount, name, "memory.max"), []byte(value), 0)
}

// sparedGroup has two boxes that do not see each other's numbers.
func sparedGroup(b *Box) Seen {
	parent, done, err := b.nursery()
	if err != nil {
		return failed(err)
	}
	defer done()
	c, err := b.Cat("run", "--cgroup-parent", parent, "/bin/cat")
	if err != nil {
		return failed(err)
	}
	e := b.prepare("unshare", "-m", "-p", "-f", "--mount-proc", b.path, "run", "--cgroup-parent", parent, "/bin/true").toItsEnd()
	return all(status(0, e), status(0, c.Stop()))
}

func execGroup(b *Box) Seen {
	c, err := b.Cat("run", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	joined, err := b.Cat("exec", c.pid(), "cat")
	if err != nil {
		return failed(err)
	}
	return all(same(b.belowRoots(c.pid()), b.belowRoots(joined.pid())),
		holds(b.belowRoots(c.pid()) != b.belowRoots(host), "groups that are not ours", "ours"))
}

func paused(b *Box) Seen {
	c, err := b.Cat("run", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	dir, _, err := b.group(c.pid(), "")
	if err != nil {
		return failed(err)
	}
	frozen := func(command string) string {
		e := b.Run(command, c.pid())
		return fmt.Sprintf("%s: exit %d, frozen %d", command, e.Status, counter(contentOf(filepath.Join(dir, "cgroup.events")), "frozen"))
	}
	return all(same("pause: exit 0, frozen 1", frozen("pause")), refused(b.Run("exec", c.pid(), "true")), same("unpause: exit 0, frozen 0", frozen("unpause")))
}

func updated(b *Box) Seen {
	c, err := b.Cat("run", "--memory", "64m", "--memory-swap", "64m", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	if ran := status(0, b.Run("update", c.pid(), "--memory", "96m", "--memory-swap", "96m")); !ran.Holds {
		return ran
	}
	seen := []Seen{same("100663296", c.limit("memory.max", "memory.limit_in_bytes"))}
	seen = append(seen, status(0, b.Run("update", c.pid(), "-m", "0")))
	return all(append(seen, holds(slices.Contains([]string{"max", "9223372036854771712"}, c.limit("memory.max", "memory.limit_in_bytes")), "no limit", "one"))...)
}

func statistics(b *Box) Seen {
	c, err := b.Cat("run", "--memory", "64m", "--pids-limit", "7", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	e := b.Run("stats", "--no-stream", "--format", "json", c.pid())
	told := strings.Contains(e.Stdout, `"memory_limit":67108864`) && strings.Contains(e.Stdout, `"pids":1,"pids_limit":7`)
	return ended(e.Status == 0 && told, `"memory_limit":67108864 … "pids":1,"pids_limit":7`, e)
}

// badLimits are refused whether the user may have any or not.
func badLimits(b *Box) Seen {
	var seen []Seen
	for _, flag := range []string{"--memory=0.1", "--memory=-5", "--memory=64x", "--memory=1m", "--memory=99999999999999g", "--memory-swap=64m",
		"--cpus=0.001", "--cpus=-1", "--cpus=nan", "--cpus=100000", "--cpu-shares=1", "--cpuset-cpus=99999", "--cpuset-cpus=a", "--pids-limit=-2",
		"--cpu-period=999", "--cpu-period=1000001", "--cpu-quota=999", "--cpu-quota=-2", "--cpuset-mems=65535", "--cpuset-mems=a",
		"--device-write-bps=/dev/null:1m", "--device-write-bps=/dev/none:1m", "--oom-score-adj=5000", "--cgroup-parent=/stagebox-none"} {
		seen = append(seen, refused(b.Run("run", flag, "/bin/true")))
	}
	return all(seen...)
}

// noLimits are given as 0, as scripts do. An ordinary user has no group that could have any.
func noLimits(b *Box) Seen {
	zeros := []string{"run", "-m", "0", "--cpus", "0", "--pids-limit", "0", "--cpu-shares", "0", "--cpu-period", "0", "--cpu-quota", "0"}
	if e := b.Run(append(zeros, "/bin/true")...); e.Status != 0 || b.uid != 0 || !b.hasController("pids") {
		return status(0, e)
	}
	c, err := b.Cat(append(zeros, "/bin/cat")...)
	if err != nil {
		return failed(err)
	}
	return same("max", c.limit("pids.max", "pids.max"))
}

func undelegated(b *Box) Seen {
	e := b.Run("run", "--memory", "64m", "/bin/true")
	if e.Status == 0 {
		return Seen{Cannot: "this user has a group that was delegated"}
	}
	way := "systemd-run"
	if _, err := os.Stat("/run/systemd/system"); err != nil { // no systemd runs here: sd_booted(3)
		way = "chown"
	}
	return all(refused(e), holds(strings.Contains(e.Stderr, way), "a sentence with "+way, e.Stderr))
}

// handOut lets the groups below the root of version 2 have all controllers that a box gives to
// its own, as systemd does.
func handOut(mount string) (err error) {
	for _, controller := range strings.Fields(contentOf(filepath.Join(mount, "cgroup.controllers"))) {
		if slices.Contains([]string{"cpu", "cpuset", "io", "memory", "pids"}, controller) {
			err = errors.Join(err, os.WriteFile(filepath.Join(mount, "cgroup.subtree_control"), []byte("+"+controller), 0))
		}
	}
	return err
}

// delegated makes a group, as systemd does for a user, and runs the binary in it.
func delegated(b *Box) Seen {
	mount, _, err := b.tree("")
	if _, _, v1 := b.tree("memory"); err != nil || v1 == nil || os.Geteuid() != 0 {
		return Seen{Cannot: "it takes root to delegate a group, and memory in version 2"}
	}
	dir := filepath.Join(mount, ourName())
	for _, err := range []error{
		handOut(mount),
		os.Mkdir(dir, 0o755), os.Chown(dir, b.uid, b.gid), os.Chown(filepath.Join(dir, "cgroup.procs"), b.uid, b.gid),
		os.Chown(filepath.Join(dir, "cgroup.subtree_control"), b.uid, b.gid),
	} {
		if err != nil {
			return failed(err)
		}
	}
	defer func() { os.Remove(filepath.Join(dir, "box")); os.Remove(dir) }()
	if b.group2, err = os.Open(dir); err != nil {
		return failed(err)
	}
	defer b.group2.Close()
	c, err := b.Cat("run", "--memory", "64m", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	is := c.limit("memory.max", "memory.max")
	return all(same("67108864", is), status(0, c.Stop()))
}
