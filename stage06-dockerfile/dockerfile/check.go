// Build checks: what is allowed in a Dockerfile and seldom meant. The rules up to
// CopyIgnoredFile are Docker's, with their names and lines; those below "Layers and the cache"
// are added here. `# check=skip=RULE,RULE;error=true` in the file, or `# check=skip=RULE` above
// an instruction, works for both.

package dockerfile

import (
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"stagebox/stage04-unionfs/nearest"
)

// Warning is a finding of Check.
type Warning struct {
	File        string
	First, Last int    // lines, from 1
	Rule        string // such as StageNameCasing
	Message     string
}

// String returns FILE:LINE: RULE: MESSAGE.
func (w Warning) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", w.File, w.First, w.Rule, w.Message)
}

// CheckOptions describe the build that is checked. Every field may be left out.
type CheckOptions struct {
	Args     map[string]string // --build-arg
	Platform map[string]string // from PlatformArgs
	Ignore   *Ignore           // nil: unknown

	// ImageEnv returns the variables of an image. If they are unknown, ok is false, and no
	// variable is called undefined in a stage that begins with the image.
	ImageEnv func(image string) (env map[string]string, ok bool)

	// ValidImage reports whether a text can be the name of an image; nil: every text can.
	ValidImage func(name string) bool
}

// checker is the state of a check.
type checker struct {
	CheckOptions
	file *File
	checkRules
	warnings []Warning
}

// checkRules are those that a directive or a comment turns on or off. "all" is every one.
type checkRules struct{ skip, experimental []string }

// checkScope is the state of a stage at an instruction.
type checkScope struct {
	env      map[string]string
	declared []string // by ARG, with or without a value
	known    bool     // env includes the variables of the image
	shell    bool     // a SHELL came before
	workdir  bool     // a WORKDIR came before
	last     map[string]*Instruction
}

// Check returns the warnings for a Dockerfile in the order of their lines, and whether the file
// asks for them to be errors. An error is one that would end the build before its first step; the
// warnings then are those about what precedes it. Of a file that ParseUpTo has read in part, only
// the form of its instructions is checked.
func Check(f *File, o CheckOptions) (warnings []Warning, fatal bool, err error) {
	rules, fatal, err := f.checkDirective()
	if err != nil {
		return nil, false, err
	}
	c := &checker{CheckOptions: o, file: f, checkRules: rules}
	c.form()
	if len(f.Stages) > 0 && !f.broken {
		c.stageNames()
		c.casing()
		c.defaultBases()
		err = c.stages()
	}
	slices.SortStableFunc(c.warnings, func(a, b Warning) int { return a.First - b.First })
	return c.warnings, fatal, err
}

// PrintWarnings prints the warnings, a line each, also those that precede an error. It returns how many
// there are.
func (f *File) PrintWarnings(out io.Writer, prefix string, o CheckOptions) (n int, err error) {
	warnings, _, err := Check(f, o)
	for _, w := range warnings {
		fmt.Fprintf(out, "%s%v\n", prefix, w)
	}
	return len(warnings), err
}

// FailOnWarnings returns the first warning as an error, if `# check=error=true` asks for warnings to end
// the build.
func (f *File) FailOnWarnings(o CheckOptions) error {
	if _, fatal, err := f.checkDirective(); err != nil || !fatal {
		return err
	}
	warnings, _, err := Check(f, o)
	if err != nil || len(warnings) == 0 {
		return err
	}
	return fmt.Errorf("the Dockerfile wants warnings to be errors: %s", warnings[0])
}

func (f *File) checkDirective() (rules checkRules, fatal bool, err error) {
	if rules, fatal, err = checkDirective(f.Check); err != nil {
		err = fmt.Errorf("%s: # check=%s: %w", f.Name, f.Check, err)
	}
	return rules, fatal, err
}

// checkDirective parses skip=RULE,RULE;experimental=RULE;error=true.
func checkDirective(text string) (rules checkRules, fatal bool, err error) {
	if text == "" {
		return rules, false, nil
	}
	for part := range strings.SplitSeq(text, ";") {
		key, value, ok := strings.Cut(part, "=")
		switch key = strings.TrimSpace(key); {
		case !ok:
			return rules, false, fmt.Errorf("%q is not NAME=VALUE", part)
		case key == "skip":
			rules.skip = strings.Split(strings.ReplaceAll(value, " ", ""), ",")
		case key == "experimental":
			rules.experimental = strings.Split(strings.ReplaceAll(value, " ", ""), ",")
		case key == "error":
			if fatal, err = strconv.ParseBool(strings.TrimSpace(value)); err != nil {
				return rules, false, fmt.Errorf("error=%s: it is true or false", value)
			}
		default:
			return rules, false,
				fmt.Errorf("%q is not known: there are skip, experimental and error", key)
		}
	}
	return rules, fatal, nil
}

