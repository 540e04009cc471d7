// Why a step is not in the cache. The inputs of the step at each place of a Dockerfile are kept
// (cache/slots), and the next ones are compared with them.

package main

import "stagebox/stage07-cache/inputs"

// reason returns why a step is not in the cache: how its inputs differ from the last ones, or if
// they do not, what is wrong with its entry.
func (b *builder) reason(c *cacheStep, wrong string) string {
	before, err := inputs.ReadLast(c.slot)
	if err != nil {
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
