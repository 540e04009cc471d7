package play

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/coder/websocket"
	"golang.org/x/term"

	"stagebox/lessons/internal/agent"
)

// Join shows a new terminal of a play in this one, until its shell ends.
func Join(ctx context.Context, conn *websocket.Conn, in, out *os.File) error {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return err
	}
	defer func() { _ = term.Restore(int(in.Fd()), before) }() // nothing else can be done for it
	ctx, end := context.WithCancel(ctx)
	defer end()
	go sizes(ctx, out, func(data []byte) error { return conn.Write(ctx, websocket.MessageText, data) })
	go func() {
		_, _ = io.Copy(keys{ctx, conn}, in) // ends with the connection
	}()
	for {
		kind, data, err := conn.Read(ctx)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			return nil
		}
		if err != nil {
			return err
		}
		if kind == websocket.MessageBinary {
			if _, err := out.Write(data); err != nil {
				return err
			}
		}
	}
}

// keys sends what is typed.
type keys struct {
	ctx  context.Context
	conn *websocket.Conn
}

func (k keys) Write(data []byte) (int, error) {
	return len(data), k.conn.Write(k.ctx, websocket.MessageBinary, data)
}

// sizes sends the size of this terminal, now and whenever it changes.
func sizes(ctx context.Context, out *os.File, send func([]byte) error) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	defer signal.Stop(changed)
	for {
		if cols, rows, err := term.GetSize(int(out.Fd())); err == nil {
			data, err := json.Marshal(agent.Size{Rows: uint16(rows), Cols: uint16(cols)})
			if err != nil || send(data) != nil {
				return
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
