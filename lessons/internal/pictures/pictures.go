// Package pictures draws the lessons' pictures: one for each, of what that lesson's stage does
// or has made when it is asked here and now. Ids, digests, times and sizes that differ from
// host to host are left out or get fixed names, so that the same picture comes out everywhere.
package pictures

import (
	"context"
	"fmt"
	"os"

	"stagebox/lessons/internal/stages"
)

// subject is how a stage's picture is drawn.
type subject struct {
	draw func(*box) (*drawing, error)
	root bool // it shows what only root has
}

// subjects are those of the stages from the first on.
var subjects = []subject{
	{drawCalls, true},
	{drawLimits, false},
	{drawMounts, true},
	{drawOverlay, false},
	{drawImages, false},
	{drawLayers, false},
	{drawCache, false},
	{drawNetwork, true},
	{drawDaemon, false},
}

// Picture is a stage's picture.
type Picture struct {
	stage stages.Stage
	subject
}

// All are the pictures of the stages, in their order; a stage may have none.
func All(all []stages.Stage) []Picture {
	var list []Picture
	for _, s := range all[:min(len(all), len(subjects))] {
		list = append(list, Picture{s, subjects[s.Number-1]})
	}
	return list
}

// File is the picture's path below the repository root.
func (p Picture) File() string {
	return fmt.Sprintf("lessons/pictures/%02d-%s.svg", p.stage.Number, p.stage.Topic)
}

// Draw makes the picture, as SVG. The error wraps ErrMissing when that is not possible here.
func (p Picture) Draw(ctx context.Context) (svg string, err error) {
	if p.root && os.Geteuid() != 0 {
		return "", fmt.Errorf("%s %w: it shows what root has", p.File(), ErrMissing)
	}
	b, err := newBox(ctx, p.stage)
	if err != nil {
		return "", err
	}
	defer func() {
		if errClose := b.close(); err == nil {
			err = errClose
		}
	}()
	d, err := p.draw(b)
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.File(), err)
	}
	return d.String(), nil
}
