package behave

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The rows about what exercises ask for and no stage does, and about attacks that only they
// speak of. They are in no stage's suite: a Suite runs them when it names them. They have no
// controls here: the tests of the exercises hold each against a binary without its solution.

var exerciseRows = []Row{{
	Name: "exercise 1b: the group of --pids-limit is gone after the container", Since: 1, For: Root,
	Check: pidsGroupGone,
}, {
	Name: "exercise 4a: what a container of tiny writes, the next one does not see", Since: 4,
	Check: func(b *Box) Seen {
		first := b.Run("run", "--name", "first", "tiny", "sh", "-c", "cat /mine 2>/dev/null; echo mine >/mine")
		next := b.Run("run", "--rm", "tiny", "sh", "-c", "[ -e /mine ] || echo nothing")
		return all(printed("", first), printed("nothing", next), printed("mine", b.Run("start", "-a", "first")))
	},
}, {
	Name: "exercise 4b: no volume's name leads out of the store", Since: 4,
	Check: volumeOutside,
}, {
	Name: "exercise 6b: a Dockerfile does not decide that its steps have all capabilities", Since: 6,
	Check: func(b *Box) Seen {
		e := b.build("FROM tiny", "RUN --security=insecure grep CapEff: /proc/self/status >/caps")
		if e.Status != 0 {
			return status(1, e)
		}
		got := b.Run("run", "--rm", "built", "cat", "/caps")
		return holds(false, "exit 1", "got in: a step had "+words(got.Stdout))
	},
}, {
	Name: "exercise 7a: --network bridge is a cable to the host, and leaves nothing", Since: 7, For: Root,
	Check: inNetwork(cable),
}, {
	Name: "exercise 7b: a file whose time was set back has changed all the same", Since: 7,
	Check: timeSetBack,
}, {
	Name: "exercise 8a: pids lists a container's processes by their numbers on the host and inside, and no others", Since: 8,
	Check: func(b *Box) Seen {
		return b.detached("sleep 101 & exec sleep 102", func() Seen { return b.pids("still") })
	},
}, {
	Name: "exercise 8b: nobody in another network reaches a port that was not published", Since: 8, For: Root,
	Check: inNetwork(otherNetwork),
}, {
	Name: "exercise 9a: the daemon answers with the picture that inspect draws", Since: 9,
	Check: func(b *Box) Seen {
		return b.asked(func(d *asked) Seen {
			d.create("true")
			drawn := b.Run("inspect", "--picture=svg", "still")
			return all(holds(strings.HasPrefix(drawn.Stdout, "<svg"), "a picture", drawn.Stdout),
				same("200 "+timeless(words(drawn.Stdout)), timeless(d.do("GET", "/containers/still/picture", ""))),
				holds(strings.HasPrefix(d.do("GET", "/v1.47/containers/none/picture", ""), "404 "), "404", "another status"))
		})
	},
}, {
	Name: "exercise 9b: a client does not read the environment of the daemon", Since: 9,
	Check: func(b *Box) Seen {
		return b.asked(func(d *asked) Seen {
			d.create("echo secret=$STAGEBOX_SECRET", "STAGEBOX_SECRET")
			d.post("/containers/still/start", "")
			d.post("/containers/still/wait", "")
			logs := b.Run("logs", "still").Line()
			if logs == "secret=1" {
				return holds(false, "secret=", "got in: the container has the daemon's "+logs)
			}
			return same("secret=", logs)
		})
	},
}}

// timeless leaves the time out at which a picture was drawn.
func timeless(svg string) string {
	return regexp.MustCompile(` at [0-9-]+ [0-9:]+</title>`).ReplaceAllString(svg, "</title>")
}

