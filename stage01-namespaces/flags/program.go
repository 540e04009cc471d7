// A program with commands. Describing a command to kong takes longer than reading an everyday line
// for it, which Parse does.

package flags

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Command is what a word after the program's name does. Command points to a struct whose fields are
// its flags and whose Run does it. The help of the program does not list a command without a Help.
type Command = struct {
	Name, Help string
	Command    any
}

// Program is a program whose first argument names a command.
type Program struct {
	Name, Description string
	Commands          []Command
	Vars              kong.Vars // for ${NAME} in help texts

	// Arguments are pairs: what kong's line of usage calls an argument, and what to call it instead.
	Arguments []string
}

// Read returns the Run of the command that args name. An error says what is wrong with which word.
func (p Program) Read(args []string) (run func() error, err error) {
	args = AsHelp(args)
	for _, c := range p.Commands {
		if c.Name == args[0] {
			run = Parse(c.Command, args[1:])
		}
	}
	if run != nil {
		return run, nil
	}
	ctx, err := p.Parser(args).Parse(args)
	if name := p.ours(args); err != nil && name != "" {
		return nil, fmt.Errorf("unknown command %q (did you mean %s %s?); see %[2]s --help",
			strings.Join(args[:2], " "), p.Name, name)
	} else if err != nil {
		return nil, Explain(p.Name, err)
	}
	return func() error { return ctx.Run() }, nil
}

// dockers are pairs of words with which Docker names what is a command of one word here.
var dockers = map[string]string{
	"container ls": "ps", "container list": "ps", "image ls": "images", "image list": "images",
	"image rm": "rmi", "image remove": "rmi", "image build": "build", "image pull": "pull",
	"image push": "push", "image tag": "tag", "image save": "save", "image load": "load",
	"image import": "import", "image history": "history", "system info": "info",
	"builder build": "build", "buildx build": "build",
}

// ours returns the command of this program that Docker names with the first two of args, or "".
// Docker has our commands for containers below container, too.
func (p Program) ours(args []string) string {
	if len(args) < 2 {
		return ""
	}
	name := dockers[args[0]+" "+args[1]]
	if name == "" && args[0] == "container" {
		name = args[1]
	}
	for _, c := range p.Commands {
		if c.Name == name && c.Help != "" {
			return name
		}
	}
	return ""
}

// AsHelp makes of `help` and `help COMMAND` what git, go and docker make of it.
func AsHelp(args []string) []string {
	if args[0] != "help" {
		return args
	}
	return append(slices.Clone(args[1:]), "--help")
}

// Parser knows the command that args name, or all of them for a help text. Describing one
// takes a tenth of the time in which a container starts, describing all several times that.
func (p Program) Parser(args []string) *kong.Kong {
	options := []kong.Option{
		kong.Name(p.Name),
		kong.Description(p.Description),
		p.Vars,
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Help(p.help),
		kong.WithHyphenPrefixedParameters(true), // a flag's value may be negative
		kong.PostBuild(asDocker),
	}
	var all []kong.Option
	for _, c := range p.Commands {
		command := kong.DynamicCommand(c.Name, c.Help, "", c.Command)
		if len(args) > 0 && args[0] == c.Name {
			return kong.Must(&struct{}{}, append(options, command)...)
		}
		if c.Help != "" {
			all = append(all, command)
		}
	}
	return kong.Must(&struct{}{}, append(options, all...)...)
}

// help is kong's, except that it shows flags where they belong: everything after the first word of
// a command line that is run is for that command.
func (p Program) help(options kong.HelpOptions, ctx *kong.Context) error {
	var text bytes.Buffer
	out := ctx.Stdout
	ctx.Stdout = &text
	err := kong.DefaultHelpPrinter(options, ctx)
	ctx.Stdout = out
	usage, rest, _ := strings.Cut(text.String(), "\n")
	if name, args, found := strings.Cut(strings.TrimSuffix(usage, " [flags]"), " <"); found {
		usage = strings.NewReplacer(p.Arguments...).Replace(name + " [flags] <" + args)
	}
	fmt.Fprintln(out, usage)
	fmt.Fprint(out, rest)
	return err
}