// listed reports whether a rule is in a list, by its name or as one of all.
func listed(list []string, rule string) bool {
	return slices.Contains(list, rule) || slices.Contains(list, "all")
}

// rules returns what a comment above the instruction turns on and off.
func (in *Instruction) rules() checkRules {
	for _, comment := range in.Comments {
		if key, value, ok := directive("#" + comment); ok && key == "check" {
			value, _, _ = strings.Cut(value, " ")
			rules, _, err := checkDirective(value)
			if err != nil {
				return checkRules{}
			}
			return rules
		}
	}
	return checkRules{}
}

// skips reports whether a comment above the instruction turns a rule off.
func (in *Instruction) skips(rule string) bool { return listed(in.rules().skip, rule) }

// warn adds a warning about one instruction.
func (c *checker) warn(in *Instruction, rule, format string, args ...any) {
	if !in.skips(rule) {
		c.warnFile(in.First, in.Last, rule, format, args...)
	}
}

// warnFile adds a warning about the file, which a comment above an instruction does not turn
// off.
func (c *checker) warnFile(first, last int, rule, format string, args ...any) {
	w := Warning{c.file.Name, first, last, rule, fmt.Sprintf(format, args...)}
	if !listed(c.skip, rule) && !slices.Contains(c.warnings, w) {
		c.warnings = append(c.warnings, w)
	}
}

// all returns every instruction of the stages, FROM included.
func (f *File) all() (list []*Instruction) {
	for _, s := range f.Stages {
		list = append(append(list, s.From), s.Steps...)
	}
	return list
}

// form checks how instructions are written.
func (c *checker) form() {
	for _, in := range append(slices.Clone(c.file.Args), c.file.all()...) {
		if in.gap > 0 {
			c.warnFile(in.gap, in.gap, "NoEmptyContinuation",
				"an empty line continues the instruction, which will be an error one day")
		}
		if in.brokenJSON() {
			c.warn(in, "BrokenJSON",
				"this looks like a JSON array of strings but is not valid JSON, "+
					"so it is taken as plain text")
		}
		if in.Name == "MAINTAINER" {
			c.warn(in, "MaintainerDeprecated",
				"MAINTAINER is deprecated: use LABEL org.opencontainers.image.authors=…")
		}
		c.description(in)
		if in.Name != "FROM" || len(in.Args) != 3 {
			continue
		}
		if name := in.Args[2]; name != strings.ToLower(name) {
			c.warn(in, "StageNameCasing", "the stage's name %s should be in small letters", name)
		}
		as, lower := in.Args[1], in.Keyword == strings.ToLower(in.Keyword)
		if lower && as != "as" || in.Keyword == in.Name && as != "AS" {
			c.warn(in, "FromAsCasing", "%s and %s are not written alike", in.Keyword, as)
		}
	}
}

// description checks, if it was asked for, that the comment above a stage or an ARG begins with its
// name: tools that list the targets of a file show it.
func (c *checker) description(in *Instruction) {
	const rule = "InvalidDefinitionDescription"
	var names []string
	if in.Name == "FROM" && len(in.Args) == 3 {
		names = []string{strings.ToLower(in.Args[2])}
	}
	for _, pair := range in.Pairs {
		if in.Name == "ARG" {
			names = append(names, pair.Name)
		}
	}
	asked := listed(c.experimental, rule) || listed(in.rules().experimental, rule)
	if !asked || len(names) == 0 || len(in.Comments) == 0 {
		return
	}
	first, _, _ := strings.Cut(in.Comments[len(in.Comments)-1], " ")
	if !slices.Contains(names, first) {
		w := Warning{c.file.Name, in.First, in.Last, rule,
			fmt.Sprintf("the comment above %s should begin with %s, or an empty line follow it",
				in.Name, strings.Join(names, " or "))}
		c.warnings = append(c.warnings, w)
	}
}

// mayBeJSON are the instructions that take a JSON list or something else.
var mayBeJSON = []string{"ADD", "CMD", "COPY", "ENTRYPOINT", "HEALTHCHECK", "RUN", "VOLUME"}

