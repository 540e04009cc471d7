// Shell completion. A shell that completes a box command asks box itself: `box completion
// words` takes the words so far and prints the completions of the last one. The names in a
// store, of its containers, images and networks, are listed here.

package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"stagebox/stage08-network/completion"
)

type completionCmd struct {
	Shell string   `arg:"" help:"bash, zsh or fish. Load with: source <(box completion bash), or box completion fish | source." enum:"bash,zsh,fish,words"`
	Words []string `arg:"" optional:"" hidden:"" passthrough:"" help:"Words after box, the last of which is completed; used by the generated scripts."`

	Store Store `embed:""`
}

// Run is `box completion`.
func (c *completionCmd) Run() error {
	if c.Shell != "words" {
		_, err := fmt.Print(completion.Script(c.Shell))
		return err
	}
	before, last := completion.Split(c.Words)
	for _, word := range completion.Words(commandLine().Parser(nil).Model.Node, before, last, c.Store.wordsOf) {
		fmt.Println(word)
	}
	return nil
}

// wordsOf lists the values of an argument or a --flag. Where they cannot be read there are
// none: an error would only be in the way while a user types.
func (s Store) wordsOf(_ *kong.Node, name string) []string {
	switch name {
	case "container":
		return s.ids().Names()
	case "image":
		return s.layout().Names()
	case "name": // of inspect
		return append(s.ids().Names(), s.layout().Names()...)
	case "volume":
		return completion.Entries(s.path("volumes"), "")
	case "network":
		return s.networkNames()
	case "--network":
		words := append(s.networkNames(), "none", "host", "bridge")
		for _, container := range s.ids().Names() {
			words = append(words, "container:"+container)
		}
		return words
	}
	return nil
}

func (s Store) networkNames() []string { return completion.Entries(s.networks().Path, ".json") }
