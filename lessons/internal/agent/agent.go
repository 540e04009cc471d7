// Package agent is what runs inside the virtual machine, and what the host says to it. The two
// sides share one byte stream, a port of virtio-serial, which yamux divides into streams with a
// window each: an unread terminal stops its own program and no other.
//
// The host opens a stream for each request. Its first line is a [Request] in JSON; what follows
// depends on it. In the machine, [Main] is the first process: [Init] mounts and loads what a
// system needs, and starts itself again to answer.
package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

// Request is the first line of a stream.
type Request struct {
	Do string // one of the words below

	ID   int      // of a process: the host chooses it, and names the process by it later
	Argv []string // of a program to run
	Env  []string // what its environment has beside the default
	Dir  string
	TTY  bool // on a terminal of its own
	Size Size // of that terminal

	Path string // of a file to write
	Mode uint32
}

// Words of a request.
const (
	Run    = "run"    // run a program: the stream is its input and output, and ends with it
	Wait   = "wait"   // answer with a Reply when the process has ended
	Resize = "resize" // give the process's terminal another size
	Put    = "put"    // write a file: what follows is its content; answer with a Reply
)

// Size of a terminal, in characters.
type Size struct{ Rows, Cols uint16 }

// Reply is the line that answers a request.
type Reply struct {
	Status int    // of a process that has ended
	Error  string // why the request failed
}

// PortName is the name of the virtio-serial port between the host and the agent.
const PortName = "stagebox.agent"

// limits of a machine that is slow and shares the host with others: nothing is given up for
// being late, because a machine that has ended closes the stream.
func limits() *yamux.Config {
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.ConnectionWriteTimeout = time.Hour
	config.StreamOpenTimeout = 0
	config.StreamCloseTimeout = 0
	config.LogOutput = io.Discard
	return config
}

// writeLine sends a value as a line of JSON.
func writeLine(w io.Writer, value any) error {
	data, err := json.Marshal(value)
	if err == nil {
		_, err = w.Write(append(data, '\n'))
	}
	return err
}

// readLine reads such a line. The rest can be read from the same reader.
func readLine(r *bufio.Reader, value any) error {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the agent's stream: %w", err)
	}
	return json.Unmarshal(line, value)
}
