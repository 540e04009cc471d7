// Why a step is not in the cache. The inputs of the step at each place of a Dockerfile are kept
// (cache/slots), and the next ones are compared with them.

package main

import (
	"encoding/json"
	"os"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage07-cache/inputs"
)

// lastInputs is the key and the inputs that the step at a place had last.
type lastInputs struct {
	Key    string
	Inputs []inputs.Input
}

// saveLastInputs writes the inputs of the step at this place, for the next reason. If they are
// there already, the beginning of the file shows it.
func (c *cacheStep) saveLastInputs() error {
	begin := `{"Key":"` + c.key + `"`
	if file, err := os.Open(c.slot); err == nil {
		is := make([]byte, len(begin))
		n, errRead := file.Read(is)
		complain(file.Close())
		if errRead == nil && string(is[:n]) == begin {
			return nil
		}
	}
	data, err := json.Marshal(lastInputs{c.key, c.inputs})
	if err != nil {
		return err
	}
	return state.Write(c.slot, data, 0o600, state.Volatile)
}

// reason returns why a step is not in the cache: how its inputs differ from the last ones, or if
// they do not, what is wrong with its entry.
func (b *builder) reason(c *cacheStep, wrong string) string {
	var before lastInputs
	if err := state.ReadJSON(c.slot, &before); err != nil {
		return isNew
	}
	if before.Key == c.key {
		return wrong
	}
	return inputs.Difference(before.Inputs, c.inputs)
}

const (
	isNew   = "it is new"
	noCache = "--no-cache"
)
