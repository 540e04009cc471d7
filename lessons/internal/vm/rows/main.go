// Rows holds some rows of the behaviour suite against a box, in the virtual machine, where
// there is no go test: rows STAGE BOX NAME…
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"stagebox/lessons/internal/behave"
)

func main() {
	stage, err := strconv.Atoi(os.Args[1])
	if err == nil {
		// The machine is slow: few rows at once, so that none waits for the others too long.
		err = hold(behave.Suite{Stage: stage, Binary: os.Args[2], Names: os.Args[3:], Workers: 3})
	}
	if err != nil {
		fmt.Println("rows:", err)
		os.Exit(1)
	}
}

// hold prints what came of each row.
func hold(s behave.Suite) error {
	held, failed := 0, 0
	err := s.Run(context.Background(), func(r behave.Result) {
		switch {
		case r.Skipped != "":
			fmt.Printf("skip %s, %s: %s\n", r.Row.Name, r.As, r.Skipped)
		case r.OK():
			held++
			fmt.Printf("ok   %s, %s\n", r.Row.Name, r.As)
		default:
			failed++
			fmt.Printf("FAIL %s, %s\n     ran %q\n     expected %s\n     saw %s\n", r.Row.Name, r.As, r.Ran, r.Expected, r.Saw)
		}
	})
	if err == nil && (failed > 0 || held == 0) {
		err = fmt.Errorf("%d rows hold, %d do not", held, failed)
	}
	return err
}
