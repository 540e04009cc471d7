// Command sessions types the terminal sessions of a lesson, in the playground's machine, and
// compares what is shown: sessions PAGE BIN. BIN is the directory of the lesson's box.
package main

import (
	"fmt"
	"os"
	"time"

	"stagebox/lessons/internal/transcript"
)

func main() {
	if len(os.Args) != 3 {
		fail("usage: sessions PAGE BIN")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail(err)
	}
	blocks, err := transcript.Parse(string(text))
	if err != nil {
		fail(err)
	}
	const nobody = 65534
	report, err := transcript.Session{Bin: os.Args[2], User: nobody, Patience: 10 * time.Minute}.Run(blocks)
	if err != nil {
		fail(err)
	}
	fmt.Printf("%d steps, %d blocks left out\n", report.Ran, report.Left)
	if len(report.Findings) > 0 {
		fail(report.Findings)
	}
}

func fail(why any) {
	fmt.Println("sessions:", why)
	os.Exit(1)
}
