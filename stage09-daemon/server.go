// The daemon is a process that does for others, over HTTP, what the command does. It listens on a
// unix socket (unix(7)), whose mode decides who may use it: a user who can write to it is root. A
// request goes through a route (router.go) to a handler (handlers_*.go), which answers from the
// store or starts a job (job.go). Read Store.serve, then daemon.ServeHTTP.

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage09-daemon/rest"
)

// daemon is what the handlers share. Whatever lasts is in the store: these are the connections,
// and the commands that exec was asked for.
type daemon struct {
	Store
	*watch
	explain  bool
	narrated atomic.Int64 // requests
	print    sync.Mutex   // a line of the narration at a time

	mutex   sync.Mutex
	pending map[string][]*clientConn // clients of containers that are yet to be started, by id
	execs   map[string]*execInstance // by id
}

// serve answers requests on sockets until the context ends. Then those that are under way get a
// moment.
func (s Store) serve(ctx context.Context, sockets []net.Listener, explain bool) error {
	w, err := s.watch(ctx)
	if err != nil {
		return err
	}
	defer w.inotify.Close()
	d := &daemon{Store: s, watch: w, explain: explain,
		pending: map[string][]*clientConn{}, execs: map[string]*execInstance{}}
	d.applyRestartPolicies()
	server := &http.Server{Handler: d, ReadHeaderTimeout: 30 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }} // waiters end with it too
	all, ended := errgroup.WithContext(ctx)
	for _, l := range sockets {
		all.Go(func() error { return server.Serve(l) })
	}
	all.Go(func() error {
		<-ended.Done()
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
		return http.ErrServerClosed
	})
	if err := all.Wait(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// ServeHTTP answers one request.
func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Api-Version", rest.Version)
	h.Set("Server", "Stagebox/"+version+" (linux)")
	h.Set("Ostype", "linux")
	h.Set("Docker-Experimental", "false")
	h.Set("Builder-Version", "1") // the classic builder
	h.Set("Swarm", "inactive")
	path, err := rest.Unversioned(r.URL.Path)
	if err == nil {
		request := &rest.Request{Request: r}
		var to *route
		if to, request.Name, err = findRoute(r.Method, path); err == nil {
			d.narrateRequest(request, to)
			err = to.handle(d, w, request)
		}
	}
	if err != nil {
		rest.Fail(w, withStatus(err))
	}
}

// listenAt makes a unix socket that its owner and a group alone may use. One that another daemon
// listens on is left alone; one that a dead daemon has left is replaced.
func listenAt(path, group string) (net.Listener, error) {
	info, err := os.Lstat(path)
	if err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("listen %s: the file is not a socket; name another path", path)
	}
	if dir := filepath.Dir(path); !exists(dir) {
		return nil, fmt.Errorf("listen %s: there is no directory %s", path, dir)
	}
	// A job that a killed daemon was about to start has its lock until its execve.
	lock, err := state.LockSoon(context.Background(), path+".lock", func() bool { return true })
	if err == state.ErrBusy {
		return nil, fmt.Errorf("listen %s: another daemon uses this socket", path)
	}
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", path, err)
	}
	l := &lockedListener{lock: lock}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, l.unlock())
	}
	mask := unix.Umask(0o177)
	defer unix.Umask(mask)
	if l.Listener, err = net.Listen("unix", path); err != nil {
		return nil, errors.Join(err, l.unlock())
	}
	if err := admit(path, group); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// admit lets a group use a socket.
func admit(path, name string) error {
	if name == "" {
		return nil
	}
	id, err := strconv.Atoi(name)
	if err != nil {
		group, err := user.LookupGroup(name)
		if err != nil {
			return fmt.Errorf("--group %s: %w", name, err)
		}
		if id, err = strconv.Atoi(group.Gid); err != nil {
			return fmt.Errorf("--group %s: %w", name, err)
		}
	}
	return errors.Join(os.Chown(path, -1, id), os.Chmod(path, 0o660))
}

// lockedListener gives up the lock of the socket when it is closed.
type lockedListener struct {
	net.Listener
	lock *os.File
}

func (l *lockedListener) Close() error {
	return errors.Join(l.Listener.Close(), l.unlock())
}

func (l *lockedListener) unlock() error {
	return errors.Join(os.Remove(l.lock.Name()), l.lock.Close())
}

// applyRestartPolicies starts the containers whose restart policy says so: those that ended with
// the machine, and were not stopped by a user. Containers that still run do not need the daemon.
func (d *daemon) applyRestartPolicies() {
	all, err := d.all()
	complain(err)
	for _, r := range all {
		policy, _ := r.Run.Restart.Split()
		always := policy == "always" || policy == "unless-stopped" && !r.isStopped()
		if always && !r.isLive() && r.State.Status == "exited" {
			_, err := d.run(&rest.Request{Request: &http.Request{}}, "start", r.ID)
			complain(err)
		}
	}
}
