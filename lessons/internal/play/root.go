package play

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"stagebox/lessons/internal/vm"
)

// tools are the programs of the host that the lessons type, those that the image tiny is made
// of, and a few to look around with.
const tools = `sh bash awk cat chgrp chmod chown chroot cmp cp cut date dd df diff dirname basename du echo
	env expr false find findmnt getcap setcap capsh grep gzip head hostname id install ip jq kill less
	ln ls lsns mkdir mkfifo mknod mktemp more mount mountpoint mv nft nproc nsenter pgrep ping pkill
	printf prlimit ps pwd readlink realpath rm rmdir script sed seq setpriv sha256sum sleep sort ss stat
	strace stty sync tail tar tcpdump tee test timeout top touch tr true truncate tty umount uname uniq
	unshare uptime vi w wc which whoami xargs xz yes curl getent mke2fs losetup newuidmap newgidmap
	ldd pidof free getfattr sysctl dmesg od hexdump clear tput`

// wanted are those that a lesson cannot do without.
var wanted = strings.Fields("sh bash ip nft lsns findmnt strace ps tcpdump curl jq capsh getcap vi less")

// later are programs of the host that one lesson needs. They come into the machine when that lesson
// is opened, because every boot would have to unpack them.
var later = map[int][]string{5: {"docker-registry"}, 9: {"docker"}}

// extras are files of the host that these tools read.
var extras = []string{"/usr/lib/locale/C.utf8/LC_CTYPE", // without it, bash shows what is typed beyond ASCII as numbers
	"/etc/ssl/certs/ca-certificates.crt", "/etc/protocols", "/etc/services", "/etc/nsswitch.conf",
	"/usr/share/terminfo/x/xterm-256color", "/lib/terminfo/x/xterm-256color", "/usr/share/terminfo/x/xterm", "/lib/terminfo/x/xterm",
	"/lib/terminfo/d/dumb", "/usr/share/terminfo/d/dumb"}

//go:embed machine/go.sh
var goScript string

//go:embed machine/sudo.sh
var sudoScript string

//go:embed machine/user.sh
var userScript string

//go:embed machine/bashrc
var bashrc string

//go:embed machine/start.sh
var startScript string

// Places in the machine.
const (
	inside  = "/usr/lib/stagebox" // a directory for each stage, with its box
	current = "/usr/local/bin/box"
	home    = "/work"
	rcFile  = "/etc/stagebox/bashrc"
)

// MakeRoot makes the machine's root of this host's programs, and says which tools are missing.
func MakeRoot(programs Programs) (root *vm.Root, missing []string, err error) {
	if root, err = vm.NewRoot(programs.agent()); err != nil {
		return nil, nil, err
	}
	for _, name := range strings.Fields(tools) {
		if root.Program(name) != nil && slices.Contains(wanted, name) {
			missing = append(missing, name)
		}
	}
	for _, names := range later {
		for _, name := range names {
			_ = root.Libraries(name) // the lesson says where to get it
		}
	}
	addBoxes(root, programs)
	addTexts(root)
	for _, name := range extras {
		if _, err := os.Stat(name); err == nil {
			root.File(vm.File{From: name, To: name})
		}
	}
	if err := root.Finish(); err != nil {
		return nil, nil, errors.Join(err, root.Close())
	}
	return root, missing, nil
}

// addBoxes adds every stage's box, as box1 and so on, and the lessons' programs.
func addBoxes(root *vm.Root, programs Programs) {
	for _, s := range programs.stages {
		box := stageBox(s.Number)
		root.File(vm.File{From: programs.path(s.Name()), To: box})
		root.Link(fmt.Sprintf("%s%d", current, s.Number), box)
	}
	for _, name := range lessonPrograms {
		root.File(vm.File{From: programs.path(name), To: path.Join(inside, "programs", name)})
	}
}

// stageBox is where the box of a stage is in the machine.
func stageBox(stage int) string { return fmt.Sprintf("%s/%d/box", inside, stage) }

// yourBox is where the box of the student's copy of a stage is, which go build finds there.
func yourBox(stage int) string { return fmt.Sprintf("%s/%d/yours", inside, stage) }

// addTexts adds the users, and the scripts that stand in for what the machine does not have.
func addTexts(root *vm.Root) {
	root.Dir(home, 0o755)
	root.Text("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/sh\n"+
		"student:x:1000:1000:student:/home/student:/bin/bash\n"+
		"tcpdump:x:100:100::/:/bin/false\n") // Debian's tcpdump becomes this user
	root.Text("/etc/group", 0o644, "root:x:0:\ntty:x:5:\nnogroup:x:65534:\nstudent:x:1000:\ntcpdump:x:100:\n")
	root.Text("/etc/subuid", 0o644, "student:100000:65536\nnobody:200000:65536\n")
	root.Text("/etc/subgid", 0o644, "student:100000:65536\nnobody:200000:65536\n")
	root.Text("/etc/hosts", 0o644, "127.0.0.1 localhost stagebox\n::1 localhost\n")
	root.Text("/etc/hostname", 0o644, "stagebox\n")
	root.Text("/etc/os-release", 0o644, "ID=stagebox\nNAME=Stagebox\nPRETTY_NAME=\"the playground, made of the host's own programs\"\n")
	root.Text("/root/.vimrc", 0o644, "\" vim looks for no other settings now\n")
	root.Text(rcFile, 0o644, bashrc)
	root.Text("/usr/local/bin/go", 0o755, goScript)
	root.Text("/usr/local/bin/sudo", 0o755, sudoScript)
	root.Text("/usr/local/bin/user", 0o755, userScript)
	root.Start(startScript)
}
