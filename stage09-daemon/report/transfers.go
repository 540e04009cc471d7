package report

import (
	"fmt"
	"strings"

	"stagebox/stage05-images/registry"
)

// Pulling is what Docker says before the first layer of an image that is pulled.
func Pulling(name string) any {
	ref, err := registry.ParseReference(name)
	if err != nil {
		return nil
	}
	id := ref.Tag
	if ref.Digest != "" {
		id = ref.Digest.String()
	}
	return map[string]string{"id": id, "status": "Pulling from " + ref.Repository}
}

// Pushing is what Docker says before the first layer of an image that is pushed.
func Pushing(name string) any {
	ref, err := registry.ParseReference(name)
	if err != nil {
		return nil
	}
	return map[string]string{"status": "The push refers to repository [" + ref.Host + "/" + ref.Repository + "]"}
}

// Pushed is for programs: what box push says of the manifest that it has pushed.
func Pushed(status string) any {
	var tag, digest string
	var size int64
	fmt.Sscanf(status, "%s digest: %s size: %d", &tag, &digest, &size) // what is missing stays empty
	return map[string]any{"progressDetail": map[string]any{}, "aux": map[string]any{"Tag": strings.TrimSuffix(tag, ":"), "Digest": digest, "Size": size}}
}
