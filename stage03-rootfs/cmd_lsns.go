// box lsns shows which processes are in other namespaces than box: those of any runtime's
// containers. The package nslist finds them.

package main

import (
	"fmt"
	"os"
	"strings"

	"stagebox/stage01-namespaces/nslist"
)

type lsnsCmd struct{}

// Run is `box lsns`. A namespace that is ours too is shown as a dash.
func (lsnsCmd) Run() error {
	hidden, err := nslist.Write(os.Stdout, strings.Split(kindNames(), ", "))
	if hidden > 0 {
		fmt.Fprintln(os.Stderr, "box: "+nslist.LeftOut(hidden))
	}
	return err
}
