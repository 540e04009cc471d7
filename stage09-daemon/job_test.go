package main

import (
	"archive/tar"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/thread"
)

// load are clients of a daemon that is killed again and again, and what it has acknowledged.
type load struct {
	*client
	over    atomic.Bool
	clients sync.WaitGroup

	created, started, built, loaded []string // each list belongs to one client

	pulls  int  // that were acknowledged
	pulled bool // the image of the last one has to be there
}

// repeat does something over and over.
func (l *load) repeat(do func(i int) error) {
	l.clients.Go(func() {
		for i := 0; !l.over.Load(); i++ {
			if do(i) != nil {
				time.Sleep(5 * time.Millisecond) // there is no daemon now
			}
		}
	})
}

// run creates containers and starts them.
func (l *load) run(i int) error {
	name := fmt.Sprint("run", i)
	status, _, err := l.try("POST", "/containers/create?name="+name, map[string]any{"Image": "tiny", "Cmd": []string{"sh", "-c", "echo ran; exit 3"},
		"HostConfig": map[string]any{"NetworkMode": "none"}})
	if err != nil || status != 201 {
		return err
	}
	l.created = append(l.created, name)
	if status, _, err = l.try("POST", "/containers/"+name+"/start", nil); err == nil && status == 204 {
		l.started = append(l.started, name)
	}
	return err
}

func (l *load) build(i int) error {
	name := fmt.Sprint("built", i)
	_, text, err := l.try("POST", "/build?t="+name, tarOf(l.T, "Dockerfile", "FROM tiny\nLABEL i="+name+"\nCOPY Dockerfile /"+name+"\n"))
	if err == nil && strings.Contains(text, "Successfully tagged") {
		l.built = append(l.built, name)
	}
	return err
}

// load sends an image, as a registry does with a pull.
func (l *load) load(archive string) func(i int) error {
	return func(i int) error {
		_, text, err := l.try("POST", "/images/load", strings.NewReader(archive))
		if err != nil || !strings.Contains(text, "Loaded image") {
			return err
		}
		name := fmt.Sprint("loaded", i)
		status, _, err := l.try("POST", "/images/sent/tag?repo="+name, nil)
		if err == nil && status == 201 {
			l.loaded = append(l.loaded, name)
		}
		return err
	}
}

// pull pulls an image from a registry, and removes it again.
func (l *load) pull(image string) func(i int) error {
	return func(int) error {
		status, text, err := l.try("POST", "/images/create?tag=latest&fromImage="+image, nil)
		if err != nil || status != 200 || strings.Contains(text, `"error"`) {
			return cmp.Or(err, errors.New(text))
		}
		l.pulls, l.pulled = l.pulls+1, true
		if l.over.Load() {
			return nil
		}
		l.pulled = false
		_, _, err = l.try("DELETE", "/images/"+image, nil)
		return err
	}
}

// registryOf is a registry with one image, which leaves the store.
func (c *client) registryOf(name string) http.HandlerFunc {
	files := map[string][]byte{} // of the archive: an image layout
	archive := tar.NewReader(strings.NewReader(c.box("save", name)))
	for header, err := archive.Next(); err != io.EOF; header, err = archive.Next() {
		require.NoError(c, err)
		files[path.Base(header.Name)], err = io.ReadAll(archive)
		require.NoError(c, err)
	}
	var index struct {
		Manifests []struct{ MediaType, Digest string }
	}
	require.NoError(c, json.Unmarshal(files["index.json"], &index))
	c.box("rmi", name)
	return func(w http.ResponseWriter, r *http.Request) {
		digest := path.Base(r.URL.Path)
		if m := index.Manifests[0]; strings.Contains(r.URL.Path, "/manifests/") {
			w.Header().Set("Content-Type", m.MediaType)
			digest = m.Digest
		}
		w.Header().Set("Docker-Content-Digest", digest)
		data, found := files[strings.TrimPrefix(digest, "sha256:")]
		if !found && r.URL.Path != "/v2/" {
			w.WriteHeader(http.StatusNotFound)
		}
		w.Write(data)
	}
}

// listen opens an address of the daemon's network namespace, of which root's daemon has one of its
// own. Port 0 is one that is free.
func (c *client) listen(port int) (listener net.Listener) {
	if os.Geteuid() == 0 {
		out, err := exec.Command("nsenter", "-t", strconv.Itoa(c.daemon.Process.Pid), "-n", "ip", "link", "set", "lo", "up").CombinedOutput()
		require.NoError(c, err, "%s", out)
	}
	done := make(chan error)
	thread.Go(func() { done <- c.listenThere(port, &listener) })
	require.NoError(c, <-done)
	return listener
}

