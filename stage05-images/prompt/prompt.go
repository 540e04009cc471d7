// Package prompt asks a user who they are, in a terminal. No lesson reads it.
package prompt

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Login asks for a name, unless it is given, and for a password, which is not echoed. With fromStdin
// standard input is the password.
func Login(given string, fromStdin bool) (name, password string, err error) {
	switch {
	case !fromStdin && !term.IsTerminal(0):
		return "", "", errors.New("login needs a terminal to ask for a password: add --password-stdin")
	case fromStdin && given == "":
		return "", "", errors.New("standard input is the password, so the name cannot be asked for there: add -u NAME")
	}
	if name = given; name == "" {
		fmt.Fprint(os.Stderr, "Username: ")
		if _, err := fmt.Scanln(&name); err != nil {
			return "", "", fmt.Errorf("a user name: %w", err)
		}
	}
	if fromStdin {
		data, err := io.ReadAll(io.LimitReader(os.Stdin, 64<<10))
		return name, strings.TrimRight(string(data), "\r\n"), err
	}
	fmt.Fprint(os.Stderr, "Password: ")
	secret, err := term.ReadPassword(0)
	fmt.Fprintln(os.Stderr)
	return name, string(secret), err
}
