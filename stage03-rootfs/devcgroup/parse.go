package devcgroup

import (
	"fmt"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"
)

// Parse reads rules as --device-cgroup-rule has them, such as "c 42:* rmw"; the kind a is both.
func Parse(list []string) ([]Rule, error) {
	var rules []Rule
	for _, text := range list {
		// The table of an expression is built only where a rule is given.
		f := regexp.MustCompile(`^([abc]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$`).FindStringSubmatch(text)
		if f == nil {
			return nil, fmt.Errorf("--device-cgroup-rule %q: give a type, two numbers and an access, such as c 42:* rwm", text)
		}
		major, errMajor := parseNumber(f[2])
		minor, errMinor := parseNumber(f[3])
		if errMajor != nil || errMinor != nil {
			return nil, fmt.Errorf("--device-cgroup-rule %q: a number of a device has at most 20 bits", text)
		}
		for _, kind := range map[string][]uint32{"a": {unix.S_IFCHR, unix.S_IFBLK}, "b": {unix.S_IFBLK}, "c": {unix.S_IFCHR}}[f[1]] {
			rules = append(rules, Rule{Kind: kind, Major: major, Minor: minor, Access: f[4]})
		}
	}
	return rules, nil
}

func parseNumber(text string) (uint32, error) {
	if text == "*" {
		return Any, nil
	}
	n, err := strconv.ParseUint(text, 10, 20)
	return uint32(n), err
}

// Check refuses what Parse cannot read.
func Check(list []string) error {
	_, err := Parse(list)
	return err
}
