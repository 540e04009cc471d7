// Package runtimecli is the part of an OCI runtime's command line that engines rely on and that
// makes no container: runc's flags before the command (Options) and after it (verbs.go), reading
// the bundle of create and run (BundleOptions.Load), the log file from which engines read errors,
// files and sockets by which a process and its terminal are handed over, and what list, ps and
// version print. No lesson reads it.
package runtimecli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage05-images/runtimestate"
)

// Options are the flags that runc takes before the command.
type Options struct {
	Root          string `help:"Directory for the state of containers." placeholder:"DIR"`
	Log           string `help:"Also write errors and warnings to a file." placeholder:"FILE"`
	LogFormat     string `help:"Format of --log: text or json." enum:"text,json" default:"text"`
	Debug         bool   `hidden:""`
	SystemdCgroup bool   `help:"Not supported: box makes cgroups itself."`
	Rootless      string `hidden:""`
}

// withValue are those of them that take a value, and one of runc's that box ignores.
var withValue = []string{"--root", "--log", "--log-format", "--rootless", "--criu"}

// Args returns the words after the program's name as box takes them: "runtime", the command, and
// after it the flags that runc has before it. It returns them as they are unless the program is called
// runc, or the first of them is runtime.
func Args(args []string) []string {
	rest := args[1:]
	if filepath.Base(args[0]) != "runc" {
		if len(rest) == 0 || rest[0] != "runtime" {
			return rest
		}
		rest = rest[1:]
	}
	if len(rest) > 0 && (rest[0] == "--version" || rest[0] == "-v") {
		rest = []string{"version"}
	}
	var flags []string
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		n := 1
		if slices.Contains(withValue, rest[0]) && len(rest) > 1 {
			n = 2
		}
		flags, rest = append(flags, rest[:n]...), rest[n:]
	}
	if len(rest) == 0 {
		return append([]string{"runtime"}, flags...)
	}
	return slices.Concat([]string{"runtime", rest[0]}, flags, rest[1:])
}

// States returns the directory of the containers' states.
func (o *Options) States() runtimestate.Store {
	if o.Root != "" {
		return runtimestate.Store(o.Root)
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); os.Geteuid() != 0 && dir != "" {
		return runtimestate.Store(filepath.Join(dir, "stagebox"))
	}
	return "/run/stagebox"
}

// Logged runs a command, and writes its error to --log too. The exit status of a container's
// program is not an error.
func (o *Options) Logged(run func() error) error {
	err := errors.New("--systemd-cgroup: not supported: box makes cgroups itself; " +
		"have the engine use the cgroupfs driver")
	if !o.SystemdCgroup {
		err = run()
	}
	var ended plan.ExitStatus
	if err != nil && !errors.As(err, &ended) {
		o.write("error", err.Error())
	}
	return err
}

// Find returns the container of a name. freezer is the file of a cgroup that says whether it is paused.
func (o *Options) Find(id, freezer string) (*runtimestate.State, error) {
	s, err := o.States().Find(id)
	if err == nil {
		s.NotePause(freezer)
	}
	return s, err
}

// With finds a container and calls do with it; an error goes to --log too. freezer is as for Find.
func (o *Options) With(id, freezer string, do func(s *runtimestate.State) error) error {
	return o.Logged(func() error {
		s, err := o.Find(id, freezer)
		if err != nil {
			return err
		}
		return do(s)
	})
}

// Warn writes a warning to --log.
func (o *Options) Warn(text string) { o.write("warning", text) }

// write appends a line to the file of --log, in logrus's format, which engines parse.
func (o *Options) write(level, text string) {
	if o.Log == "" {
		return
	}
	now := time.Now().UTC().Format(time.RFC3339)
	line := fmt.Sprintf("time=%q level=%s msg=%q\n", now, level, text)
	if o.LogFormat == "json" {
		data, _ := json.Marshal(map[string]string{"level": level, "msg": text, "time": now})
		line = string(data) + "\n"
	}
	out, err := os.OpenFile(o.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = out.WriteString(line)
		out.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "box: --log:", err)
	}
}