func (c *client) listenThere(port int, listener *net.Listener) error {
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", c.daemon.Process.Pid))
	if err != nil {
		return err
	}
	defer there.Close()
	if os.Geteuid() == 0 {
		err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET)
	}
	if err == nil {
		*listener, err = net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
	}
	return err
}

func (l *load) follow(int) error {
	answer, err := l.Get("http://box/containers/stays/logs?follow=1&stdout=1")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body) // until the daemon is killed
	return err
}

// TestDaemonKilled kills the daemon three times while clients use it, or a hundred times in the long
// form. What it has acknowledged is there afterwards, containers go on, and nothing is left over.
func TestDaemonKilled(t *testing.T) {
	boxtest.Slow(t)
	c, r, kills := ask(t), boxtest.Random(t), 3
	if boxtest.Long() {
		kills = 100
	}
	c.box("tag", "tiny", "sent")
	archive := c.box("save", "sent")
	c.create("stays", nil, "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done")
	c.ok(204, "POST", "/containers/stays/start", nil)
	began := c.box("inspect", "-f", "{{.State.StartedAt}}", "stays")
	c.ok(200, "POST", "/build?t=remote", tarOf(t, "Dockerfile", "FROM tiny\nRUN i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo $i >/tmp/$i; done\n"))
	registry := &http.Server{Handler: c.registryOf("remote")}
	defer registry.Close()
	listener := c.listen(0)
	go registry.Serve(listener)
	image := listener.Addr().String() + "/remote"
	l := &load{client: c}
	for _, does := range []func(int) error{l.run, l.build, l.load(archive), l.pull(image), l.follow} {
		l.repeat(does)
	}
	for range kills {
		time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond) // at any instant
		require.NoError(t, c.daemon.Process.Kill())
		require.Error(t, c.daemon.Wait())
		c.startDaemon()
		if os.Geteuid() == 0 { // another network namespace
			go registry.Serve(c.listen(listener.Addr().(*net.TCPAddr).Port))
		}
	}
	l.over.Store(true)
	c.box("kill", "stays") // ends those who follow its log
	l.clients.Wait()
	t.Logf("killed %d times; acknowledged: %d created, %d started, %d built, %d loaded, %d pulled",
		kills, len(l.created), len(l.started), len(l.built), len(l.loaded), l.pulls)
	if l.pulled {
		c.ok(200, "GET", "/images/"+image+"/json", nil)
	}
	pulled := c.ok(200, "POST", "/images/create?tag=latest&fromImage="+image, nil)
	require.NotContains(t, pulled, `"error"`, "after all that, a pull is complete")
	c.box("run", "--rm", "--network", "none", image, "test", "-s", "/tmp/100")
	l.holds(began)
}

// holds compares the store with what was acknowledged.
func (l *load) holds(began string) {
	require.Eventually(l, func() bool { return len(l.jobsOfAll()) == 0 }, time.Minute, 20*time.Millisecond, "%q", l.jobsOfAll())
	all := l.box("ps", "-a", "--format", "{{.Names}} {{.Status}}")
	for _, name := range l.created {
		require.Contains(l, all, name+" ")
	}
	for _, name := range l.started {
		require.Contains(l, all, name+" Exited (3)")
		require.Equal(l, "ran\n", l.box("logs", name))
	}
	for _, name := range slices.Concat(l.built, l.loaded) {
		l.ok(200, "GET", "/images/"+name+"/json", nil)
	}
	require.Equal(l, began, l.box("inspect", "-f", "{{.State.StartedAt}}", "stays"))
	for i, line := range strings.Fields(l.box("logs", "stays")) {
		require.Equal(l, strconv.Itoa(i+1), line)
	}
	half, err := filepath.Glob(l.root + "/*/.*")
	require.NoError(l, err)
	require.Empty(l, half)
}

// jobsOfAll are the processes that use the store, the daemon left out: jobs and monitors.
func (l *load) jobsOfAll() (lines []string) {
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(l, err)
	for _, file := range all {
		text, _ := os.ReadFile(file) // "" of one that has ended, or is another user's
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		if strings.Contains(string(text), "BOX_ROOT="+l.root) && file != fmt.Sprintf("/proc/%d/environ", l.daemon.Process.Pid) {
			lines = append(lines, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return lines
}
