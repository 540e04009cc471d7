// Package filter reads the --filter flags of lists, NAME=VALUE as Docker takes them: of several
// values for one name any may match, and every name has to. No lesson reads it.
package filter

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Filters are the values by name.
type Filters map[string][]string

// Parse reads flags whose names have to be among the known ones.
func Parse(flags []string, known ...string) (Filters, error) {
	f := Filters{}
	for _, flag := range flags {
		name, value, ok := strings.Cut(flag, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || value == "" {
			return nil, fmt.Errorf("--filter %s: give NAME=VALUE", flag)
		}
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("--filter %s: invalid filter %q; available: %s",
				flag, name, strings.Join(known, ", "))
		}
		f[name] = append(f[name], value)
	}
	return f, nil
}

// Any reports whether one of the values of a name matches, or none was given.
func (f Filters) Any(name string, match func(value string) bool) bool {
	return len(f[name]) == 0 || slices.ContainsFunc(f[name], match)
}

// All reports whether every value of a name matches.
func (f Filters) All(name string, match func(value string) bool) bool {
	return !slices.ContainsFunc(f[name], func(value string) bool { return !match(value) })
}

// Labels reports whether labels have all that are asked for, each as KEY or KEY=VALUE.
func (f Filters) Labels(labels map[string]string) bool {
	return f.All("label", func(wanted string) bool {
		key, value, exact := strings.Cut(wanted, "=")
		has, ok := labels[key]
		return ok && (!exact || has == value)
	})
}

// Text matches values that are regular expressions against a text.
func Text(text string) func(value string) bool {
	return func(value string) bool {
		matches, err := regexp.MatchString(value, text)
		return value == text || err == nil && matches
	}
}

// OneOf returns an error unless every value of a name is one of the words.
func (f Filters) OneOf(name string, words ...string) error {
	for _, value := range f[name] {
		if !slices.Contains(words, value) {
			return fmt.Errorf("--filter %s=%s: invalid value; available: %s",
				name, value, strings.Join(words, ", "))
		}
	}
	return nil
}
