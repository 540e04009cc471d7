package runtimestate

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Log appends a line to the file that engines read errors from, if there is one.
func Log(file, format, level, text string) {
	if file == "" {
		return
	}
	now := time.Now().UTC().Format(time.RFC3339)
	line := fmt.Sprintf("time=%q level=%s msg=%q\n", now, level, text)
	if format == "json" {
		data, _ := json.Marshal(map[string]string{"level": level, "msg": text, "time": now})
		line = string(data) + "\n"
	}
	out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = out.WriteString(line)
		out.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "box: --log:", err)
	}
}

// WritePID writes the number of a process to a file, all at once.
func WritePID(file string, pid int) error {
	next := filepath.Join(filepath.Dir(file), "."+filepath.Base(file))
	if err := os.WriteFile(next, []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return fmt.Errorf("--pid-file: %w", err)
	}
	return os.Rename(next, file)
}

// Input is a file in memory with the state, for the standard input of a hook.
func Input(shown specs.State) (*os.File, error) {
	data, err := json.Marshal(shown)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("state", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), "state")
	if _, err = file.Write(data); err == nil {
		_, err = file.Seek(0, 0)
	}
	return file, err
}

// RunHook runs a hook in a directory to its end, or until its time is up.
func RunHook(hook specs.Hook, dir string, input *os.File) error {
	ctx := context.Background()
	if hook.Timeout != nil {
		limited, cancel := context.WithTimeout(ctx, time.Duration(*hook.Timeout)*time.Second)
		defer cancel()
		ctx = limited
	}
	command := exec.CommandContext(ctx, hook.Path)
	command.Dir = dir
	if len(hook.Args) > 0 {
		command.Args = hook.Args
	}
	command.Env, command.Stdin, command.Stdout = append([]string{}, hook.Env...), input, os.Stdout
	command.Stderr, command.WaitDelay = os.Stderr, time.Second
	return command.Run()
}
