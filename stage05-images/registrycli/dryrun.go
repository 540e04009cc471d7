package registrycli

import (
	"errors"
	"fmt"

	"stagebox/stage05-images/registry"
)

// WouldPull is the error of --dry-run for an image that is not in the store: nothing is pulled
// then, and without the image there is no plan to print. It says where the image would come from.
// isMade is true for tiny, which needs no registry.
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
