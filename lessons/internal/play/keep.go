package play

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/vm"
)

// packTime is how long a machine may take to pack its files. One that was broken may never answer.
const packTime = time.Minute

// keptPart is the part of a machine's memory that the kept files may have: at boot there are
// two copies of them, beside two of its own.
const keptPart = 5

// packScript prints the files in a directory as an archive. What is mounted below is not kept, nor are
// sockets. That a file has changed meanwhile is no failure.
const packScript = `tar --one-file-system -C "$0" -cf - . 2>` + packErrors + `
status=$?
[ $status -le 1 ] || exit $status`

// packErrors is where tar's messages are.
const packErrors = "/run/pack.err"

// pack returns the files in a machine's /work as a tar archive in memory, of limit bytes at most.
func pack(m *vm.Machine, limit int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("stagebox-kept", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	files := os.NewFile(uintptr(fd), "kept")
	done := make(chan error, 1)
	go func() { done <- m.Stream(&limited{files, limit}, "sh", "-c", packScript, home) }()
	select {
	case err = <-done:
	case <-time.After(packTime):
		return nil, fmt.Errorf("no answer from the machine in %s", packTime) // the file is closed when the machine is
	}
	if err != nil && !errors.Is(err, errTooMuch) {
		why, _ := m.Output("tail", "-n", "1", packErrors) // without it, the status says what there is to say
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(why))
	}
	if err == nil {
		_, err = files.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	return files, nil
}

// errTooMuch is that of a machine with more to keep than the next one could hold.
var errTooMuch = errors.New("the files are too large for the next machine to begin with")

// limited is a writer that takes so many bytes.
type limited struct {
	io.Writer
	left int64
}

func (l *limited) Write(data []byte) (int, error) {
	if l.left -= int64(len(data)); l.left < 0 {
		return 0, errTooMuch
	}
	return l.Writer.Write(data)
}
