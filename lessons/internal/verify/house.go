package verify

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/stages"
	"stagebox/lessons/internal/transcript"
)

// tools holds what is said of tools: one copy of each, in the first stage that needs it, and a
// comment that says what it is for. Who may import it is a matter of the rule imports.
func tools(_ string, all []stages.Stage) ([]Finding, error) {
	var found []Finding
	owner := map[string]stages.Tool{} // by the name of the directory
	for _, s := range all {
		list, err := s.Tools()
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			name := filepath.Base(t.Name)
			if first, ok := owner[name]; ok {
				found = append(found, Finding{t.Path(), fmt.Sprintf("there is a tool %s already, %s: a tool is edited where it is, for all stages, and imported by the later ones; or give this one another name", name, first.Path())})
			} else {
				owner[name] = t
			}
			wrong, err := comment(t)
			if err != nil {
				return nil, err
			}
			found = append(found, wrong...)
		}
	}
	twice, err := copiesOfTools(all)
	return append(found, twice...), err
}

// comment looks whether a tool has one package comment, and the name of its directory.
func comment(t stages.Tool) ([]Finding, error) {
	files, err := t.Files(false)
	if err != nil {
		return nil, err
	}
	var found []Finding
	var with []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(t.Dir(), name), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			found = append(found, Finding{filepath.Join(t.Path(), name), err.Error()})
			continue
		}
		if pkg := file.Name.Name; pkg != filepath.Base(t.Name) {
			found = append(found, Finding{filepath.Join(t.Path(), name), fmt.Sprintf("is of package %s: a tool is a package with the name of its directory, %s", pkg, filepath.Base(t.Name))})
		}
		if file.Doc != nil {
			with = append(with, name)
		}
	}
	switch {
	case len(with) == 0:
		found = append(found, Finding{t.Path(), fmt.Sprintf("has no package comment: begin one of its files with // Package %s … , what it is for and what part of it a lesson reads", filepath.Base(t.Name))})
	case len(with) > 1:
		found = append(found, Finding{t.Path(), fmt.Sprintf("has a package comment in %s, which go doc makes one text of: leave a blank line before package in all but one", strings.Join(with, " and in "))})
	}
	return found, nil
}

// logic is from how many lines on the same code in two files is a copy.
const logic = 12

// copiesOfTools finds files of a later stage, flat or in a tool, whose code is that of a file
// of a tool: what comes after the imports is the same to the byte. Tests are left out, since
// what helps in one cannot be imported.
func copiesOfTools(all []stages.Stage) ([]Finding, error) {
	first := map[string]string{} // path of a tool's file, by its code
	var found []Finding
	err := eachToolFile(all, func(_ stages.Tool, path string, text []byte) {
		code := body(path, text)
		if code == "" {
			return
		}
		if earlier, ok := first[code]; ok {
			found = append(found, Finding{path, copyOf(earlier)})
			return
		}
		first[code] = path
	})
	if err != nil {
		return nil, err
	}
	err = eachFile(all, func(_ stages.Stage, path string, text []byte) {
		if earlier, ok := first[body(path, text)]; ok {
			found = append(found, Finding{path, copyOf(earlier)})
		}
	})
	return found, err
}

func copyOf(earlier string) string {
	return fmt.Sprintf("is a copy of %s: import that tool instead, there is one copy of each", earlier)
}

// body is a file's code after its imports; "" for a test, and when it is too little to speak of.
func body(path string, text []byte) string {
	if strings.HasSuffix(path, "_test.go") {
		return ""
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.ImportsOnly)
	if err != nil {
		return ""
	}
	end := file.Name.End()
	if n := len(file.Decls); n > 0 {
		end = file.Decls[n-1].End()
	}
	code := strings.TrimSpace(string(text[set.Position(end).Offset:]))
	if strings.Count(code, "\n") < logic {
		return ""
	}
	return code
}

