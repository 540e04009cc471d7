package play

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/coder/websocket"
)

// socketDir is where this user's plays can be joined. Only its owner can enter it.
func socketDir() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("stagebox-play-%d", os.Geteuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(owner.Uid) != os.Geteuid() || info.Mode().Perm() != 0o700 {
		return "", fmt.Errorf("%s: not a directory that only you can enter: remove it", dir)
	}
	return dir, nil
}

// Offer lets others of this user join, until the context ends.
func (p *Playground) Offer() (close func(), err error) {
	dir, err := socketDir()
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, strconv.Itoa(os.Getpid()))
	_ = os.Remove(name) // of a process that had this number once
	l, err := net.Listen("unix", name)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.serveTerminal(w, r, strings.TrimPrefix(r.URL.Path, "/"))
	})}
	go func() { _ = server.Serve(l) }() // ends with close
	return func() {
		_ = server.Close()
		_ = os.Remove(dir) // when this was the last one
	}, nil
}

// Running lists the plays that can be joined, and removes what dead ones have left.
func Running() (pids []int, err error) {
	dir, err := socketDir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		pid, notNumber := strconv.Atoi(entry.Name())
		if notNumber != nil {
			continue
		}
		conn, refused := net.Dial("unix", filepath.Join(dir, entry.Name()))
		if refused != nil {
			_ = os.Remove(filepath.Join(dir, entry.Name())) // its play has ended
			continue
		}
		conn.Close()
		pids = append(pids, pid)
	}
	return pids, err
}

// Dial opens a new terminal of the play with a process id.
func Dial(ctx context.Context, pid int) (*websocket.Conn, error) {
	dir, err := socketDir()
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, strconv.Itoa(pid)))
	}}}
	conn, _, err := websocket.Dial(ctx, "ws://play/new", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return nil, fmt.Errorf("join play %d: %w", pid, err)
	}
	conn.SetReadLimit(-1)
	return conn, nil
}
