package exercises

import (
	"context"
	"regexp"
	"slices"

	"stagebox/lessons/internal/behave"
)

// Goal holds the exercise's rows against a binary, and reports each. The result of an attack
// is turned round: it holds when the attack has got through.
func (e Exercise) Goal(ctx context.Context, binary, maker string, report func(behave.Result)) error {
	suite := behave.Suite{Binary: binary, Stage: e.Stage, Names: e.Rows, Maker: maker}
	return suite.Run(ctx, func(r behave.Result) {
		if e.Break != "" && r.Skipped == "" {
			r = e.turned(r)
		}
		report(r)
	})
}

// turned is what a row means for who wants it to fail. A check that could not look proves
// nothing either way.
func (e Exercise) turned(r behave.Result) behave.Result {
	r.Holds = !r.Holds && r.Err == nil && regexp.MustCompile(e.Break).MatchString(r.Saw)
	r.Row.Name = "not true any more: " + r.Row.Name
	r.Expected = "the attack gets through: something like /" + e.Break + "/"
	return r
}

// Rest is the suite of what the stage could do before, and must still do; of its rows each
// every-th is run.
func (e Exercise) Rest(binary string, every int) behave.Suite {
	return behave.Suite{Binary: binary, Stage: e.Stage, Except: slices.Concat(e.Excused, e.Rows), Every: every, Ready: true}
}
