// Package flags has kong read a command line as Docker does.
package flags

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// asDocker changes a command line that kong has built: only --help asks for help, so that -h is
// free; -u=0 is -u 0, for every flag of one letter; and a value that is missing, or no number, is
// an error in our words.
func asDocker(k *kong.Kong) error {
	k.Model.HelpFlag.Short = 0
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if value, is := node.(*kong.Value); is && (value.Flag != nil || value.Target.Kind() == reflect.Int) {
			value.Mapper = mapper{value.Mapper, value.IsBool()}
		}
		return next(nil)
	})
}

type mapper struct {
	kong.Mapper
	isBool bool
}

// Decode takes what follows a flag's letter for a value if it begins with =.
func (m mapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	if tail := ctx.Scan.Peek(); tail.Type == kong.ShortFlagTailToken {
		if value, is := strings.CutPrefix(tail.String(), "="); is {
			ctx.Scan.Pop()
			ctx.Scan.PushTyped(value, kong.FlagValueToken)
		}
	}
	value := ctx.Scan.Peek()
	if value.Type == kong.EOLToken && !m.isBool {
		return errors.New("a value is missing")
	}
	err := m.Mapper.Decode(ctx, target)
	if word := kindOf(target.Type()); err != nil && word != "" {
		return fmt.Errorf("%q is not %s", value.String(), word)
	}
	return err
}

// kindOf says what a flag of a type takes, if that is what kong reads by itself.
func kindOf(t reflect.Type) string {
	switch reflect.Zero(reflect.PointerTo(t)).Interface().(type) {
	case kong.MapperValue, encoding.TextUnmarshaler:
		return "" // its own errors say more
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	}
	return ""
}

// IsBool reports whether the flag needs no value.
func (m mapper) IsBool() bool { return m.isBool }

// Given are the flags of a command line, such as --name, in its order. Only later stages use it.
func Given(ctx *kong.Context) (list []string) {
	for _, step := range ctx.Path {
		if step.Flag != nil {
			list = append(list, "--"+step.Flag.Name)
		}
	}
	return list
}

// First returns the flag that comes first in an order, or else in the alphabet, of those that have a
// value; "" if none has. Only later stages use it.
func First(order []string, values map[string]bool) string {
	for _, flag := range slices.Concat(order, slices.Sorted(maps.Keys(values))) {
		if values[flag] {
			return flag
		}
	}
	return ""
}