// calls finds calls in tools that are what a lesson is about: those that its transcripts show,
// netlink sockets and the files of cgroups. plan/ makes all of them, for all others. A tool that can
// write no file, and that only the flat code imports, may name those of cgroups: that code makes the call.
func calls(root string, all []stages.Stage) ([]Finding, error) {
	taught, err := taughtCalls(root, all)
	if err != nil {
		return nil, err
	}
	writes, err := writingTools(all)
	if err != nil {
		return nil, err
	}
	var found []Finding
	err = eachToolFile(all, func(t stages.Tool, path string, text []byte) {
		if t.Name == caller || strings.HasSuffix(path, "_test.go") {
			return
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
		if err != nil {
			return // another rule says that it does not parse
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if _, ok := n.(*ast.ImportSpec); ok {
				return false
			}
			if lit, ok := n.(*ast.BasicLit); ok && namesGroupFile(lit) && !writes[t.Path()] {
				return true
			}
			if what := taughtIn(n, taught); what != "" {
				found = append(found, Finding{fmt.Sprintf("%s:%d", path, set.Position(n.Pos()).Line), what + ", which is what a lesson shows: do that in the lesson tier, and let the tool return or take what is needed; only " + caller + "/ makes such calls"})
			}
			return true
		})
	})
	return found, err
}

// writingTools are the tools that could write a file, or that one of these imports, by their paths. A
// tool could if any of its files imports more than the packages of composing.
func writingTools(all []stages.Stage) (map[string]bool, error) {
	imports, writes := map[string][]string{}, map[string]bool{}
	err := eachToolFile(all, func(t stages.Tool, path string, text []byte) {
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		if err != nil || strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, spec := range file.Imports {
			name := strings.Trim(spec.Path.Value, `"`)
			imports[t.Path()] = append(imports[t.Path()], strings.TrimPrefix(name, stages.Module+"/"))
			writes[t.Path()] = writes[t.Path()] || !slices.Contains(composing, name)
		}
	})
	for tool, list := range imports {
		for _, name := range list {
			writes[name] = writes[name] || writes[tool]
		}
	}
	return writes, err
}

// told is a line of a narration: who calls, and what.
var told = regexp.MustCompile(`^(?:host│|box │) *([a-z][a-z0-9_]*)\(`)

// taughtCalls are the system calls that the lessons' transcripts show, everyday ones left out.
func taughtCalls(root string, all []stages.Stage) (map[string]bool, error) {
	taught := map[string]bool{}
	for _, name := range shown {
		taught[name] = true
	}
	for _, s := range all {
		text, err := readBytes(root, s.Lesson())
		if os.IsNotExist(err) {
			continue // it is yet to be written
		} else if err != nil {
			return nil, err
		}
		blocks, err := transcript.Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Lesson(), err)
		}
		for _, b := range blocks {
			for _, step := range b.Steps {
				for _, line := range step.Expect {
					if m := told.FindStringSubmatch(line); m != nil && !slices.Contains(everyday, m[1]) {
						taught[m[1]] = true
					}
				}
			}
		}
	}
	return taught, nil
}

// groupFile is the name of a file of cgroups, or of where they are.
var groupFile = regexp.MustCompile(`/sys/fs/cgroup|\bcgroup\.(procs|threads|kill|freeze|events|type|controllers|subtree_control)\b|\b(memory|cpu|pids|io|cpuset)\.(max|min|low|high|weight|cpus|mems|swap\.max|oom\.group)\b`)

// taughtIn says what a node does that a lesson is about; "" when it does no such thing.
func taughtIn(n ast.Node, taught map[string]bool) string {
	switch n := n.(type) {
	case *ast.BasicLit:
		if namesGroupFile(n) {
			return "names a file of cgroups, " + n.Value
		}
	case *ast.SelectorExpr:
		pkg, ok := n.X.(*ast.Ident)
		if !ok || pkg.Name != "unix" && pkg.Name != "syscall" {
			return ""
		}
		name := n.Sel.Name
		if name == "AF_NETLINK" || name == "SockaddrNetlink" {
			return "speaks netlink with " + pkg.Name + "." + name
		}
		if call := callOf(name, taught); call != "" {
			return "calls " + call + "(2) with " + pkg.Name + "." + name
		}
	}
	return ""
}

func namesGroupFile(n *ast.BasicLit) bool {
	return n.Kind == token.STRING && groupFile.MatchString(n.Value)
}

