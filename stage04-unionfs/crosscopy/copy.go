package crosscopy

import (
	"errors"
	"io"
)

// Copy copies a source to its place, and returns how many bytes Docker would count. One side
// reads and the other writes at the same time.
func Copy(s *Source, p *Place, owners bool) (bytes int64, err error) {
	from, to := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := s.Archive(to, p)
		done <- err
		to.CloseWithError(err) // nil is the end of the file
	}()
	bytes, err = p.Unpack(from, owners)
	from.CloseWithError(errStopped)
	errArchive := <-done
	if errArchive != nil && !errors.Is(errArchive, errStopped) {
		return bytes, errArchive
	}
	return bytes, err
}

var errStopped = errors.New("the other side has stopped")
