package difference

import "stagebox/lessons/internal/stages"

// Size is how many lines a stage has: comments are counted, tests are not.
type Size struct {
	Lesson, Commands int // what it adds to each of the two flat tiers; what it removes is not taken off
	Tools            int // of the packages that it introduces
	Flat             int // in the stage's directory, copied or new
	Code             int // what it adds in all three tiers that is neither blank nor a comment
}

// Plus is the sum of two sizes.
func (s Size) Plus(other Size) Size {
	return Size{s.Lesson + other.Lesson, s.Commands + other.Commands, s.Tools + other.Tools, s.Flat + other.Flat, s.Code + other.Code}
}

// Sizes are those of all stages, in their order.
func Sizes(all []stages.Stage) ([]Size, error) {
	var sizes []Size
	before, flat := "", 0
	for _, s := range all {
		files, err := Dirs(before, s.Dir, false)
		if err != nil {
			return nil, err
		}
		tools, err := Tools(s, false)
		if err != nil {
			return nil, err
		}
		var size Size
		for _, f := range files {
			flat += f.Added - f.Removed
			size.add(f)
		}
		for _, t := range tools {
			size.Tools, size.Code = size.Tools+t.Added(), size.Code+t.Code()
		}
		size.Flat = flat
		sizes, before = append(sizes, size), s.Dir
	}
	return sizes, nil
}

// add counts what a stage adds to a file.
func (s *Size) add(f File) {
	s.Code += f.Code
	if f.Tier() == stages.Commands {
		s.Commands += f.Added
	} else {
		s.Lesson += f.Added
	}
}