// brokenJSON reports whether arguments look like a JSON list but are none: a quote or a bracket
// is missing. No shell command begins with [", because [ needs a blank after it.
func (in *Instruction) brokenJSON() bool {
	begins := func(arg string) bool {
		return strings.HasPrefix(arg, `["`) || strings.HasPrefix(arg, "['")
	}
	return !in.JSON && slices.Contains(mayBeJSON, in.Name) &&
		slices.ContainsFunc(in.Args[:min(2, len(in.Args))], begins)
}

func (c *checker) stageNames() {
	var names []string
	for _, s := range c.file.Stages {
		if s.Name == "scratch" || s.Name == "context" {
			c.warnFile(s.From.First, s.From.Last, "ReservedStageName",
				"%s has a meaning of its own: give the stage another name", s.Name)
		}
		if s.Name != "" && slices.Contains(names, s.Name) {
			c.warnFile(s.From.First, s.From.Last, "DuplicateStageName",
				"another stage is called %s already", s.Name)
		}
		names = append(names, s.Name)
	}
}

// casing compares the case of each keyword with that of the majority.
func (c *checker) casing() {
	balance := 0
	for _, in := range c.file.all() {
		switch in.Keyword {
		case in.Name:
			balance++
		case strings.ToLower(in.Name):
			balance--
		}
	}
	for _, in := range c.file.all() {
		if want := in.Name; balance >= 0 && in.Keyword != want {
			c.warnFile(in.First, in.Last, "ConsistentInstructionCasing",
				"%s: most keywords are in capitals", in.Keyword)
		} else if want = strings.ToLower(want); balance < 0 && in.Keyword != want {
			c.warnFile(in.First, in.Last, "ConsistentInstructionCasing",
				"%s: most keywords are in small letters", in.Keyword)
		}
	}
}

// defaultBases checks the images that a build without --build-arg would begin with.
func (c *checker) defaultBases() {
	args, err := c.file.Globals(c.Platform, nil)
	if err != nil || c.ValidImage == nil {
		return
	}
	for _, s := range c.file.Stages {
		base, err := Expand(s.Base, c.file.Escape, LookupIn(args))
		if err != nil {
			return
		}
		if !c.ValidImage(base) {
			c.warnFile(s.From.First, s.From.Last, "InvalidDefaultArgInFrom",
				"the defaults of the ARGs make %s of %s, "+
					"which is not an image's name", strconv.Quote(base), s.Base)
		}
	}
}

func (c *checker) stages() error {
	globals, err := c.file.Globals(c.Platform, c.Args)
	if err != nil {
		return err
	}
	scopes := make([]*checkScope, len(c.file.Stages))
	for i, s := range c.file.Stages {
		base, err := c.from(s, globals)
		if err != nil {
			return err
		}
		scopes[i] = c.scope(s, base, scopes)
		for _, in := range s.Steps {
			if err := c.step(scopes[i], in, globals); err != nil {
				return err
			}
		}
		c.layers(s)
	}
	return nil
}

// tracedLookup looks variables up and records the names it is asked for.
func tracedLookup(vars map[string]string) (get Lookup, found, missing map[string]bool) {
	found, missing = map[string]bool{}, map[string]bool{}
	return func(name string) (string, bool) {
		value, ok := vars[name]
		if ok {
			found[name] = true
		} else {
			missing[name] = true
		}
		return value, ok
	}, found, missing
}

// from checks the image and the platform of a FROM, and returns the image.
func (c *checker) from(s *Stage, globals map[string]string) (base string, err error) {
	get, _, missing := tracedLookup(globals)
	base, err = s.From.ExpandWord(s.Base, get)
	if err == nil && base == "" {
		err = s.From.ErrorAt(s.Base, "%s is empty: an image must be named", s.Base)
	}
	if err == nil && c.file.Parent(s, base) == nil && base != "scratch" &&
		c.ValidImage != nil && !c.ValidImage(base) {
		err = s.From.ErrorAt(s.Base, "%q is neither an image's name nor an earlier stage's", base)
	}
	c.undeclared(s, globals, missing)
	platform := s.From.Flag("platform")
	if err != nil || platform == "" {
		return base, err
	}
	get, found, missing := tracedLookup(globals)
	platform, err = s.From.ExpandWord(platform, get)
	c.undeclared(s, globals, missing)
	target := len(missing) == 0 && len(found) == 1 && found["TARGETPLATFORM"]
	switch {
	case err != nil:
	case platform == "":
		err = s.From.ErrorAt("--platform", "--platform=%s is empty", s.From.Flag("platform"))
	case target && platform == globals["TARGETPLATFORM"]:
		c.warn(s.From, "RedundantTargetPlatform",
			"--platform=%s is what FROM takes without it", s.From.Flag("platform"))
	case len(missing)+len(found) == 0 && !namesPlatform(s.Name, platform):
		c.warn(s.From, "FromPlatformFlagConstDisallowed",
			"--platform=%s is fixed: the file builds for no other", platform)
	}
	return base, err
}

