package plan

import "strings"

// DefaultPath is Docker's default PATH.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// PathIn returns the PATH of an environment, for Execve and Search.
func PathIn(env []string) string {
	for _, variable := range env {
		if path, ok := strings.CutPrefix(variable, "PATH="); ok {
			return path
		}
	}
	return DefaultPath
}
