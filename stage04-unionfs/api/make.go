package api

import (
	"slices"
	"strings"
)

// NewHostConfig is the HostConfig of a container without any flag. Lists that scripts go through
// are empty, not null, as the API has them.
func NewHostConfig() HostConfig {
	return HostConfig{
		LogConfig:   LogConfig{Type: "json-file", Config: map[string]string{}},
		NetworkMode: "none", RestartPolicy: RestartPolicy{Name: "no"},
		PortBindings: map[string][]PortBinding{}, CgroupnsMode: "private", IpcMode: "private",
		DNS: []string{}, DNSOptions: []string{}, DNSSearch: []string{},
		ShmSize: 64 << 20, Runtime: "box",
		BlkioWeightDevice: []ThrottleDevice{}, BlkioDeviceReadBps: []ThrottleDevice{},
		BlkioDeviceWriteBps: []ThrottleDevice{}, BlkioDeviceReadIOps: []ThrottleDevice{},
		BlkioDeviceWriteIOps: []ThrottleDevice{},
		Devices:              []Device{}, Ulimits: []Ulimit{},
		MaskedPaths: []string{}, ReadonlyPaths: []string{},
	}
}

// Env is an environment without variables that a later one of the same name replaces.
func Env(variables []string) []string {
	env := []string{}
	for _, variable := range variables {
		name, _, _ := strings.Cut(variable, "=")
		same := func(v string) bool { return v == name || strings.HasPrefix(v, name+"=") }
		if i := slices.IndexFunc(env, same); i >= 0 {
			env[i] = variable
		} else {
			env = append(env, variable)
		}
	}
	return env
}

// Set adds an element to a set, which may be nil.
func Set(set map[string]struct{}, element string) map[string]struct{} {
	if set == nil {
		set = map[string]struct{}{}
	}
	set[element] = struct{}{}
	return set
}

// Pairs is a map of values such as NAME=VALUE, and nil without any.
func Pairs(list []string, separator string) map[string]string {
	var pairs map[string]string
	for _, pair := range list {
		if pairs == nil {
			pairs = map[string]string{}
		}
		name, value, _ := strings.Cut(pair, separator)
		pairs[name] = value
	}
	return pairs
}

// Capabilities are the names of capabilities in full: CAP_NET_ADMIN for net_admin.
func Capabilities(names []string) []string {
	var list []string
	for _, name := range names {
		if name = strings.ToUpper(name); name != "ALL" && !strings.HasPrefix(name, "CAP_") {
			name = "CAP_" + name
		}
		list = append(list, name)
	}
	return list
}
