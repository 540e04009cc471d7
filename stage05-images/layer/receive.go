// Receiving a layer whose digest is not known beforehand, from an archive (load, import): it is
// kept, hashed and unpacked in one pass. A pull knows the digest, and calls Unpack.

package layer

import (
	"errors"
	"io"
	"os"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
)

// Receive unpacks a layer like Unpack, and writes its blob to file, a new one, which gets the mode
// 0644. It returns the descriptor of the blob and the digest of the uncompressed stream.
func Receive(
	r io.Reader, file *os.File, dir string, limit Limit,
) (blob ocispec.Descriptor, diffID digest.Digest, err error) {
	tee := io.TeeReader(r, file)
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
