// Shell completion. A shell that completes a box command asks box itself: `box completion
// words` is given the words so far and prints what the last may become, by the same model
// by which a command is read. So the scripts for the shells know nothing of the commands,
// and never are out of date. How the shells ask: bash(1) under Programmable Completion,
// zshcompsys(1), and complete of fish.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string   `arg:"" help:"bash, zsh or fish: source <(box completion bash), or box completion fish | source." enum:"bash,zsh,fish,words"`
	Words []string `arg:"" optional:"" hidden:"" passthrough:"" help:"The words behind box, of which the last is to be completed; the scripts ask so."`

	Store
}

// Run is `box completion`.
func (c *completionCmd) Run() error {
	if c.Shell != "words" {
		_, err := fmt.Print(completionScripts[c.Shell])
		return err
	}
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	last := len(words) - 1
	for _, word := range complete(parser(nil).Model.Node, words[:last], words[last], c.Store) {
		fmt.Println(word)
	}
	return nil
}

// completionScripts ask for words, and take files where there are none.
var completionScripts = map[string]string{
	"bash": `_box() {
  local IFS=$'\n' line=${COMP_LINE:0:COMP_POINT}
  read -ra words -d '' <<<"${line// /$IFS}"
  [[ $line == *' ' ]] && words+=("")
  local current=${words[-1]} prefix=
  [[ $current == *:* && $COMP_WORDBREAKS == *:* ]] && prefix=${current%:*}:
  COMPREPLY=($("${words[0]}" completion words -- "${words[@]:1}" 2>/dev/null))
  COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}
complete -o default -F _box box
`,
	"zsh": `#compdef box
_box() {
  local -a found
  found=("${(@f)$(${words[1]} completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n $found[1] ]]; then compadd -- $found; else _files; fi
}
compdef _box box
`,
	"fish": `function __box_words
  set -l words (commandline -opc) (commandline -ct)
  set -l found ($words[1] completion words -- $words[2..-1] 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c box -f -a '(__box_words)'
`,
}

// complete finds what a word may become that comes behind others.
func complete(node *kong.Node, before []string, word string, s Store) []string {
	var place, flags = 0, node.Flags // how many arguments are there already
	for i := 0; i < len(before); i++ {
		child := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == before[i] })
		flag := flagNamed(flags, before[i])
		switch {
		case flag != nil && !flag.IsBool() && i == len(before)-1:
			return fitting(word, valuesOf("--"+flag.Name, flag.Enum, s))
		case flag != nil && !flag.IsBool():
			i++
		case flag != nil, strings.HasPrefix(before[i], "-") && before[i] != "--":
		case child >= 0:
			node = node.Children[child]
			flags = append(flags, node.Flags...)
		case place < len(node.Positional) && node.Positional[place].Passthrough:
			return nil // the words of the program that runs inside
		default:
			place++
		}
	}
	switch {
	case strings.HasPrefix(word, "-"):
		return fitting(word, flagWords(flags))
	case len(node.Children) > 0:
		var names []string
		for _, child := range node.Children {
			names = append(names, child.Name)
		}
		return fitting(word, names)
	case len(node.Positional) == 0:
		return nil
	}
	arg := node.Positional[min(place, len(node.Positional)-1)]
	if place >= len(node.Positional) && !arg.IsCumulative() {
		return nil
	}
	name := arg.Name
	if name == "command" && node.Name == "run" {
		name = "image" // or a program of the host's, for which the shell knows better
	}
	return fitting(word, valuesOf(name, arg.Enum, s))
}

func flagNamed(flags []*kong.Flag, word string) *kong.Flag {
	i := slices.IndexFunc(flags, func(f *kong.Flag) bool {
		return word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short)
	})
	if i < 0 {
		return nil
	}
	return flags[i]
}

func flagWords(flags []*kong.Flag) (words []string) {
	for _, f := range flags {
		if !f.Hidden {
			words = append(words, "--"+f.Name)
		}
	}
	return words
}

func fitting(prefix string, words []string) []string {
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" || !strings.HasPrefix(w, prefix) })
	slices.Sort(words)
	return slices.Compact(words)
}

// valuesOf are the values of a flag or argument, by its name. What cannot be read has none:
// nobody wants an error in the middle of typing.
func valuesOf(name, enum string, s Store) []string {
	switch name {
	case "container":
		return s.linkNames()
	case "image":
		return s.imageNames()
	case "name": // of inspect
		return append(s.linkNames(), s.imageNames()...)
	case "volume":
		return entryNames(s.path("volumes"))
	case "network":
		return s.networkNames()
	case "--network":
		words := append(s.networkNames(), "none", "host", "bridge")
		for _, container := range s.linkNames() {
			words = append(words, "container:"+container)
		}
		if enum == "" {
			return words
		}
	}
	return strings.Split(enum, ",")
}

// linkNames are the names of the containers: links to their directories.
func (s Store) linkNames() (names []string) {
	for _, name := range entryNames(s.path("containers")) {
		if isName(name) && !isID(name) {
			names = append(names, name)
		}
	}
	return names
}

func (s Store) imageNames() (names []string) {
	all, err := s.images()
	if err != nil {
		return nil
	}
	for _, image := range all {
		for _, name := range image.familiar() {
			if name[1] == "<none>" {
				names = append(names, short(image.ID))
			} else if names = append(names, name[0]+":"+name[1]); name[1] == "latest" {
				names = append(names, name[0])
			}
		}
	}
	return names
}

func (s Store) networkNames() (names []string) {
	for _, name := range entryNames(string(s.networks())) {
		if name, is := strings.CutSuffix(name, ".json"); is {
			names = append(names, name)
		}
	}
	return names
}

func entryNames(dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
