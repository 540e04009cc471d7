// Receiving a layer whose digest is not known beforehand, from an archive (load, import): it is
// kept, hashed and unpacked in one pass. A pull knows the digest, and calls Unpack.

package layer

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
)

// Receive unpacks a layer like Unpack, and writes its blob to file, a new one, which gets the mode
// 0644. It returns the descriptor of the blob and the digest of the uncompressed stream.
func Receive(
	r io.Reader, file *os.File, dir string, limit Limit,
) (blob ocispec.Descriptor, diffID digest.Digest, err error) {
	early := &earlyWriter{File: file, busy: make(chan struct{}, 1)}
	defer early.wait()
	tee := io.TeeReader(r, early)
	sum, err := Unpack(tee, dir, limit)
	if err == nil {
		_, err = io.Copy(io.Discard, tee)
	}
	if err != nil {
		return blob, "", err
	}
	blob.MediaType, blob.Digest = ocispec.MediaTypeImageLayer, sum.DiffID
	if sum.Compression != "" {
		blob.MediaType += "+" + sum.Compression
		if blob.Digest, err = digestOf(file); err != nil {
			return blob, "", err
		}
	}
	blob.Size, err = file.Seek(0, io.SeekEnd)
	return blob, sum.DiffID, errors.Join(err, file.Chmod(0o644))
}

// digestOf reads a file again, which was just written and so is still in memory.
func digestOf(file *os.File) (digest.Digest, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	return digest.SHA256.FromReader(file)
}

// earlyWriter has the disk write what came while more comes: the wait at the end is shorter then.
// Nothing depends on it, so errors are left to that wait.
type earlyWriter struct {
	*os.File
	written, begun int64
	busy           chan struct{} // has an element while syncfs(2) runs
}

func (w *earlyWriter) Write(data []byte) (int, error) {
	n, err := w.File.Write(data)
	if w.written += int64(n); w.written-w.begun >= 16<<20 {
		w.begun = w.written
		select {
		case w.busy <- struct{}{}:
			go func() {
				unix.Syncfs(int(w.Fd()))
				<-w.busy
			}()
		default: // the disk is not done with what came before
		}
	}
	return n, err
}

func (w *earlyWriter) wait() { w.busy <- struct{}{} }
