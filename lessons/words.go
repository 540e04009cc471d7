// What is the same for all commands of the workbench: the words after their names, and how they end
// before they are done.

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// wholeNumber reads a number as the lessons' files are numbered: 08 is 8, which kong takes for octal.
var wholeNumber = kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
	var word string
	if err := ctx.Scan.PopValueInto("number", &word); err != nil {
		return err
	}
	n, err := strconv.Atoi(word)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", word)
	}
	target.SetInt(int64(n))
	return nil
})

// printing are the commands that only print. When `| head` has read enough they go on to their end,
// which is near, and remove what they have made.
var printing = []string{"diff", "doctor", "list", "read"}

// surviveClosedOutput keeps SIGPIPE from ending such a command.
func surviveClosedOutput(command string) {
	if name, _, _ := strings.Cut(command, " "); slices.Contains(printing, name) {
		signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	}
}

// untilStopped returns a context that ends with Ctrl-C, with the terminal, and when the output is not
// read any more.
func untilStopped() (ctx context.Context, stop func()) {
	ctx, stop = signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, unix.SIGPIPE) // of a socket, too
	go func() {
		for range pipes {
			if plan.OutputIsClosed() {
				stop()
			}
		}
	}()
	return ctx, stop
}
