// The commands login, logout and search. Logout only removes what login has stored.

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"stagebox/stage05-images/registry"
)

type loginCmd struct {
	Host          string `arg:"" optional:"" name:"registry" help:"Address of the registry (default: the one that names without an address use)."`
	Username      string `short:"u" help:"User name (default: ask for it)."`
	PasswordStdin bool   `help:"Read the password from standard input."`

	Remote
}

// Run is `box login`.
func (c *loginCmd) Run() error {
	ctx, stop := interruptible()
	defer stop()
	host, err := registry.ParseHost(c.Host)
	if err != nil {
		return err
	}
	name, password, err := c.ask()
	if err != nil {
		return err
	}
	client, err := c.dial(host)
	if err != nil {
		return err
	}
	if err := client.Login(ctx, name, password); err != nil {
		return err
	}
	_, err = fmt.Println("Login Succeeded")
	return err
}

// ask prompts for what the flags do not give. A password is not echoed.
func (c *loginCmd) ask() (name, password string, err error) {
	switch {
	case !c.PasswordStdin && !term.IsTerminal(0):
		return "", "", errors.New("login asks for a password, and standard input is no terminal: add --password-stdin")
	case c.PasswordStdin && c.Username == "":
		return "", "", errors.New("standard input is the password, so the name cannot be asked for there: add -u NAME")
	}
	if name = c.Username; name == "" {
		fmt.Fprint(os.Stderr, "Username: ")
		if _, err := fmt.Scanln(&name); err != nil {
			return "", "", fmt.Errorf("a user name: %w", err)
		}
	}
	if c.PasswordStdin {
		data, err := io.ReadAll(io.LimitReader(os.Stdin, 64<<10))
		return name, strings.TrimRight(string(data), "\r\n"), err
	}
	fmt.Fprint(os.Stderr, "Password: ")
	secret, err := term.ReadPassword(0)
	fmt.Fprintln(os.Stderr)
	return name, string(secret), err
}

type logoutCmd struct {
	Host string `arg:"" optional:"" name:"registry" help:"Address of the registry (default: the one that names without an address use)."`
}

// Run is `box logout`.
func (c *logoutCmd) Run() error {
	ctx, stop := interruptible()
	defer stop()
	host, err := registry.ParseHost(c.Host)
	if err != nil {
		return err
	}
	were, err := registry.Logout(ctx, host)
	if err == nil && !were {
		err = fmt.Errorf("not logged in to %s", host)
	}
	if err == nil {
		_, err = fmt.Println("Removed login credentials for " + host)
	}
	return err
}

type searchCmd struct {
	Word  string `arg:"" help:"What to search for. A registry's address in front lists its repositories instead: localhost:5000/app."`
	Limit int    `help:"Maximum number of results." default:"25"`

	Remote
}

// Run is `box search`.
func (c *searchCmd) Run() error {
	ctx, stop := interruptible()
	defer stop()
	address, word, elsewhere := strings.Cut(c.Word, "/")
	if !elsewhere || !strings.ContainsAny(address, ".:") && address != "localhost" {
		address, word = "", c.Word
	}
	host, err := registry.ParseHost(address)
	if err != nil {
		return err
	}
	client, err := c.dial(host)
	if err != nil {
		return err
	}
	found, err := client.Search(ctx, word, c.Limit)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tDESCRIPTION\tSTARS\tOFFICIAL")
	for _, f := range found {
		official := ""
		if f.Official {
			official = "[OK]"
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", f.Name, f.Description, f.Stars, official)
	}
	return table.Flush()
}
