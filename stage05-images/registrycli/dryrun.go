package registrycli

import (
	"errors"
	"fmt"

	"stagebox/stage05-images/registry"
)

// WouldPull says where an image would come from: --dry-run gets none, and has no list without it.
// isMade is for tiny, which needs no registry.
func WouldPull(name string, isMade bool) error {
	ref, err := registry.ParseReference(name)
	switch {
	case err != nil:
		return err
	case isMade:
		return errors.New("--dry-run: the image tiny is not here, and would be made of this host's" +
			" own programs; box run tiny true makes it")
	}
	return fmt.Errorf("--dry-run: the image %s would be pulled from %s; box pull %s pulls it",
		ref.Familiar(), ref.Host, ref.Familiar())
}
