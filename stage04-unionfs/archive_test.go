package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// sh runs a script in a directory, and returns what it prints.
func sh(t testing.TB, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// tools skips a test where the host lacks a program.
func tools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("this host has no %s", name)
		}
	}
}

// manyKinds fills a directory with what a tree can hold; special has what only root can make.
const manyKinds = `
	mkdir -p d/e 'with space'
	echo content > d/file; ln d/file d/second; ln -s ../nowhere d/link
	head -c 300000 /dev/urandom > big; : > empty
	echo x > "$(printf 'new\nline')"; mkfifo pipe
	n=$(printf 'x%.0s' $(seq 120)); mkdir -p "$n/$n"; echo long > "$n/$n/$n"; ln -s "$n/$n/$n" longlink
	echo u > suid; chmod 6755 suid; chmod 1777 'with space'; chmod 700 d/e
	find . -depth -exec touch -h -d '2001-02-03 04:05:06.123456789' {} +
	touch -d @-5 empty`
const special = `
	chown -h 3000000:42 d/file d/link; mknod chr c 1 3; mknod blk b 7 77; chmod 6755 suid
	touch -h -d @1000000000 chr blk`

// listing is what find(1) sees of a tree: everything but the times of its top.
func listing(t testing.TB, dir string) string {
	t.Helper()
	return sh(t, dir, `LC_ALL=C; export LC_ALL
		find . -mindepth 1 \( -type d -printf '%P %y %m %U:%G %T@\n' -o -printf '%P %y %m %U:%G %s %n %l %T@\n' \) | sort
		find . -type f -exec sha256sum {} + | sort`)
}
