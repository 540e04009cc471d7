package vm

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/stages"
)

//go:embed power.sh
var powerScript string

// builder is a machine with a disk, and the last stage's box.
func builder(t *testing.T) Job {
	root, err := stages.Root()
	require.NoError(t, err)
	stage, err := stages.Get(root, 8)
	require.NoError(t, err)
	dir := t.TempDir()
	box, disk := filepath.Join(dir, "box"), filepath.Join(dir, "disk")
	require.NoError(t, stage.Build(t.Context(), box))
	require.NoError(t, os.WriteFile(disk, nil, 0o600))
	require.NoError(t, os.Truncate(disk, 256<<20))
	out, err := exec.Command("mke2fs", "-q", "-t", "ext4", disk).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("mke2fs (package e2fsprogs) is not installed")
	}
	require.NoError(t, err, "%s", out)
	job := Job{Memory: 512, CPUs: 1, Disk: disk, Silence: silence, Files: []File{{box, "/bin/box"}}}
	perl, err := Program("perl", "/usr/bin/perl")
	if err == nil {
		job.Files = append(job.Files, perl...)
	}
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	return job
}

// TestPowerCuts cuts the power in the midst of a build: that of a disk, and in the long form 20
// times that of the machine. An image of which box had said that it is built is whole afterwards,
// although no step has waited for the disk; a file that nobody has waited for is lost.
func TestPowerCuts(t *testing.T) {
	boxtest.Slow(t, "boots a virtual machine")
	t.Parallel()
	job := builder(t)
	wait := fmt.Sprintf("%.1f", 2*boxtest.Random(t).Float64())
	job.Command = []string{"sh", "-c", powerScript + `
		look
		build a >/built &
		until [ -s /built ]; do sleep 0.1; done
		sleep ` + wait + `
		cut $! 2>/dev/null
		cat /built
		look $(sed s/built// /built)
		[ -s /disk/unsynced ] || echo lost unsynced`}
	var out bytes.Buffer
	status, err := job.Run(t.Context(), &out)
	require.NoError(t, err)
	require.Zero(t, status, out.String())
	checkBuilt(t, out.String(), words(out.String(), "built"))
	require.Equal(t, []string{"unsynced"}, words(out.String(), "lost"))
	if boxtest.Long() {
		cutMachine(t, builder(t), 20)
	}
}

// cutMachine kills a machine that builds, and looks in the next one at what it had built.
func cutMachine(t *testing.T, job Job, times int) {
	var built []string
	for n := range times {
		prefix := string(rune('a' + n))
		job.Command = []string{"sh", "-c", powerScript + "look \"$@\"; build " + prefix, "sh"}
		job.Command = append(job.Command, built...)
		ctx, cut := context.WithCancel(t.Context())
		out := &watched{until: "built " + prefix + "2", seen: func() {
			time.AfterFunc(time.Duration(boxtest.Random(t).IntN(3000))*time.Millisecond, cut)
		}}
		_, err := job.Run(ctx, out)
		require.ErrorIs(t, err, context.Canceled, out.String())
		checkBuilt(t, out.String(), built)
		built = words(out.String(), "built") // those of this machine, for the next
	}
}

// checkBuilt looks for what the machine has said of images.
func checkBuilt(t *testing.T, out string, names []string) {
	require.Equal(t, names, words(out, "whole"), out)
	require.Empty(t, words(out, "torn"), out)
}

func (w *watched) String() string { return w.text.String() }

// words are what follows a word on the lines that begin with it.
func words(out, first string) (list []string) {
	for _, line := range regexp.MustCompile(`(?m)^`+first+` (\w+)\n`).FindAllStringSubmatch(out, -1) {
		list = append(list, line[1])
	}
	return list
}

// watched keeps what is written, and calls seen once, when a text is in it. It embeds no buffer:
// io.Copy would fill that by its ReadFrom.
type watched struct {
	text  bytes.Buffer
	until string
	seen  func()
}

func (w *watched) Write(data []byte) (int, error) {
	n, err := w.text.Write(data)
	if w.seen != nil && strings.Contains(w.String(), w.until) {
		w.seen()
		w.seen = nil
	}
	return n, err
}
