// Package chromium starts a browser for tests that look at a page in it.
package chromium

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

// Patience is how long a browser may take for one thing on a busy host.
const Patience = 5 * time.Minute

// Start starts a chromium with one page, and tells hear what happens in it. Where there is none, the
// test is skipped. Everything that the browser writes, its home too, is in a directory that is gone
// after the test, and so are its processes.
func Start(t *testing.T, hear func(event any)) context.Context {
	t.Helper()
	boxtest.Slow(t, "starts a browser")
	program := find(t)
	home, err := os.MkdirTemp("", "stagebox-browser")
	require.NoError(t, err)
	var process *exec.Cmd
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(filepath.Join(home, "profile")),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Env("HOME="+home, "TMPDIR="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "XDG_RUNTIME_DIR="+home),
		chromedp.WSURLReadTimeout(Patience), // the first start on a busy machine
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			process = cmd
		}))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator, chromedp.WithListener(hear))
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // asks it to close; what is left is killed below
		end()
		if process != nil && process.Process != nil {
			_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL)
		}
		require.Eventually(t, func() bool { return os.RemoveAll(home) == nil }, Patience, 50*time.Millisecond)
	})
	_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	_, err = chromedp.Call(ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	return ctx
}

// find returns the program's path.
func find(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("chromium is not installed: the page is not looked at in a browser")
	return ""
}
