package dockerfile

import (
	"slices"
	"strings"
)

// EnvMap is an environment, NAME=VALUE, as a map.
func EnvMap(env []string) map[string]string {
	m := map[string]string{}
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		m[name] = value
	}
	return m
}

// SetEnv sets a variable of an environment in its place, or at the end.
func SetEnv(env []string, name, value string) []string {
	i := slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	if i < 0 {
		return append(env, name+"="+value)
	}
	env[i] = name + "=" + value
	return env
}
