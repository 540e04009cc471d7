// Package remote has a daemon run a command line of box, as ssh has another machine do it: the
// words go there in one request, then input, output, the terminal's size and signals share its
// connection, and the exit status comes last. No lesson reads it.
package remote

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage09-daemon/rest"
)

// Line is the body of POST /box.
type Line struct {
	Words []string
	Dir   string   // the directory that relative paths begin at; "" on another machine
	Env   []string // variables for it

	Terminal      bool
	Rows, Columns uint16
}

// The numbers of what shares the connection, besides rest.Stdout and rest.Stderr. An empty piece of
// Stdin is its end. Exit and Signal are decimal numbers, Resize is two.
const (
	Stdin  = 0
	Exit   = 3
	Resize = 4
	Signal = 5
)

// largest is how long a piece may be.
const largest = 1 << 20

// ReadFrame reads the next piece.
func ReadFrame(from io.Reader) (number byte, data []byte, err error) {
	var header [8]byte
	if _, err := io.ReadFull(from, header[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(header[4:])
	if size > largest {
		return 0, nil, fmt.Errorf("a frame of %d bytes: %d is the limit", size, largest)
	}
	data = make([]byte, size)
	_, err = io.ReadFull(from, data)
	return header[0], data, err
}

// Host takes -H ADDRESS or --host ADDRESS off the beginning of a command line. Without one of them,
// the address is "".
func Host(args []string) (address string, rest []string, err error) {
	if len(args) == 0 {
		return "", args, nil
	}
	flag, address, joined := strings.Cut(args[0], "=")
	if short, is := strings.CutPrefix(args[0], "-H"); is && short != "" {
		flag, address, joined = "-H", strings.TrimPrefix(short, "="), true
	}
	if flag != "-H" && flag != "--host" {
		return "", args, nil
	}
	rest = args[1:]
	if !joined && len(rest) > 0 {
		address, rest = rest[0], rest[1:]
	}
	if address == "" {
		err = fmt.Errorf("%s: a value is missing", flag)
	}
	return address, rest, err
}

// Run has the daemon at an address run a command line, with this process's input, output and
// signals, and returns how it ended, as a plan.ExitStatus. Behind a unix socket is this machine, and
// paths mean what they mean here. On another machine they are its own; only build gets a directory.
func Run(address string, words []string) error {
	line, input := Line{Words: words, Env: variables(words)}, io.Reader(os.Stdin)
	var err error
	if strings.HasPrefix(address, "unix://") {
		line.Env = append(line.Env, "DOCKER_CONFIG="+configDir())
		line.Dir, err = os.Getwd()
	} else if words[0] == "build" {
		line.Words, input, err = withContext(words)
	}
	if err != nil {
		return err
	}
	line.Terminal = input == os.Stdin && term.IsTerminal(0) && term.IsTerminal(1)
	if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil {
		line.Rows, line.Columns = size.Row, size.Col
	}
	conn, err := dial(address)
	if err != nil {
		return err
	}
	defer conn.Close()
	out, err := begin(conn, line)
	if err != nil {
		return fmt.Errorf("-H %s: %w", address, err)
	}
	status, err := serve(conn, out, input, line.Terminal)
	if err != nil {
		return fmt.Errorf("-H %s: %s: the connection ended before the command: %w", address, words[0], err)
	}
	return plan.ExitStatus(status)
}

// withContext replaces the directory at the end of a build's command line by an archive of it, which
// is the input then.
func withContext(words []string) ([]string, io.Reader, error) {
	last := len(words) - 1
	if words[last] == "-" || words[last] == "--help" {
		return words, os.Stdin, nil
	}
	if info, err := os.Stat(words[last]); err != nil || !info.IsDir() {
		return nil, nil, fmt.Errorf("build %s: not a directory: on another machine, the last word is the context", words[last])
	}
	read, write := io.Pipe()
	go func() {
		archive := tar.NewWriter(write)
		write.CloseWithError(errors.Join(archive.AddFS(os.DirFS(words[last])), archive.Close()))
	}()
	return append(slices.Clone(words[:last]), "-"), read, nil
}

// begin sends the request, and returns what follows the header of the answer.
func begin(conn io.ReadWriter, line Line) (io.Reader, error) {
	body, err := json.Marshal(line)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest("POST", "http://box/box", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "tcp")
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return in, nil
	}
	var problem struct{ Message string }
	json.NewDecoder(answer.Body).Decode(&problem) // else the status has to do
	if answer.StatusCode == http.StatusNotFound {
		return nil, errors.New("this daemon is not box's: use the docker command for it")
	}
	return nil, errors.New(cmp.Or(problem.Message, answer.Status))
}

// serve passes everything on in both directions until the exit status comes.
func serve(conn io.WriteCloser, out, input io.Reader, terminal bool) (status int, err error) {
	frames := &rest.Frames{To: conn}
	if terminal {
		old, err := term.MakeRaw(0)
		if err != nil {
			return 0, err
		}
		defer term.Restore(0, old)
	}
	go func() {
		if _, err := io.Copy(frames.Stream(Stdin), input); err != nil {
			conn.Close() // else a part would be taken for the whole
		}
		frames.Stream(Stdin).Write(nil)
	}()
	stop := passSignals(frames, conn, terminal)
	defer stop()
	for {
		number, data, err := ReadFrame(out)
		if err != nil {
			return 0, err
		}
		switch number {
		case rest.Stdout:
			_, err = os.Stdout.Write(data)
		case rest.Stderr:
			_, err = os.Stderr.Write(data)
		case Exit:
			return strconv.Atoi(string(data))
		}
		if err != nil {
			return 0, err
		}
	}
}

// passSignals passes signals on. At a terminal they are typed, and one that is sent to this process
// ends the connection.
func passSignals(frames *rest.Frames, conn io.Closer, terminal bool) (stop func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH)
	var running sync.WaitGroup
	running.Go(func() {
		for s := range signals {
			size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ)
			switch {
			case s == unix.SIGWINCH && err == nil:
				fmt.Fprintf(frames.Stream(Resize), "%d %d", size.Row, size.Col)
			case s == unix.SIGWINCH:
			case terminal:
				conn.Close()
			default:
				fmt.Fprintf(frames.Stream(Signal), "%d", s)
			}
		}
	})
	return func() {
		signal.Stop(signals)
		close(signals)
		running.Wait()
	}
}

// variables are those of this process that a command line may name, as -eNAME, --env NAME and
// --build-arg=NAME do, and the kind of the terminal.
func variables(words []string) (list []string) {
	named := regexp.MustCompile(`^(?:-e|--[a-z-]+=)?([A-Za-z_][A-Za-z0-9_]*)$`)
	for _, name := range slices.Concat([]string{"TERM", "NO_COLOR"}, words) {
		match := named.FindStringSubmatch(name)
		if match == nil || slices.Contains([]string{"PATH", "HOME", "BOX_ROOT"}, match[1]) {
			continue
		}
		if value, ok := os.LookupEnv(match[1]); ok {
			list = append(list, match[1]+"="+value)
		}
	}
	return list
}

// configDir has the credentials of registries.
func configDir() string {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home, _ := os.UserHomeDir() // without one, no credentials
	return filepath.Join(home, ".docker")
}
