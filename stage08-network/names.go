// A container that nobody has named gets a name of two words, which one can say and type.
package main

import (
	"math/rand/v2"
	"strings"
)

var qualities = strings.Fields(`able amber bold brave bright brisk busy calm clear clever cosy crisp curious deep eager early
	fair fast fine firm fresh gentle glad golden grand green happy hardy honest humble jolly keen kind late light lively lucky
	merry mild neat nimble noble patient plain plucky polite proud quick quiet rapid ready round royal sharp shy silent silver
	smart smooth solid spry steady still sturdy sunny sure swift tall tidy tiny tough true vivid warm wise witty young`)

var animals = strings.Fields(`ant badger bat bear beaver bee bison boar camel cat crab crane crow deer dog dove duck eagle eel
	elk falcon ferret finch fox frog gecko goat goose hare hawk hen heron horse ibex jay koala lark lemur lion lizard llama lynx
	magpie marten mole moose moth mouse newt octopus orca otter owl ox panda parrot pony puffin quail rabbit ram raven robin
	salmon seal shark sheep snail sparrow spider squid stork swan tapir tiger toad trout turtle viper walrus wasp whale wolf wren yak zebra`)

func twoWords() string {
	return qualities[rand.IntN(len(qualities))] + "_" + animals[rand.IntN(len(animals))]
}
