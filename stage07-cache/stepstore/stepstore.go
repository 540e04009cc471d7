// Package stepstore keeps on the disk which steps of builds were made: a file for each, named by
// the step's key. A file that is damaged or not to be trusted is an error, so that a build can
// take the step for one that was never made.
//
// A Cache is the directory as a build uses it: it finds a step, locks it among builds, and imports
// the steps that an image's manifest lists (--cache-from). Open, Read and Write work on the files
// themselves; List and Pruning remove steps. The lesson reads Entry, Read, Open, Cache.Find and
// Cache.read.
package stepstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage06-dockerfile/ui"
)

// Version is the version of the rules for keys: entries of other versions are ignored.
const Version = 1

// Entry is a step that was made, in DIR/steps/KEY.json.
type Entry struct {
	Version int
	Created time.Time
	Step    string
	Layer   *ocispec.Descriptor `json:",omitempty"` // if it made one
	On      digest.Digest       `json:",omitempty"` // the topmost layer afterwards
	Bytes   int64               // of the layer's files
}

// Read reads an entry and holds it against the checksum in its second line. A missing one is
// fs.ErrNotExist.
func Read(path string) (*Entry, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	line, sum, _ := bytes.Cut(data, []byte("\n"))
	if fmt.Sprintf("%x\n", sha256.Sum256(line)) != string(sum) {
		return nil, fmt.Errorf("%s is damaged", path)
	}
	e := &Entry{}
	if err := json.Unmarshal(line, e); err != nil || e.Version != Version {
		return nil, fmt.Errorf("%s is of another version", path)
	}
	return e, nil
}

// Write writes an entry, and its checksum in a second line, for Read.
func Write(path string, e *Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = fmt.Appendf(line, "\n%x\n", sha256.Sum256(line))
	return state.Write(path, line, 0o600, state.Volatile)
}

// ReadNote reads the steps, by their keys, that the manifest of an image lists as JSON: those of this
// version that made no layer, or one of the image's.
func ReadNote(note string, layers []digest.Digest) (map[string]*Entry, error) {
	steps := map[string]*Entry{}
	if err := json.Unmarshal([]byte(note), &steps); err != nil {
		return nil, fmt.Errorf("the list of its steps: %w", err)
	}
	maps.DeleteFunc(steps, func(_ string, e *Entry) bool {
		return e == nil || e.Version != Version || e.Layer != nil && !slices.Contains(layers, e.Layer.Digest)
	})
	return steps, nil
}

// Open makes the directories of a cache, and refuses one that cannot be used: another user could
// have written anything into it, and a newer box may have other rules.
func Open(dir string) error {
	for _, name := range []string{"steps", "slots", "files", "urls", "mounts"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		if err := unix.Access(path, unix.W_OK); err != nil {
			return fmt.Errorf("write to %q: %w", path, err)
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, not to this one", dir, owner)
	}
	name := filepath.Join(dir, "version")
	version, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return state.Write(name, fmt.Appendf(nil, "%d\n", Version), 0o600, state.Durable)
	}
	if text := strings.TrimSpace(string(version)); err == nil && text != fmt.Sprint(Version) {
		return fmt.Errorf("%s is of version %q, and this box writes %d: box builder prune --all"+
			" of the other box empties it", dir, ui.Cut(text, 24), Version)
	}
	return err
}
