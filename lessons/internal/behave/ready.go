package behave

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// firstImages is the stage that brings images, and tiny among them.
const firstImages = 5

// readyStore is a store that holds the image tiny and nothing else, made by the first check that
// asks for it; the others wait.
type readyStore struct {
	once sync.Once
	dir  string // "" when the binary could not make it
	err  error
}

// usesTiny reports whether a command line begins with the image tiny. All builds do.
func usesTiny(words []string) bool {
	return len(words) > 0 && (words[0] == "build" || words[0] == "run" && slices.Contains(words, "tiny"))
}

// fillStore copies the ready store to the check's own, when the check's first run needs tiny: to
// assemble the image takes as long as 15 containers, and is a matter of the rows that are Fresh.
// Files of the layer are links, which overlays do not write to; all others are copies.
func (b *Box) fillStore(words []string) error {
	if !b.ready || !usesTiny(words) {
		return nil
	}
	b.ready = false
	if entries, err := os.ReadDir(b.store()); err != nil || len(entries) > 0 {
		return err
	}
	ready := &b.place.stores[b.who]
	ready.once.Do(func() { ready.dir, ready.err = b.makeStore() })
	if ready.dir == "" {
		return ready.err
	}
	ran := b.ran
	defer func() { b.ran = ran }()
	copied := b.prepare("cp", "-a", ready.dir+"/.", b.store()).toItsEnd()
	linked := b.prepare("cp", "-al", ready.dir+"-layers", filepath.Join(b.store(), "layers")).toItsEnd()
	if copied.Status != 0 || linked.Status != 0 {
		return fmt.Errorf("cp: %s; %s", copied, linked)
	}
	return nil
}

// makeStore has the binary itself fill a store, and puts the layers beside it. A binary that
// cannot is left to the checks.
func (b *Box) makeStore() (string, error) {
	maker := &Box{kernel: b.kernel, person: b.person, ctx: b.ctx, path: b.place.binary, forgotten: b.forgotten, place: b.place}
	maker.Dir = filepath.Join(b.place.dir, "ready-"+itoa(b.uid))
	for _, dir := range []string{maker.Dir, maker.store()} {
		if err := errors.Join(os.Mkdir(dir, 0o711), os.Chown(dir, b.uid, b.gid)); err != nil {
			return "", err
		}
	}
	made := maker.Run("run", "--rm", "tiny", "true")
	if err := maker.end(); err != nil || made.Err != nil || made.Status != 0 {
		return "", err
	}
	dir := maker.store()
	return dir, os.Rename(filepath.Join(dir, "layers"), dir+"-layers")
}
