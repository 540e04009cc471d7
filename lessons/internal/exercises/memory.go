package exercises

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// Memory is what is kept between two commands.
type Memory struct {
	Copies map[int]string `json:"copies"` // the directory of a stage's copy
	Hints  map[string]int `json:"hints"`  // how many hints of an exercise were shown
}

// Recall reads what was kept; nothing was when there is no file. Root, when it is somebody
// who became root by sudo, also knows of that user's copies.
func Recall() (Memory, error) {
	m, err := read(stateHome(os.Getenv("HOME"), os.Getenv("XDG_STATE_HOME")))
	if err != nil || os.Geteuid() != 0 || os.Getenv("SUDO_USER") == "" {
		return m, err
	}
	who, err := user.Lookup(os.Getenv("SUDO_USER"))
	if err != nil {
		return m, nil
	}
	theirs, err := read(stateHome(who.HomeDir, ""))
	for stage, dir := range theirs.Copies {
		if m.Copies[stage] == "" {
			m.Copies[stage] = dir
		}
	}
	return m, err
}

// Keep writes it down, for the caller alone.
func (m Memory) Keep() error {
	path := stateHome(os.Getenv("HOME"), os.Getenv("XDG_STATE_HOME"))
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("remember where the copy is: %w", err)
	}
	fresh := path + "." + strconv.Itoa(os.Getpid())
	if err := os.WriteFile(fresh, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("remember where the copy is: %w", err)
	}
	return os.Rename(fresh, path)
}

// stateHome is the file, where the XDG base directories have a program's state.
func stateHome(home, state string) string {
	if state == "" {
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "stagebox", "exercises.json")
}

func read(path string) (Memory, error) {
	m := Memory{Copies: map[int]string{}, Hints: map[string]int{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, fmt.Errorf("what is remembered of the exercises: %s: %w", path, err)
	}
	return m, nil
}
