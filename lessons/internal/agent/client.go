package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/yamux"
)

// Client is the host's side.
type Client struct {
	session *yamux.Session
	last    atomic.Int64 // the process that was numbered last
}

// Connect waits until the agent says its first word, which is when the machine is up.
func Connect(port io.ReadWriteCloser) (*Client, error) {
	if _, err := io.ReadFull(port, make([]byte, len(hello))); err != nil {
		return nil, fmt.Errorf("the machine's agent does not answer: %w", err)
	}
	session, err := yamux.Client(port, limits())
	return &Client{session: session}, err
}

// Process is a program that runs in the machine. It is read from and written to as a terminal
// is; reading ends with it.
type Process struct {
	io.WriteCloser
	out    *bufio.Reader
	client *Client
	id     int
}

// Read reads what the program prints.
func (p *Process) Read(data []byte) (int, error) { return p.out.Read(data) }

// Start runs a program, and returns once it runs. The request's Do and ID are filled in.
func (c *Client) Start(r Request) (*Process, error) {
	r.Do, r.ID = Run, int(c.last.Add(1))
	stream, err := c.open(r)
	if err != nil {
		return nil, err
	}
	p := &Process{stream, bufio.NewReader(stream), c, r.ID}
	var started Reply
	if err := readLine(p.out, &started); err != nil {
		return nil, errors.Join(err, stream.Close())
	}
	return p, nil
}

// Wait returns the exit status, as a shell would say it.
func (p *Process) Wait() (int, error) { return p.client.ask(Request{Do: Wait, ID: p.id}, nil) }

// Resize gives the process's terminal another size.
func (p *Process) Resize(size Size) error {
	_, err := p.client.ask(Request{Do: Resize, ID: p.id, Size: size}, nil)
	return err
}

// Put writes a file, which appears whole under its name.
func (c *Client) Put(path string, mode uint32, content io.Reader) error {
	_, err := c.ask(Request{Do: Put, Path: path, Mode: mode}, content)
	return err
}

// Output runs a program to its end and returns what it prints.
func (c *Client) Output(argv ...string) (string, error) {
	out := new(strings.Builder)
	err := c.Stream(out, argv...)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return out.String(), err
}

// Stream does the same, and writes what the program prints to out.
func (c *Client) Stream(out io.Writer, argv ...string) error {
	process, err := c.Start(Request{Argv: argv})
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, process); err != nil {
		return errors.Join(err, process.Close()) // the program may have more to say
	}
	status, err := process.Wait()
	if err == nil && status != 0 {
		err = fmt.Errorf("%s in the machine: exit status %d", argv[0], status)
	}
	return err
}

func (c *Client) open(r Request) (*yamux.Stream, error) {
	stream, err := c.session.OpenStream()
	if err != nil {
		return nil, fmt.Errorf("the machine's agent: %w", err)
	}
	if err := writeLine(stream, r); err != nil {
		return nil, errors.Join(err, stream.Close())
	}
	return stream, nil
}

// ask sends a request and its content, and waits for the reply.
func (c *Client) ask(r Request, content io.Reader) (int, error) {
	stream, err := c.open(r)
	if err != nil {
		return 0, err
	}
	if content != nil {
		if _, err := io.Copy(stream, content); err != nil {
			return 0, errors.Join(err, stream.Close())
		}
	}
	if err := stream.Close(); err != nil { // the end of what is written; the reply can still be read
		return 0, err
	}
	var reply Reply
	if err := readLine(bufio.NewReader(stream), &reply); err != nil {
		return 0, err
	}
	if reply.Error != "" {
		err = errors.New(reply.Error)
	}
	return reply.Status, err
}
