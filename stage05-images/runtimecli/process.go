package runtimecli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"stagebox/stage03-rootfs/passwd"
	"stagebox/stage05-images/runtimespec"
)

// ProcessOptions are the flags of exec that describe its process.
type ProcessOptions struct {
	Process string   `short:"p" help:"Read the process from a JSON file, in the form of config.json's process." placeholder:"FILE"`
	TTY     bool     `short:"t" name:"tty" help:"Allocate a terminal."`
	User    string   `short:"u" help:"User to run as (default: the container's)." placeholder:"UID[:GID]"`
	Cwd     string   `help:"Working directory (default: the container's)." placeholder:"DIR"`
	Env     []string `short:"e" help:"Set an additional environment variable." placeholder:"NAME=VALUE" sep:"none"`
}

// Of returns the process for exec: the one in the file of --process, or own, which is the
// container's, with the words of args as its command and changed by the other flags.
func (o *ProcessOptions) Of(own *specs.Process, args []string) (*specs.Process, error) {
	process := *own
	if o.Process != "" {
		data, err := os.ReadFile(o.Process)
		process = specs.Process{}
		if err == nil {
			err = json.Unmarshal(data, &process)
		}
		if err != nil {
			return nil, fmt.Errorf("--process: %w", err)
		}
		return &process, runtimespec.CheckProcess(&process)
	}
	process.Args, process.Terminal = args, o.TTY
	process.Cwd = cmp.Or(o.Cwd, process.Cwd)
	process.Env = append(slices.Clone(process.Env), o.Env...)
	if err := o.setUser(&process.User); err != nil {
		return nil, fmt.Errorf("--user: %w", err)
	}
	return &process, runtimespec.CheckProcess(&process)
}

// setUser reads --user, UID or UID:GID. Without a GID the group stays.
func (o *ProcessOptions) setUser(user *specs.User) error {
	uid, gid, both := strings.Cut(o.User, ":")
	for _, id := range []struct {
		text string
		into *uint32
	}{{uid, &user.UID}, {gid, &user.GID}} {
		if o.User == "" || id.text == "" && !both {
			continue
		}
		n, err := passwd.ParseID(id.text)
		if err != nil {
			return err
		}
		*id.into = uint32(n)
	}
	return nil
}
