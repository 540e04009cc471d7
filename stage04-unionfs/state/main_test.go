package state_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"stagebox/lessons/boxtest"

	"stagebox/stage04-unionfs/state"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// helperVariable says what a process that a test starts is to do.
const helperVariable = "STATE_TEST_HELPER"

// helpers are for processes that are killed, or that hold a lock until then.
var helpers = map[string]func(path string) error{
	"write": func(path string) error {
		for i := byte(0); ; i++ {
			data := bytes.Repeat([]byte{'a' + i%2}, blockSize)
			if err := state.Write(path, data, 0o600, state.Volatile); err != nil {
				return err
			}
		}
	},
	"write once": func(path string) error {
		return state.Write(path, []byte("new"), 0o640, state.Durable)
	},
	"write for now": func(path string) error {
		return state.Write(path, []byte("new"), 0o640, state.Volatile)
	},
	"write half": func(dir string) error {
		p, err := state.Create(dir)
		if err == nil {
			_, err = p.WriteString("half")
		}
		return waitToBeKilled(p, err)
	},
	"lock": func(path string) error {
		file, err := state.TryLock(path, state.Exclusive)
		return waitToBeKilled(file, err)
	},
	"share": func(path string) error {
		file, err := state.TryLock(path, state.Shared)
		return waitToBeKilled(file, err)
	},
}

// blockSize is that of a file which takes a while to write.
const blockSize = 1 << 20

// waitToBeKilled says that a helper is so far, and keeps what it has open.
func waitToBeKilled(open any, err error) error {
	if err == nil {
		fmt.Println("ready")
		time.Sleep(time.Hour)
	}
	runtime.KeepAlive(open)
	return err
}

func TestHelper(t *testing.T) {
	if does := os.Getenv(helperVariable); does != "" {
		require.NoError(t, helpers[does](os.Getenv(helperVariable+"_PATH")))
	}
}

// helper is a process that does what helpers says.
func helper(does, path string, through ...string) *exec.Cmd {
	args := append(through, "/proc/self/exe", "-test.run=^TestHelper$")
	if len(through) > 0 {
		args[len(through)], _ = os.Executable()
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), helperVariable+"="+does, helperVariable+"_PATH="+path)
	return cmd
}

// start starts a helper that says when it is so far, and returns what kills it.
func start(t *testing.T, does, path string) (kill func()) {
	cmd := helper(does, path)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return func() {
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	}
}
