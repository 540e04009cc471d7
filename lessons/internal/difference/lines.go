package difference

import (
	"slices"
	"sort"
)

// Kind is what became of a line.
type Kind byte

const (
	Kept    Kind = ' '
	Added   Kind = '+'
	Removed Kind = '-'
	Folded  Kind = '~' // stands for declarations that did not change
)

// Line is a line of a comparison. Old and New are its numbers in the two texts, from 1;
// 0 where it does not exist.
type Line struct {
	Kind     Kind
	Old, New int
	Text     string
}

// Lines compares two texts. It goes by lines that occur once in each, as patience diff
// does, because people recognise those; what lies between is compared line by line.
func Lines(before, after []string) []Line {
	c := &comparison{before: before, after: after}
	c.between(0, len(before), 0, len(after))
	return c.lines
}

type comparison struct {
	before, after []string
	lines         []Line
}

func (c *comparison) keep(i, j int) {
	c.lines = append(c.lines, Line{Kept, i + 1, j + 1, c.after[j]})
}

// between compares before[a1:a2] with after[b1:b2].
func (c *comparison) between(a1, a2, b1, b2 int) {
	for a1 < a2 && b1 < b2 && c.before[a1] == c.after[b1] {
		c.keep(a1, b1)
		a1, b1 = a1+1, b1+1
	}
	tail := 0
	for a1 < a2-tail && b1 < b2-tail && c.before[a2-1-tail] == c.after[b2-1-tail] {
		tail++
	}
	c.middle(a1, a2-tail, b1, b2-tail)
	for k := tail; k > 0; k-- {
		c.keep(a2-k, b2-k)
	}
}

// middle compares what has neither a common beginning nor a common end.
func (c *comparison) middle(a1, a2, b1, b2 int) {
	anchors := c.anchors(a1, a2, b1, b2)
	if len(anchors) == 0 || a1 == a2 || b1 == b2 {
		anchors = c.subsequence(a1, a2, b1, b2)
		for _, at := range anchors {
			c.replace(a1, at.a, b1, at.b)
			c.keep(at.a, at.b)
			a1, b1 = at.a+1, at.b+1
		}
		c.replace(a1, a2, b1, b2)
		return
	}
	for _, at := range anchors {
		c.between(a1, at.a, b1, at.b)
		c.keep(at.a, at.b)
		a1, b1 = at.a+1, at.b+1
	}
	c.between(a1, a2, b1, b2)
}

func (c *comparison) replace(a1, a2, b1, b2 int) {
	for i := a1; i < a2; i++ {
		c.lines = append(c.lines, Line{Removed, i + 1, 0, c.before[i]})
	}
	for j := b1; j < b2; j++ {
		c.lines = append(c.lines, Line{Added, 0, j + 1, c.after[j]})
	}
}

// pair is a line that both texts have.
type pair struct{ a, b int }

// anchors are the lines that occur once in each part, as many as are in the same order.
func (c *comparison) anchors(a1, a2, b1, b2 int) []pair {
	type seen struct{ inA, inB, a, b int }
	lines := map[string]*seen{}
	for i := a1; i < a2; i++ {
		s := lines[c.before[i]]
		if s == nil {
			s = &seen{}
			lines[c.before[i]] = s
		}
		s.inA, s.a = s.inA+1, i
	}
	for j := b1; j < b2; j++ {
		if s := lines[c.after[j]]; s != nil {
			s.inB, s.b = s.inB+1, j
		}
	}
	var unique []pair
	for _, s := range lines {
		if s.inA == 1 && s.inB == 1 {
			unique = append(unique, pair{s.a, s.b})
		}
	}
	slices.SortFunc(unique, func(x, y pair) int { return x.a - y.a })
	return increasing(unique)
}

// increasing is the longest part of a list, sorted by a, in which b grows too.
func increasing(list []pair) []pair {
	var ends []int // ends[n] is the pair with the smallest b that ends a run of n+1
	back := make([]int, len(list))
	for i, p := range list {
		n := sort.Search(len(ends), func(n int) bool { return list[ends[n]].b >= p.b })
		back[i] = -1
		if n > 0 {
			back[i] = ends[n-1]
		}
		ends = append(ends[:n], append([]int{i}, ends[min(n+1, len(ends)):]...)...)
	}
	var run []pair
	if len(ends) > 0 {
		for i := ends[len(ends)-1]; i >= 0; i = back[i] {
			run = append(run, list[i])
		}
	}
	slices.Reverse(run)
	return run
}

// tooLarge is how many pairs of lines are compared one by one at most; beyond that
// the one text is taken to replace the other.
const tooLarge = 4 << 20

// subsequence is the longest common subsequence, by the textbook's table.
func (c *comparison) subsequence(a1, a2, b1, b2 int) []pair {
	rows, cols := a2-a1, b2-b1
	if rows*cols == 0 || rows*cols > tooLarge {
		return nil
	}
	length := make([][]int, rows+1)
	for i := range length {
		length[i] = make([]int, cols+1)
	}
	for i := rows - 1; i >= 0; i-- {
		for j := cols - 1; j >= 0; j-- {
			length[i][j] = max(length[i+1][j], length[i][j+1])
			if c.before[a1+i] == c.after[b1+j] {
				length[i][j] = length[i+1][j+1] + 1
			}
		}
	}
	var common []pair
	for i, j := 0, 0; i < rows && j < cols; {
		switch {
		case c.before[a1+i] == c.after[b1+j]:
			common = append(common, pair{a1 + i, b1 + j})
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return common
}
