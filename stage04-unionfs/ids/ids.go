// Package ids makes the ids and the names of containers, and says what may be one. An id is a
// random number, as in Docker; a container that is given no name gets two words, which one can
// say and type. A Dir has containers in it, and finds one by its id or name.
//
// No lesson reads it.
package ids

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strings"

	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/state"
)

const (
	digits = "0123456789"
	hex    = digits + "abcdef"
	letter = "abcdefghijklmnopqrstuvwxyz" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// madeOf reports whether a text has only characters of a set, and at least one.
func madeOf(text, set string) bool { return text != "" && strings.Trim(text, set) == "" }

// New returns a random id: 64 hexadecimal digits.
func New() string {
	id := make([]byte, 32)
	rand.Read(id) // never fails
	return fmt.Sprintf("%x", id)
}

// IsID reports whether a text has the form of an id.
func IsID(text string) bool { return len(text) == 64 && madeOf(text, hex) }

// IsName reports whether a text may name a container, a volume or a network, as in Docker:
// letters, digits and _ . - of which the first is a letter or a digit.
func IsName(text string) bool {
	return madeOf(text, letter+digits+"_.-") && madeOf(text[:1], letter+digits)
}

// IsNumber reports whether a text has only digits.
func IsNumber(text string) bool { return madeOf(text, digits) }

const qualities = `able amber bold brave bright brisk busy calm clear clever cosy crisp curious
	deep eager early fair fast fine firm fresh gentle glad golden grand green happy hardy honest
	humble jolly keen kind late light lively lucky merry mild neat nimble noble patient plain
	plucky polite proud quick quiet rapid ready round royal sharp shy silent silver smart smooth
	solid spry steady still sturdy sunny sure swift tall tidy tiny tough true vivid warm wise
	witty young`

const animals = `ant badger bat bear beaver bee bison boar camel cat crab crane crow deer dog dove
	duck eagle eel elk falcon ferret finch fox frog gecko goat goose hare hawk hen heron horse
	ibex jay koala lark lemur lion lizard llama lynx magpie marten mole moose moth mouse newt
	octopus orca otter owl ox panda parrot pony puffin quail rabbit ram raven robin salmon seal
	shark sheep snail sparrow spider squid stork swan tapir tiger toad trout turtle viper walrus
	wasp whale wolf wren yak zebra`

// TwoWords returns a random name such as keen_otter. It may be taken already.
func TwoWords() string { return oneOf(qualities) + "_" + oneOf(animals) }

func oneOf(words string) string {
	list := strings.Fields(words)
	return list[mathrand.IntN(len(list))]
}

// CheckFile refuses a file for an id that is there already, perhaps another container's, as Docker
// does. An empty name is none.
func CheckFile(name string) error {
	if name == "" {
		return nil
	}
	if _, err := os.Stat(name); err == nil {
		return fmt.Errorf("--cidfile %s: the file exists; remove it, or give another name", name)
	}
	return state.CheckOutput(name)
}

// WriteFile writes an id to a file, if a name is given.
func WriteFile(name, id string) error {
	if name == "" {
		return nil
	}
	return state.Output(name, state.Volatile, func(out *os.File) error {
		_, err := out.WriteString(id)
		return err
	})
}

// CheckName refuses a text that cannot be a container's name.
func CheckName(name string) error {
	if len(name) < 2 || !IsName(name) || IsID(name) || IsNumber(name) {
		return fault.Invalid.Errorf("%q: a name is made of two or more letters, digits and _ . -, "+
			"begins with a letter or digit, and is neither a number nor an id", name)
	}
	return nil
}
