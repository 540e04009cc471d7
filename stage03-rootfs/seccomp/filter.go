package seccomp

import (
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/capability"
)

// Filter returns the program for a process with a set of capabilities: which system calls make
// sense depends on them. The profile is a file, or a text that begins with a brace, as docker
// sends it; Docker's default if it is empty; or unconfined, and then there are no instructions
// and no filter. That of most containers is compiled already.
func Filter(profile string, caps capability.Set) ([]unix.SockFilter, error) {
	switch {
	case profile == "unconfined":
		return nil, nil
	case profile == "" && caps == capability.Default && HasCompiled:
		return Compiled(), nil
	}
	rules, err := loadProfile(profile, caps.Names())
	if err != nil {
		return nil, err
	}
	return Compile(rules)
}

// isFile reports whether a profile is in a file.
func isFile(profile string) bool {
	return profile != "" && profile != "unconfined" && !strings.HasPrefix(profile, "{")
}

// loadProfile reads a profile from a file or a text; without either it is Docker's default.
func loadProfile(path string, caps []string) (*specs.LinuxSeccomp, error) {
	if path == "" {
		return Default(caps)
	}
	data := []byte(path)
	if isFile(path) {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("--security-opt seccomp=%s: %w", path, err)
		}
	}
	profile, err := Parse(data, caps)
	if err != nil {
		return nil, fmt.Errorf("--security-opt seccomp=%s is not a profile: %w", path, err)
	}
	return profile, nil
}