// namesPlatform reports whether the name of a stage includes its platform.
func namesPlatform(stage, platform string) bool {
	system, arch, two := strings.Cut(strings.ToLower(platform), "/")
	arch, _, _ = strings.Cut(arch, "/")
	if !two && slices.Contains([]string{"linux", "windows", "darwin", "freebsd"}, system) {
		arch = runtime.GOARCH
	} else if !two {
		system, arch = runtime.GOOS, system
	}
	short := map[string]string{"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64",
		"armhf": "arm", "armel": "arm", "i386": "386"}
	if s, ok := short[arch]; ok {
		arch = s
	}
	return strings.Contains(stage, system) || strings.Contains(stage, arch)
}

func (c *checker) undeclared(s *Stage, globals map[string]string, missing map[string]bool) {
	names := slices.Sorted(maps.Keys(globals))
	for _, in := range c.file.Args {
		for _, pair := range in.Pairs {
			names = append(names, pair.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		if !slices.Contains(names, name) {
			c.warn(s.From, "UndefinedArgInFrom",
				"no ARG above the first FROM declares %s%s", name, meant(nearest.To(name, names)))
		}
	}
}

func meant(word string) string {
	if word == "" {
		return ""
	}
	return ": did you mean " + word + "?"
}

// scope returns the state with which a stage begins.
func (c *checker) scope(s *Stage, base string, scopes []*checkScope) *checkScope {
	st := &checkScope{env: map[string]string{}, known: true, last: map[string]*Instruction{}}
	if parent := c.file.Parent(s, base); parent != nil {
		p := scopes[parent.Index]
		st.env, st.known, st.shell, st.workdir = maps.Clone(p.env), p.known, p.shell, p.workdir
		st.declared = slices.Clone(p.declared)
	} else if base != "scratch" {
		st.known = false
		if c.ImageEnv != nil {
			env, ok := c.ImageEnv(base)
			maps.Copy(st.env, env)
			st.known = ok
		}
	}
	if _, ok := st.env["PATH"]; !ok {
		st.env["PATH"] = defaultPath
	}
	return st
}

// defaultPath is the PATH that a build gives a stage whose image has none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// step checks one instruction, and records what it changes for those below.
func (c *checker) step(st *checkScope, in *Instruction, globals map[string]string) error {
	get, _, missing := tracedLookup(st.env)
	out, err := in.Expand(get)
	if err != nil {
		return err
	}
	if in.Name != "EXPOSE" { // as in Docker
		c.undefined(st, in, missing)
	}
	switch in.Name {
	case "ARG":
		return c.arg(st, in, globals)
	case "ENV", "LABEL":
		c.keyValues(st, out)
	case "CMD", "ENTRYPOINT", "HEALTHCHECK":
		rule := "MultipleInstructionsDisallowed"
		if before := st.last[in.Name]; before != nil && !in.skips(rule) {
			c.warnFile(before.First, before.Last, rule,
				"another %s follows in the stage, and only the last counts", in.Name)
		}
		st.last[in.Name] = in
		if !in.JSON && !st.shell && in.Name != "HEALTHCHECK" {
			c.shellForm(in)
		}
	case "SHELL":
		st.shell = true
	case "WORKDIR":
		if !st.workdir && !path.IsAbs(out.Args[0]) {
			c.warn(in, "WorkdirRelativePath",
				"%s is below a directory that the image chooses: begin with an absolute one", out.Args[0])
		}
		st.workdir = true
	case "EXPOSE":
		c.ports(out)
	case "ADD", "COPY":
		return c.copied(out)
	}
	return nil
}

// undefined reports variables that nothing above sets.
func (c *checker) undefined(st *checkScope, in *Instruction, missing map[string]bool) {
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		if st.known && !slices.Contains(st.declared, name) {
			c.warn(in, "UndefinedVar",
				"$%s is not defined%s", name, meant(nearest.To(name, slices.Sorted(maps.Keys(st.env)))))
		}
	}
}

// arg declares variables. A --build-arg takes precedence over a default, and that over an ARG
// above the first FROM.
func (c *checker) arg(st *checkScope, in *Instruction, globals map[string]string) error {
	for _, pair := range in.Pairs {
		c.secret(in, pair.Name)
		value, set := c.Args[pair.Name]
		if !set && pair.Bare {
			value, set = globals[pair.Name]
		} else if !set {
			var err error
			get, _, missing := tracedLookup(st.env)
			if value, err = in.ExpandWord(pair.Value, get); err != nil {
				return err
			}
			set = true
			c.undefined(st, in, missing)
		}
		if set {
			st.env[pair.Name] = value
		}
		st.declared = append(st.declared, pair.Name)
	}
	return nil
}

func (c *checker) keyValues(st *checkScope, in *Instruction) {
	for _, pair := range in.Pairs {
		if pair.Old {
			c.warn(in, "LegacyKeyValueFormat",
				"write %s %s=VALUE: the form without = is the old one", in.Name, pair.Name)
		}
		if in.Name == "ENV" {
			c.secret(in, pair.Name)
			st.env[pair.Name] = pair.Value
		}
	}
}

// secret checks the words of a name.
func (c *checker) secret(in *Instruction, name string) {
	words := strings.Split(strings.ToLower(name), "_")
	has := func(list string) bool {
		in := func(w string) bool { return slices.Contains(words, w) }
		return slices.ContainsFunc(strings.Fields(list), in)
	}
	if has("apikey auth credential credentials key password pword passwd secret token") &&
		!has("public file version") {
		c.warn(in, "SecretsUsedInArgOrEnv",
			"%s %s: anyone who has the image can read it; use RUN --mount=type=secret", in.Name, name)
	}
}

func (c *checker) shellForm(in *Instruction) {
	c.warn(in, "JSONArgsRecommended",
		"%s: a shell runs in between, "+
			"which passes no signals on; write %s [\"program\", \"argument\"]", in.Name, in.Name)
}

// ports checks the words of EXPOSE, [[ADDRESS:]HOSTPORT:]PORT[-PORT][/PROTOCOL].
func (c *checker) ports(in *Instruction) {
	for _, word := range in.Args {
		if _, protocol, _ := strings.Cut(word, "/"); protocol != strings.ToLower(protocol) {
			c.warn(in, "ExposeProtoCasing", "%s: the protocol should be in small letters", word)
		}
		if i := strings.LastIndex(word, ":"); i >= 0 && strings.Trim(word[:i], ":") != "" {
			c.warn(in, "ExposeInvalidFormat",
				"%s: only the container's port belongs here; the host's is for run -p", word)
		}
	}
}

// copied looks for sources that the patterns hide. If there are exceptions among the patterns,
// that depends on the files, and nothing is reported.
func (c *checker) copied(in *Instruction) error {
	if c.Ignore == nil || c.Ignore.matcher.Exclusions() || in.Flag("from") != "" {
		return nil
	}
	for _, source := range in.Args[:len(in.Args)-1] {
		remote := strings.Contains(source, "://") || strings.HasPrefix(source, "git@")
		if in.Name == "ADD" && remote {
			continue
		}
		source = path.Clean(source)
		hidden, err := c.Ignore.matcher.MatchesOrParentMatches(source)
		if err != nil {
			return in.ErrorAt(source, "%s: is it ignored? %v", source, err)
		}
		everything := func(p string) bool { return p == "*" || p == "**" || p == "**/*" }
		if source == "." || source == "/" {
			hidden = hidden && slices.ContainsFunc(c.Ignore.patterns(), everything)
		}
		if hidden {
			c.warn(in, "CopyIgnoredFile", "%s is excluded by .dockerignore", source)
		}
	}
	return nil
}

func (g *Ignore) patterns() (list []string) {
	for _, p := range g.matcher.Patterns() {
		list = append(list, p.String())
	}
	return list
}

// Layers and the cache.

// checkInstall matches the commands that install packages.
const checkInstall = `(apt-get|apt|apk|yum|dnf|microdnf|zypper)\s([^&|;]*\s)?(install|add)\b|` +
	`\bnpm (ci|install)\b|\byarn install\b|\bpnpm install\b|\bpip3? install\b|\bgo mod download\b|` +
	`\bbundle install\b|\bcomposer install\b|\bcargo fetch\b|\bpoetry install\b|\buv sync\b`

// layers checks the RUN steps of a stage, and what precedes them.
func (c *checker) layers(s *Stage) {
	install := regexp.MustCompile(checkInstall)
	system := regexp.MustCompile(`^(apt|apk|yum|dnf|microdnf|zypper)`)
	for i, in := range s.Steps {
		above := s.Steps[:i]
		if in.Name != "RUN" {
			continue
		}
		script := in.script()
		c.packageLists(in, script)
		for _, before := range above {
			if before.Name == "CMD" || before.Name == "ENTRYPOINT" {
				c.warn(before, "InvalidatesEarly",
					"no RUN needs %s, and a change of it makes the steps below run again: "+
						"put it last", before.Name)
			}
			if before.Name == "ENV" {
				c.releaseNumber(before, s.Steps)
			}
		}
		found := install.FindString(script)
		if found == "" {
			continue
		}
		for _, before := range above {
			if copiesAll(before) {
				c.warn(in, "CopyBeforeInstall",
					"every change of a file copied on line %d makes this run again: "+
						"copy only what it needs, install, then copy the rest", before.First)
				break
			}
		}
		if i > 0 && above[i-1].Name == "WORKDIR" && system.MatchString(found) {
			c.warn(above[i-1], "InvalidatesEarly",
				"installing packages needs no WORKDIR, and a change of it makes that run again: "+
					"put it below")
		}
	}
}

// script returns all that a RUN runs, as one text.
func (in *Instruction) script() string {
	script := strings.Join(in.Args, " ")
	for _, doc := range in.Docs {
		script += "\n" + doc.Content
	}
	return script
}

// copiesAll reports whether a step copies the whole context.
func copiesAll(in *Instruction) bool {
	if in.Name != "ADD" && in.Name != "COPY" || in.Flag("from") != "" {
		return false
	}
	return slices.ContainsFunc(in.Args[:len(in.Args)-1], func(source string) bool {
		return slices.Contains([]string{".", "/", "*"}, path.Clean(source))
	})
}

// packageLists checks that one step fetches, uses and removes the lists of packages.
func (c *checker) packageLists(in *Instruction, script string) {
	has := func(pattern string) bool { return regexp.MustCompile(pattern).MatchString(script) }
	for _, text := range in.Flags["mount"] {
		if strings.Contains(text, "/var/") && strings.Contains(text, "cache") {
			return // the lists do not end up in the layer
		}
	}
	if has(`\bapt(-get)?\s([^&|;]*\s)?update\b`) {
		if !has(`\bapt(-get)?\s([^&|;]*\s)?(install|upgrade|dist-upgrade|full-upgrade|build-dep)\b`) {
			c.warn(in, "AptGetUpdateAlone",
				"the lists are kept with this step, and an install below would use old ones: "+
					"join the two with &&")
		} else if !has(`rm\s[^&|;]*/var/lib/apt/lists`) {
			c.warn(in, "PackageListsNotCleaned",
				"the layer keeps the package lists: end the step with && rm -rf /var/lib/apt/lists/*")
		}
	}
	if has(`\bapk\s([^&|;]*\s)?add\b`) && !has(`--no-cache|rm\s[^&|;]*/var/cache/apk`) {
		c.warn(in, "PackageListsNotCleaned",
			"the layer keeps the package index: use apk add --no-cache")
	}
	if has(`\b(yum|dnf|microdnf)\s([^&|;]*\s)?install\b`) &&
		!has(`clean all|rm\s[^&|;]*/var/cache/(yum|dnf)`) {
		c.warn(in, "PackageListsNotCleaned",
			"the layer keeps what was downloaded: end the step with && dnf clean all")
	}
}

// releaseWords are words of names whose value every release changes.
var releaseWords = []string{"VERSION", "BUILD", "COMMIT", "SHA", "DATE", "REVISION", "RELEASE"}

// releaseNumber warns of an ENV that a release changes and no step of the stage uses.
func (c *checker) releaseNumber(in *Instruction, steps []*Instruction) {
	for _, pair := range in.Pairs {
		words := strings.Split(strings.ToUpper(pair.Name), "_")
		changes := slices.ContainsFunc(words, func(w string) bool {
			return slices.Contains(releaseWords, w)
		})
		used := slices.ContainsFunc(steps, func(step *Instruction) bool {
			return step != in && strings.Contains(step.Text+step.script(), pair.Name)
		})
		if changes && !used {
			c.warn(in, "InvalidatesEarly",
				"no step uses %s, and each new value makes the steps below run again: "+
					"put it last", pair.Name)
		}
	}
}