// pidsGroupGone looks in the tree that has the limit, which is the only one with a group.
func pidsGroupGone(b *Box) Seen {
	c, err := b.Cat("run", "--pids-limit", "17", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	dir, _, err := b.group(c.pid(), "pids")
	if err != nil {
		return failed(err)
	}
	if ours, _, _ := b.group(host, "pids"); dir == ours {
		return same("a group of its own", "ours")
	}
	c.Stop()
	return same("gone", gone(dir))
}

// volumeOutside asks for a volume whose name is a path from the store's volumes to a directory
// beside the store.
func volumeOutside(b *Box) Seen {
	outside := filepath.Join(b.Dir, "outside")
	name, err := filepath.Rel(filepath.Join(b.store(), "volumes"), outside)
	if err != nil {
		return failed(err)
	}
	e := b.script("echo x >/data/file", "--rm", "--mount", "type=volume,src="+name+",dst=/data")
	if _, err := os.Stat(filepath.Join(outside, "_data", "file")); !errors.Is(err, fs.ErrNotExist) {
		return holds(false, "nothing outside of the store", "got in: the container has written "+filepath.Join(name, "_data", "file"))
	}
	return refused(e)
}

// cable asks a server in a container from the host, and looks which interfaces the host has,
// before and after.
func cable(n *testNet) Seen {
	before := n.interfaces()
	web, err := n.server("web", "--network", "bridge")
	if err != nil {
		return failed(err)
	}
	heard := begins("web sees ", n.heard(0, net.JoinHostPort(n.eth0(web.PID), "80")))
	n.servers[0].Close() // while a socket is open, its network stays
	web.Stop()
	after := n.interfaces()
	for end := time.Now().Add(patience / 4); after != before && time.Now().Before(end); after = n.interfaces() {
		time.Sleep(10 * time.Millisecond) // a network goes a moment after its last process
	}
	return all(heard, same(before, after))
}

// interfaces are the names of those in this network.
func (n *testNet) interfaces() string {
	var names []string
	for line := range strings.Lines(n.text(host + "/net/dev")) {
		if name, _, ok := strings.Cut(line, ":"); ok {
			names = append(names, strings.TrimSpace(name))
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// pids compares what pids prints with who is in the PID namespace of a container's first process,
// and with the numbers that the kernel gives for it there.
func (b *Box) pids(name string) Seen {
	pid := b.Run("inspect", "-f", "{{.State.Pid}}", name).Line()
	var members []string
	for begin := time.Now(); len(members) != 2 && time.Since(begin) < patience; { // until the shell has become and begotten them
		all, err := b.processes()
		if err != nil {
			return failed(err)
		}
		members = nil
		for _, p := range all {
			if n := itoa(p.pid); b.namespace(n, "pid") == b.namespace(pid, "pid") && strings.HasPrefix(b.text(n+"/cmdline"), "sleep") {
				members = append(members, n+" "+innermost(b.text(n+"/status")))
			}
		}
	}
	e := b.Run("pids", name)
	var told []string
	for _, line := range strings.Split(e.Line(), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] != "PID" {
			told = append(told, fields[0]+" "+fields[1])
		}
	}
	slices.Sort(members)
	slices.Sort(told)
	ok := e.Status == 0 && slices.Equal(members, told) && strings.Contains(e.Stdout, "sleep 101") && strings.Contains(e.Stdout, "sleep 102")
	return ended(ok, "the numbers "+strings.Join(members, ", ")+", with sleep 101 and sleep 102", e)
}

// innermost is the last number of NSpid in a process's status.
func innermost(status string) string {
	_, rest, _ := strings.Cut(status, "\nNSpid:")
	line, _, _ := strings.Cut(rest, "\n")
	if fields := strings.Fields(line); len(fields) > 0 {
		return fields[len(fields)-1]
	}
	return ""
}

// otherNetwork has a container of one network ask a server in another.
func otherNetwork(n *testNet) Seen {
	if e := n.Run("network", "create", "red"); e.Status != 0 {
		return status(0, e)
	}
	web, err := n.server("web", "--network", "red")
	if err != nil {
		return failed(err)
	}
	other, err := n.server("other", "--network", "bridge")
	if err != nil {
		return failed(err)
	}
	asked := net.JoinHostPort(n.eth0(web.PID), "80")
	return all(begins("web sees ", n.heard(web.PID, asked)), same("", n.heard(other.PID, asked)))
}

// eth0 is the first address of this interface in the network of a process, or why there is none.
func (n *testNet) eth0(pid int) (address string) {
	err := visit(pid, func() {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			address = "no eth0: " + err.Error()
			return
		}
		list, err := link.Addrs()
		if err != nil || len(list) == 0 {
			address = "no address"
			return
		}
		address, _, _ = strings.Cut(list[0].String(), "/")
	})
	if err != nil {
		return err.Error()
	}
	return address
}

// timeSetBack changes a file and gives it the time that it had. The time of the change itself
// (ctime) cannot be set. The file has to be old before it is remembered:
// hence the wait.
func timeSetBack(b *Box) Seen {
	build := func() Ended { return b.build("FROM tiny", "COPY file /file", "RUN cp /file /uuid") }
	file, old := filepath.Join(b.context(), "file"), time.Now().Add(-time.Hour)
	if e := build(); e.Status != 0 {
		return status(0, e)
	}
	if err := os.Chtimes(file, old, old); err != nil {
		return failed(err)
	}
	time.Sleep(2100 * time.Millisecond)
	args := []string{"build", "-t", "built", b.context()}
	if e := b.Run(args...); e.Status != 0 {
		return status(0, e)
	}
	if err := errors.Join(os.WriteFile(file, []byte("TEXT\n"), 0o644), os.Chtimes(file, old, old)); err != nil {
		return failed(err)
	}
	if e := b.Run(args...); e.Status != 0 {
		return status(0, e)
	}
	e := b.Run("run", "--rm", "built", "cat", "/file")
	return ended(strings.TrimSpace(e.Stdout) == "TEXT", `exit 0, printed "TEXT"`, e)
}
