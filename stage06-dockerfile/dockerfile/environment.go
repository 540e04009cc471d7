package dockerfile

import (
	"maps"
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

// ProxyEnv returns the variables about proxies that the arguments of a build set, in small letters and
// in capitals: programs differ in what they read.
func ProxyEnv(args map[string]string) (env []string) {
	for name := range strings.FieldsSeq(proxies) {
		value := ""
		for _, arg := range slices.Sorted(maps.Keys(args)) { // lower case sorts last, and wins
			if strings.EqualFold(arg, name) {
				value = args[arg]
			}
		}
		if value != "" {
			env = append(env, strings.ToUpper(name)+"="+value, name+"="+value)
		}
	}
	return env
}
