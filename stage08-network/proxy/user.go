package proxy

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// User finds the process that has a port, of tcp or udp, in this network namespace. The pid is 0
// where it cannot be seen, and the name of its command "?" where that cannot be read. A socket
// has a number in /proc/net/tcp or udp, which is found again in /proc/PID/fd (proc(5)).
func User(proto string, port uint16) (pid int, command string) {
	for _, file := range []string{proto, proto + "6"} {
		f, err := os.Open("/proc/thread-self/net/" + file)
		if err != nil {
			continue // a host without IPv6
		}
		inode := socketOn(f, proto, port)
		f.Close()
		if pid := holder(inode); pid > 0 {
			return pid, commandOf(pid)
		}
	}
	return 0, ""
}

// socketOn finds the inode of a socket that listens: "sl local remote state … inode".
func socketOn(r io.Reader, proto string, port uint16) string {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || proto == "tcp" && fields[3] != "0A" {
			continue
		}
		_, hexPort, _ := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(hexPort, 16, 16); err == nil && uint16(n) == port {
			return fields[9]
		}
	}
	return ""
}

// holder finds a process that has a socket open.
func holder(inode string) (pid int) {
	if inode == "" {
		return 0
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0
	}
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && link == "socket:["+inode+"]" {
			pid, _ = strconv.Atoi(strings.Split(fd, "/")[2])
			return pid
		}
	}
	return 0
}

func commandOf(pid int) string {
	name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(name))
}