// callOf is which of some system calls a name of package unix stands for: its number
// SYS_PIVOT_ROOT, or the function PivotRoot.
func callOf(name string, taught map[string]bool) string {
	if number, ok := strings.CutPrefix(name, "SYS_"); ok {
		if call := strings.ToLower(number); taught[call] {
			return call
		}
		return ""
	}
	if name == "Unmount" {
		name = "Umount2"
	}
	for call := range taught {
		words := strings.Split(call, "_")
		for i, word := range words {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
		if name == strings.Join(words, "") {
			return call
		}
	}
	return ""
}

// sizes holds what each stage adds to its two flat tiers against the targets.
func sizes(_ string, all []stages.Stage) ([]Finding, error) {
	var found []Finding
	err := eachTier(all, func(s stages.Stage, tier stages.Tier, lines, goal int) {
		most, of := goal*(100+tolerance)/100, fmt.Sprintf("its target of %d and %d %%", goal, tolerance)
		if e := exceptionOf(s.Topic, tier); e != nil && e.lines > most {
			most, of = e.lines, "its exception"
		}
		if lines > most {
			found = append(found, Finding{s.Name(), fmt.Sprintf("%s: adds %d lines, more than the %d of %s: %s, or give the reason in lessons/internal/verify/targets.go",
				tier, lines, most, of, wayOut[tier])})
		}
	})
	return found, err
}

var wayOut = map[stages.Tier]string{
	stages.Lesson:   "move what it does not teach to a tool, and verbs to cmd_ files",
	stages.Commands: "a verb parses, calls and prints: move the rest to the lesson or to a tool",
}

// eachTier visits the flat tiers of all stages, with the lines that a stage adds, and the target.
func eachTier(all []stages.Stage, visit func(s stages.Stage, tier stages.Tier, lines, goal int)) error {
	list, err := difference.Sizes(all)
	if err != nil {
		return err
	}
	for i, s := range all {
		visit(s, stages.Lesson, list[i].Lesson, targets[s.Topic].lesson)
		visit(s, stages.Commands, list[i].Commands, targets[s.Topic].commands)
	}
	return nil
}

// exceptionOf is the exception of a tier; nil when there is none.
func exceptionOf(topic string, tier stages.Tier) *exception {
	for i, e := range exceptions {
		if e.topic == topic && e.tier == tier {
			return &exceptions[i]
		}
	}
	return nil
}

// sizesLeft says which exceptions there are, and how far each can be lowered.
func sizesLeft(all []stages.Stage) (left []string, err error) {
	err = eachTier(all, func(s stages.Stage, tier stages.Tier, lines, goal int) {
		e := exceptionOf(s.Topic, tier)
		if e == nil {
			return
		}
		do := fmt.Sprintf("lower it to %d", lines)
		switch {
		case lines <= goal*(100+tolerance)/100:
			do = "take it off the list, the target is met"
		case lines >= e.lines:
			do = e.reason
		}
		left = append(left, fmt.Sprintf("%s, %s: up to %d lines, the target is %d; %s", s.Name(), tier, e.lines, goal, do))
	})
	return left, err
}

// columns finds lines of the lesson tier that do not fit beside other text.
func columns(_ string, all []stages.Stage) ([]Finding, error) {
	var found []Finding
	err := eachWideLine(all, func(path string, line, width int) {
		found = append(found, Finding{fmt.Sprintf("%s:%d", path, line),
			fmt.Sprintf("has %d columns; the most is %d, a tab counts as four: break the line", width, widest)})
	})
	return found, err
}

// eachWideLine visits the lines of the lesson tier that are too long, tests left out.
func eachWideLine(all []stages.Stage, visit func(path string, line, width int)) error {
	return eachFile(all, func(_ stages.Stage, path string, text []byte) {
		name := filepath.Base(path)
		if stages.TierOf(name) != stages.Lesson || strings.HasSuffix(name, "_test.go") {
			return
		}
		for i, line := range strings.Split(string(text), "\n") {
			if width := len([]rune(strings.ReplaceAll(line, "\t", "    "))); width > widest {
				visit(path, i+1, width)
			}
		}
	})
}
