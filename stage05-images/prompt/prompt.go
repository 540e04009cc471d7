// Package prompt asks a user who they are, in a terminal. No lesson reads it.
package prompt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Login asks for a name, unless it is given, and for a password, which is not echoed. With fromStdin
// standard input is the password. It waits no longer than ctx.
func Login(ctx context.Context, given string, fromStdin bool) (name, password string, err error) {
	switch {
	case !fromStdin && !term.IsTerminal(0):
		return "", "", errors.New("login needs a terminal to ask for a password: add --password-stdin")
	case fromStdin && given == "":
		return "", "", errors.New("standard input is the password, so the name cannot be asked for there: add -u NAME")
	}
	if name = given; name == "" {
		name, err = wait(ctx, func() (name string, err error) {
			fmt.Fprint(os.Stderr, "Username: ")
			if _, err = fmt.Scanln(&name); err != nil {
				err = fmt.Errorf("a user name: %w", err)
			}
			return name, err
		})
	}
	if err != nil {
		return "", "", err
	}
	password, err = wait(ctx, func() (string, error) {
		if fromStdin {
			data, err := io.ReadAll(io.LimitReader(os.Stdin, 64<<10))
			return strings.TrimRight(string(data), "\r\n"), err
		}
		fmt.Fprint(os.Stderr, "Password: ")
		secret, err := term.ReadPassword(0)
		fmt.Fprintln(os.Stderr)
		return string(secret), err
	})
	return name, password, err
}

// wait returns what read does, which may have turned the echo of a terminal off: if ctx ends first, the
// terminal is as it was. The read itself goes on until the process ends.
func wait(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	was, notTerminal := term.GetState(0)
	answers := make(chan answer, 1)
	go func() {
		text, err := read()
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-ctx.Done():
		err := errors.New("the login was interrupted")
		if notTerminal == nil {
			fmt.Fprintln(os.Stderr)
			err = errors.Join(err, term.Restore(0, was))
		}
		return "", err
	}
}
