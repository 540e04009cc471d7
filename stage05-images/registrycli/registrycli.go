// Package registrycli has the flags of a connection to a registry, and the commands that need a
// registry and no image: login, logout and search. The requests are in package registry. No lesson
// reads it.
package registrycli

import (
	"fmt"
	"os"

	"stagebox/stage05-images/imageview"
	"stagebox/stage05-images/interrupt"
	"stagebox/stage05-images/prompt"
	"stagebox/stage05-images/registry"
)

// Remote are the flags for the connection to a registry.
type Remote struct {
	Explain  bool `help:"Print each request and its response." group:"Registry:"`
	Insecure bool `help:"Allow plain HTTP, and HTTPS with any certificate." group:"Registry:"`
}

// Dial returns a client of a registry, which makes no connection yet. Its warnings, and with Explain
// its requests, are printed on standard error.
func (r Remote) Dial(host string) (*registry.Client, error) {
	client, err := registry.New(host, r.Insecure)
	if err != nil {
		return nil, err
	}
	client.Warn = func(err error) { fmt.Fprintln(os.Stderr, "box: warning:", err) }
	if r.Explain {
		client.Trace = func(e registry.Exchange) { fmt.Fprintln(os.Stderr, e) }
	}
	return client, nil
}

// Login are the arguments and the flags of login.
type Login struct {
	Host          string `arg:"" optional:"" name:"registry" help:"Address of the registry (default: docker.io)."`
	Username      string `short:"u" help:"User name (default: ask for it)."`
	PasswordStdin bool   `help:"Read the password from standard input."`

	Remote
}

// Run is `box login`.
func (c *Login) Run() error {
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
	client, err := c.Dial(host)
	if err != nil {
		return err
	}
	if err := client.Login(ctx, name, password); err != nil {
		return err
	}
	_, err = fmt.Println("Login Succeeded")
	return err
}

// Logout is the argument of logout, which only removes what login has stored.
type Logout struct {
	Host string `arg:"" optional:"" name:"registry" help:"Address of the registry (default: docker.io)."`
}

// Run is `box logout`.
func (c *Logout) Run() error {
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

// Search are the argument and the flags of search.
type Search struct {
	Word  string `arg:"" help:"What to search for. With the address of a registry in front, list its repositories instead: localhost:5000/app."`
	Limit int    `help:"Maximum number of results." default:"25"`

	Format string `help:"Format: table, json, or a Go template such as {{.Name}}." placeholder:"FORMAT"`

	Remote
}

// Run is `box search`.
func (c *Search) Run() error {
	ctx, stop := interrupt.Context()
	defer stop()
	address, word := registry.SplitSearch(c.Word)
	host, err := registry.ParseHost(address)
	if err != nil {
		return err
	}
	client, err := c.Dial(host)
	if err != nil {
		return err
	}
	found, err := client.Search(ctx, word, c.Limit)
	if err != nil {
		return err
	}
	return imageview.WriteFound(os.Stdout, c.Format, found)
}
