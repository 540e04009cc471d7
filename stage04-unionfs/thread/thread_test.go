package thread

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A thread is another one each time, never the process's first, and is gone after await.
func TestGo(t *testing.T) {
	for range 200 {
		tids := make(chan int)
		Go(func() { tids <- unix.Gettid() })
		tid := <-tids
		require.NotEqual(t, os.Getpid(), tid)
		await(tid)
		require.NoDirExists(t, fmt.Sprintf("/proc/self/task/%d", tid))
	}
}
