// The commands login, logout and search. Logout only removes what login has stored.

package main

import (
	"fmt"
	"os"

	"stagebox/stage05-images/imageview"
	"stagebox/stage05-images/interrupt"
	"stagebox/stage05-images/prompt"
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
	ctx, stop := interrupt.Context()
	defer stop()
	host, err := registry.ParseHost(c.Host)
	if err != nil {
		return err
	}
	name, password, err := prompt.Login(ctx, c.Username, c.PasswordStdin)
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

type logoutCmd struct {
	Host string `arg:"" optional:"" name:"registry" help:"Address of the registry (default: the one that names without an address use)."`
}

// Run is `box logout`.
func (c *logoutCmd) Run() error {
	ctx, stop := interrupt.Context()
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

	Format string `help:"Format: table, json, or a Go template such as {{.Name}}." placeholder:"FORMAT"`

	Remote
}

// Run is `box search`.
func (c *searchCmd) Run() error {
	ctx, stop := interrupt.Context()
	defer stop()
	address, word := registry.SplitSearch(c.Word)
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
	return imageview.WriteFound(os.Stdout, c.Format, found)
}
