package behave

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The rows about who the root of a container is outside: user_namespaces(7).

var idRows = []Row{{
	Name: "user 0 inside is the ordinary user outside", Since: 1, For: User,
	Check:  func(b *Box) Seen { return callerIsZero(b) },
	Broken: unmapped,
}, {
	Name: "user 0 inside is root outside with --unshare user", Since: 1, For: Root,
	Check:  func(b *Box) Seen { return callerIsZero(b, "--unshare", "user") },
	Broken: drop("--unshare | user"),
}, {
	Name: "the command is user 0 and group 0 inside", Since: 1,
	Check: func(b *Box) Seen {
		return printed("0 0", b.Run("run", "/bin/sh", "-c", "echo $(id -u) $(id -g)"))
	},
	Broken: unmapped,
}, {
	Name: "a file made inside belongs to the caller outside", Since: 1,
	Check:  fileInside,
	Broken: before(`mount -t tmpfs stagebox "${2%/*}"`), // over the directory of touch's argument
}, {
	Name: "an ordinary user who shares the user namespace is told that it cannot be", Since: 1, For: User,
	Check:  func(b *Box) Seen { return refused(b.Run("run", "--share", "user", "/bin/true")) },
	Broken: drop("--share | user"),
}}

// callerIsZero looks at the first line of each map. More may follow: /etc/subuid.
func callerIsZero(b *Box, flags ...string) Seen {
	c, err := b.Cat(slices.Concat([]string{"run"}, flags, []string{"/bin/cat"})...)
	if err != nil {
		return failed(err)
	}
	first := func(file string) string {
		line, _, _ := strings.Cut(b.text(c.pid()+"/"+file), "\n")
		return words(line)
	}
	return same(fmt.Sprintf("uid_map 0 %d 1, gid_map 0 %d 1", b.uid, b.gid),
		fmt.Sprintf("uid_map %s, gid_map %s", first("uid_map"), first("gid_map")))
}

func fileInside(b *Box) Seen {
	path := filepath.Join(b.Dir, "made")
	if ran := status(0, b.Run("run", "/bin/touch", path)); !ran.Holds {
		return ran
	}
	expected := fmt.Sprintf("owner %d:%d", b.uid, b.gid)
	info, err := os.Stat(path)
	if err != nil {
		return same(expected, err.Error())
	}
	owner := info.Sys().(*syscall.Stat_t)
	return same(expected, fmt.Sprintf("owner %d:%d", owner.Uid, owner.Gid))
}
