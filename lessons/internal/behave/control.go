package behave

import (
	"os"
	"syscall"
)

// writeProgram writes an executable file that every user may run. No process forks meanwhile:
// a child would hold a copy of the descriptor for a moment, and a file that is open for
// writing cannot be executed (ETXTBSY).
func writeProgram(path string, content []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, content, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// broken is the text of a program that runs a script with $BOX set to the binary.
func broken(binary, script string) []byte {
	return []byte("#!/bin/sh\nBOX=" + quote(binary) + "\n" + script + "\n")
}

// The scripts that several rows break the binary with:

// addFlags adds flags to every run.
func addFlags(flags string) string {
	return `[ "$1" = run ] && { shift; set -- run ` + flags + ` "$@"; }
exec "$BOX" "$@"`
}

// share has every run share a namespace with the host.
func share(kind string) string { return addFlags("--share " + kind) }

// drop leaves words out of the command line; they are patterns of a shell's case.
func drop(words string) string {
	return `for word; do shift; case $word in ` + words + `) ;; *) set -- "$@" "$word" ;; esac; done
exec "$BOX" "$@"`
}

// before runs a shell command inside, before the command of a run that has no flags.
func before(command string) string {
	return `[ "$1" = run ] && { shift; set -- run /bin/sh -c '` + command + `; exec "$@"' sh "$@"; }
exec "$BOX" "$@"`
}

const (
	// onHost does not enter the container.
	onHost = `[ "$1" = exec ] && { shift 2; exec "$@"; }
exec "$BOX" "$@"`

	// unmapped makes a user namespace in which no user has a number.
	unmapped = `[ "$1" = run ] && { shift; exec unshare -U -p -f "$@"; }
exec "$BOX" "$@"`

	// zero always reports success.
	zero = `"$BOX" "$@"; exit 0`

	// one reports every failure as 1, and says nothing.
	one = `"$BOX" "$@" 2>/dev/null || exit 1`

	// uncontained makes no container at all.
	uncontained = `[ "$1" = run ] && { shift; "$@"; exit; }
exec "$BOX" "$@"`

	// beside runs the binary beside the shell. A shell gives what runs beside it no
	// standard input, unless it comes from another descriptor.
	beside = `exec 3<&0; "$BOX" "$@" <&3 3<&- & `

	// deaf kills where it should pass SIGINT and SIGTERM on.
	deaf = `trap 'kill -KILL $!' INT TERM; ` + beside + `wait $!; wait $!`

	// detached ends and leaves the binary behind when it is killed.
	detached = beside + `wait $!`

	// statusLost lives through Ctrl-C, and forgets how the binary has ended.
	statusLost = `trap : INT
"$BOX" "$@"; exit 1`
)
