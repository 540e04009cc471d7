// Command try checks an exercise in the playground's machine, where there is no repository:
// try EXERCISE BOX MAKER. It prints a line for each check as it ends.
package main

import (
	"context"
	"fmt"
	"os"

	"stagebox/lessons/internal/behave"
	"stagebox/lessons/internal/exercises"
)

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("usage: try EXERCISE BOX MAKER"))
	}
	e, err := exercises.Get(os.Args[1])
	if err != nil {
		fail(err)
	}
	if err := try(e, os.Args[2], os.Args[3]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Println("try:", err)
	os.Exit(1)
}

// try holds the exercise's rows against a box.
func try(e exercises.Exercise, box, maker string) error {
	if !e.Maker {
		maker = ""
	}
	held, failed := 0, 0
	err := e.Goal(context.Background(), box, maker, func(r behave.Result) {
		switch {
		case r.Skipped != "":
			fmt.Printf("skip %s, as %s: %s\n", r.Row.Name, r.As, r.Skipped)
		case r.Holds:
			held++
			fmt.Printf("ok   %s, as %s\n", r.Row.Name, r.As)
		default:
			failed++
			fmt.Printf("FAIL %s, as %s\n", r.Row.Name, r.As)
			fmt.Printf("     expected %s\n     saw %s\n", r.Expected, r.Saw)
		}
	})
	if err == nil && (failed > 0 || held == 0) {
		err = fmt.Errorf("%d checks hold, %d do not", held, failed)
	}
	return err
}
