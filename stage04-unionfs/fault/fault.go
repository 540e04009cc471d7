// Package fault has the kinds of errors that a program tells apart, as those of the Docker Engine API
// do by a status of HTTP. An error gets its kind where it is made, and keeps it in whatever wraps it.
// A box that another program runs reports the kind beside the text (Mark). No lesson reads it.
package fault

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"stagebox/stage01-namespaces/plan"
)

// Kind is the kind of an error.
type Kind int

// The kinds. Other is that of all errors which were given none.
const (
	Other     Kind = iota
	Invalid        // what is asked for makes no sense, to whomever it is put
	NotFound       // what it is about is not there
	Conflict       // what it is about is not in a state for it
	Forbidden      // it is not to be done, in any state
)

// kinded is an error with a kind.
type kinded struct {
	kind Kind
	error
}

func (k kinded) Unwrap() error { return k.error }

// Kind is what Of asks an error for. Other packages' types of errors may have this method too.
func (k kinded) Kind() Kind { return k.kind }

// New makes an error, as errors.New does.
func (k Kind) New(text string) error { return kinded{k, errors.New(text)} }

// Errorf makes an error, as fmt.Errorf does.
func (k Kind) Errorf(format string, args ...any) error { return kinded{k, fmt.Errorf(format, args...)} }

// Wrap gives an error a kind, unless it is nil or has one.
func (k Kind) Wrap(err error) error {
	if err == nil || Of(err) != Other {
		return err
	}
	return kinded{k, err}
}

// Of is the kind of an error. A program that cannot be executed is an invalid one.
func Of(err error) Kind {
	var k interface{ Kind() Kind }
	if errors.As(err, &k) {
		return k.Kind()
	}
	var step plan.StepError
	if errors.As(err, &step) && step.AtExecve() {
		return Invalid
	}
	return Other
}

// Variable is the environment variable that asks for the marks.
const Variable = "BOX_FAULTS"

// mark precedes the number of a kind.
const mark = "\x1fkind "

// Mark is a line with the kind of an error, if the environment asks for it; else it is empty.
func Mark(err error) string {
	if k := Of(err); k != Other && os.Getenv(Variable) != "" {
		return fmt.Sprintf("%s%d\n", mark, k)
	}
	return ""
}

// Marked reads a line of Mark.
func Marked(line string) (k Kind, is bool) {
	number, is := strings.CutPrefix(line, mark)
	n, err := strconv.Atoi(number)
	return Kind(n), is && err == nil
}
