// Command attacker holds the attacks that the behaviour suite has a container try. The suite
// puts it into roots when its own program needs libraries, which are not there.
package main

import (
	"fmt"
	"os"

	"stagebox/lessons/internal/attack"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, attack.Name+": which attack?")
		os.Exit(2)
	}
	os.Exit(attack.Main(os.Args[1:]))
}
