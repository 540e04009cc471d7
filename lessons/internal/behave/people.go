package behave

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// person is a user who runs the binary.
type person struct {
	who        Who
	name       string
	uid, gid   int
	credential *syscall.Credential // nil for who we are anyway
	missing    string              // why the person cannot run anything here, or ""
}

// nobody is an ordinary user on every host, with a name or without.
const nobody = 65534

// people are root and an ordinary user. Root can be both.
func people(binary string) ([]person, error) {
	if uid := os.Geteuid(); uid != 0 {
		self := person{who: User, name: fmt.Sprintf("user %d", uid), uid: uid, gid: os.Getegid()}
		self.missing = self.obstacle(binary)
		return []person{{who: Root, name: "root", missing: "run this as root to see it"}, self}, nil
	}
	ordinary, err := ordinaryUser("/etc/subuid")
	if err != nil {
		return nil, err
	}
	ordinary.missing = ordinary.obstacle(binary)
	return []person{{who: Root, name: "root"}, ordinary}, nil
}

// concerns reports whether a row is about this person. When root cannot be had, the ordinary
// user's run of a row for both is enough.
func (p person) concerns(row Row) bool {
	if row.For == 0 {
		return p.who == User || p.missing == ""
	}
	return row.For == p.who
}

// ordinaryUser is the first that a file like /etc/subuid grants further ids, which is the
// richer case, or nobody.
func ordinaryUser(path string) (person, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return person{}, err
	}
	p := person{who: User, uid: nobody, gid: nobody}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), ":")
		if uid, gid, ok := lookUp(name); ok && uid != 0 {
			p.uid, p.gid = uid, gid
			break
		}
	}
	p.name = fmt.Sprintf("user %d", p.uid)
	p.credential = &syscall.Credential{Uid: uint32(p.uid), Gid: uint32(p.gid)}
	return p, lines.Err()
}

// lookUp finds a user by name or number.
func lookUp(name string) (uid, gid int, ok bool) {
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return 0, 0, false
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	return uid, gid, errUID == nil && errGID == nil
}

// obstacle says why a person can run nothing here, whatever the binary.
func (p person) obstacle(binary string) string {
	try := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.credential}
		if out, err := cmd.CombinedOutput(); err != nil {
			return strings.TrimSpace(string(out) + " " + err.Error())
		}
		return ""
	}
	if said := try("test", "-x", binary); said != "" {
		return fmt.Sprintf("%s cannot run programs in %s (%s): set TMPDIR to a directory where everybody can", p.name, os.TempDir(), said)
	}
	if _, err := exec.LookPath("unshare"); err != nil {
		return "" // then the run will show
	}
	if said := try("unshare", "-r", "-m", "true"); said != "" {
		return fmt.Sprintf("%s may make no user namespace here (%s): go run ./lessons doctor 1 knows why", p.name, said)
	}
	return ""
}
