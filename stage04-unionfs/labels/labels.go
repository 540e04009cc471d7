// Package labels reads labels, the notes that a container, volume or image carries: KEY=VALUE, or
// KEY alone, whose value is empty. No lesson reads it.
package labels

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"stagebox/stage03-rootfs/envfile"
)

// Read returns the labels of --label-file, a label a line, before those of --label, which win.
func Read(files, flags []string) ([]string, error) {
	var list []string
	for _, file := range files {
		lines, err := envfile.Read(file)
		if err != nil {
			return nil, fmt.Errorf("--label-file %s: %w", file, err)
		}
		list = append(list, lines...)
	}
	list = append(list, flags...)
	for _, label := range list {
		if key, _, _ := strings.Cut(label, "="); key == "" || strings.ContainsAny(key, " \t\n") {
			return nil, fmt.Errorf("--label %q: give KEY or KEY=VALUE, and a key without blanks", label)
		}
	}
	return list, nil
}

// CheckNotes refuses an annotation without a key.
func CheckNotes(list []string) error {
	for _, note := range list {
		if note == "" || note[0] == '=' {
			return fmt.Errorf("--annotation %q: give KEY=VALUE", note)
		}
	}
	return nil
}

// Map returns labels by their keys. Of several with one key the last wins.
func Map(list []string) map[string]string {
	labels := map[string]string{}
	for _, label := range list {
		key, value, _ := strings.Cut(label, "=")
		labels[key] = value
	}
	return labels
}

// List returns labels as KEY=VALUE, sorted.
func List(labels map[string]string) (list []string) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, key+"="+labels[key])
	}
	return list
}
