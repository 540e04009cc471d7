// Package flags has kong read a command line as Docker does.
package flags

import (
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// AsDocker changes a command line that kong has built: only --help asks for help, so that -h is
// free, and -u=0 is -u 0, for every flag of one letter.
func AsDocker(k *kong.Kong) error {
	k.Model.HelpFlag.Short = 0
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, is := node.(*kong.Flag); is && flag.Short != 0 {
			flag.Mapper = mapper{flag.Mapper, flag.IsBool()}
		}
		return next(nil)
	})
}

type mapper struct {
	kong.Mapper
	isBool bool
}

// Decode takes what follows the letter for a value if it begins with =.
func (m mapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	if tail := ctx.Scan.Peek(); tail.Type == kong.ShortFlagTailToken {
		if value, is := strings.CutPrefix(tail.String(), "="); is {
			ctx.Scan.Pop()
			ctx.Scan.PushTyped(value, kong.FlagValueToken)
		}
	}
	return m.Mapper.Decode(ctx, target)
}

// IsBool reports whether the flag needs no value.
func (m mapper) IsBool() bool { return m.isBool }
