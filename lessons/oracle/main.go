// The recorder of what BuildKit makes of the Dockerfiles in testdata/dockerfiles.txtar: the
// instructions, what they become with two sets of variables, the warnings of its checks;
// and of what its context filter lets through with the patterns in testdata/ignore.txtar.
// It writes both as JSON beside them, for the tests of programs that do not depend on
// BuildKit. Run it in a directory that has testdata.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/buildkit/frontend/dockerui"
	gwclient "github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/patternmatcher/ignorefile"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// record is what BuildKit makes of one Dockerfile.
type record struct {
	Error        string              `json:"error,omitempty"`
	Escape       string              `json:"escape,omitempty"`
	Instructions []map[string]any    `json:"instructions,omitempty"`
	CheckError   string              `json:"checkError,omitempty"`
	Warnings     map[string][]string `json:"warnings,omitempty"` // line: rules
}

// environments are the variables that instructions are expanded with.
var environments = []map[string]string{
	{},
	{"A": "alpha", "B": "beta gamma", "EMPTY": "", "V": "1.2.3-rc.4", "P": "/opt/app/bin", "PATH": "/bin", "N": "80", "Q": `q"uo'te`, "U": "übermäßig", "S": `back\slash`, "D": "$A", "HOME": "/root"},
}

func main() {
	records := map[string]record{}
	dockerfiles := archive("testdata/dockerfiles.txtar")
	for name, file := range dockerfiles {
		if !strings.HasSuffix(name, ".dockerignore") {
			records[name] = read(file, dockerfiles[name+".dockerignore"])
		}
	}
	write("testdata/dockerfiles.json", records)
	kept := map[string][]string{}
	files := archive("testdata/ignore.txtar")
	for name, patterns := range files {
		if name != "tree" {
			kept[name] = walk(strings.Fields(string(files["tree"])), patterns)
		}
	}
	write("testdata/ignore.json", kept)
}

// archive reads `-- name [changes] --` and the text below it, for each name. The changes
// are crlf (line ends), bom (before the text), noeol (no end of the last line).
func archive(path string) map[string][]byte {
	src, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	files := map[string][]byte{}
	for part := range bytes.SplitSeq(src, []byte("\n-- ")) {
		head, text, ok := bytes.Cut(part, []byte(" --\n"))
		words := strings.Fields(string(head))
		if !ok || len(words) == 0 {
			continue
		}
		text = append(text, '\n')
		if slices.Contains(words, "noeol") {
			text = bytes.TrimSuffix(text, []byte("\n"))
		}
		if slices.Contains(words, "crlf") {
			text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
		}
		if slices.Contains(words, "bom") {
			text = append([]byte("\xef\xbb\xbf"), text...)
		}
		files[words[0]] = text
	}
	return files
}

// write puts one entry on a line, so that a change of one is a change of one line.
func write[V any](path string, entries map[string]V) {
	var out bytes.Buffer
	for i, name := range slices.Sorted(maps.Keys(entries)) {
		out.WriteString(map[bool]string{true: "{", false: ",\n"}[i == 0] + jsonText(name) + ": " + jsonText(entries[name]))
	}
	out.WriteString("}\n")
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}

// steady cuts off what depends on the order of a map, which differs from run to run.
func steady(text string) string {
	text, _, _ = strings.Cut(text, " (did you mean")
	text, _, _ = strings.Cut(text, " for rules: ")
	return text
}

// failed is the record of a Dockerfile that fails: its error, and the warnings about what precedes.
func failed(r record, err error) record {
	return record{Error: steady(err.Error()), Warnings: r.Warnings}
}

// read is the record of one Dockerfile.
func read(src, ignore []byte) (r record) {
	lint(src, ignore, &r)
	result, err := parser.Parse(bytes.NewReader(src))
	if err != nil {
		return failed(r, err)
	}
	quiet := linter.New(&linter.Config{})
	stages, args, err := instructions.Parse(result.AST, quiet)
	if err == nil && len(stages) == 0 {
		err = errors.New("no stages")
	}
	if err != nil {
		return failed(r, err)
	}
	r.Escape = string(result.EscapeToken)
	var commands []any
	for i := range args {
		commands = append(commands, &args[i])
	}
	for i := range stages {
		commands = append(commands, &stages[i])
		for _, c := range stages[i].Commands {
			commands = append(commands, c)
		}
	}
	for i, c := range commands {
		r.Instructions = append(r.Instructions, instruction(result, i, c))
	}
	return r
}

// instruction describes a command, which was made of node n of a Dockerfile. Fields that are empty
// are left out.
func instruction(result *parser.Result, n int, command any) map[string]any {
	node := result.AST.Children[n]
	v := neutral(command)
	v["lines"] = []int{node.StartLine, node.EndLine}
	v["keyword"] = node.Value
	v["text"], v["comments"] = strings.TrimSpace(node.Original), node.PrevComment
	for e, env := range environments {
		again, err := instructions.ParseInstructionWithLinter(node, linter.New(&linter.Config{}))
		if err != nil {
			log.Fatal(err)
		}
		changed := expand(again, result.EscapeToken, env)
		if x, ok := changed.(map[string]any); ok {
			maps.DeleteFunc(x, func(field string, value any) bool { return equal(value, v[field]) })
			if len(x) == 0 {
				continue // only what the variables changed
			}
		}
		v["expanded"+string(rune('0'+e))] = changed
	}
	maps.DeleteFunc(v, func(_ string, value any) bool {
		return equal(value, nil) || equal(value, []string{}) || equal(value, false) ||
			equal(value, "") || equal(value, map[string]any{})
	})
	return v
}

func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// expand is the instruction with its variables replaced, or an error.
func expand(c any, escape rune, env map[string]string) any {
	var list []string
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	envs := shell.EnvsFromSlice(list)
	lex := shell.NewLex(escape)
	if e, ok := c.(*instructions.ExposeCommand); ok {
		var ports []string
		for _, p := range e.Ports {
			words, err := lex.ProcessWords(p, envs)
			if err != nil {
				return "error"
			}
			ports = append(ports, words...)
		}
		e.Ports = ports
	}
	word := func(lex *shell.Lex) func(string) (string, error) {
		return func(s string) (string, error) { v, _, err := lex.ProcessWord(s, envs); return v, err }
	}
	if _, isArg := c.(*instructions.ArgCommand); !isArg {
		if x, ok := c.(instructions.SupportsSingleWordExpansion); ok && x.Expand(word(lex)) != nil {
			return "error"
		}
	}
	if x, ok := c.(instructions.SupportsSingleWordExpansionRaw); ok {
		raw := shell.NewLex('\\')
		raw.SkipProcessQuotes = true
		if x.ExpandRaw(word(raw)) != nil {
			return "error"
		}
	}
	v := neutral(c)
	if run, ok := c.(*instructions.RunCommand); ok {
		var mounts []any
		for _, m := range instructions.GetMounts(run) {
			mounts = append(mounts, []any{m.Type, m.From, m.Source, m.Target, m.CacheID, m.CacheSharing, m.ReadOnly, m.Required, m.SizeLimit, m.Env, m.Mode, m.UID, m.GID})
		}
		v["mounts"] = mounts
	}
	return v
}

// neutral is an instruction in a form that no program has of its own.
func neutral(c any) map[string]any {
	v, flags := map[string]any{}, map[string]any{}
	switch c := c.(type) {
	case *instructions.Stage:
		v["args"], v["stage"] = []string{c.BaseName}, c.Name
		flags["platform"] = c.Platform
	case *instructions.AddCommand:
		files(v, c.SourcesAndDest)
		flags = map[string]any{"chown": c.Chown, "chmod": c.Chmod, "checksum": c.Checksum, "exclude": strings.Join(c.ExcludePatterns, "\n"), "link": c.Link}
		if c.KeepGitDir != nil {
			flags["keep-git-dir"] = map[bool]string{true: "yes", false: "no"}[*c.KeepGitDir]
		}
		if c.Unpack != nil {
			flags["unpack"] = map[bool]string{true: "yes", false: "no"}[*c.Unpack]
		}
	case *instructions.CopyCommand:
		files(v, c.SourcesAndDest)
		flags = map[string]any{"chown": c.Chown, "chmod": c.Chmod, "from": c.From, "exclude": strings.Join(c.ExcludePatterns, "\n"), "link": c.Link, "parents": c.Parents}
	case *instructions.RunCommand:
		command(v, c.ShellDependantCmdLine)
		if slices.Contains(c.FlagsUsed, "network") {
			flags["network"] = instructions.GetNetwork(c)
		}
		if slices.Contains(c.FlagsUsed, "security") {
			flags["security"] = instructions.GetSecurity(c)
		}
	case *instructions.CmdCommand:
		command(v, c.ShellDependantCmdLine)
	case *instructions.EntrypointCommand:
		command(v, c.ShellDependantCmdLine)
	case *instructions.EnvCommand:
		v["pairs"] = pairs(c.Env)
	case *instructions.LabelCommand:
		v["pairs"] = pairs(c.Labels)
	case *instructions.ArgCommand:
		var all []any
		for _, p := range c.Args {
			all = append(all, []any{p.Key, p.ValueString(), p.Value == nil})
		}
		v["pairs"] = all
	case *instructions.HealthCheckCommand:
		v["health"] = c.Health
	default:
		v["args"] = words(c)
	}
	maps.DeleteFunc(flags, func(_ string, value any) bool { return value == "" || value == false })
	v["flags"] = flags
	return v
}

// words are the arguments of the instructions that have nothing else.
func words(c any) []string {
	switch c := c.(type) {
	case *instructions.ExposeCommand:
		return c.Ports
	case *instructions.VolumeCommand:
		return c.Volumes
	case *instructions.ShellCommand:
		return c.Shell
	case *instructions.UserCommand:
		return []string{c.User}
	case *instructions.WorkdirCommand:
		return []string{c.Path}
	case *instructions.StopSignalCommand:
		return []string{c.Signal}
	case *instructions.MaintainerCommand:
		return []string{c.Maintainer}
	case *instructions.OnbuildCommand:
		return []string{c.Expression}
	}
	log.Fatalf("%T is not known", c)
	return nil
}

func files(v map[string]any, s instructions.SourcesAndDest) {
	v["args"] = append(slices.Clone(s.SourcePaths), s.DestPath)
	var docs []any
	for _, d := range s.SourceContents {
		docs = append(docs, []any{d.Path, d.Data, d.Expand})
	}
	v["docs"] = docs
}

func command(v map[string]any, s instructions.ShellDependantCmdLine) {
	v["args"], v["json"] = s.CmdLine, !s.PrependShell
	var docs []any
	for _, d := range s.Files {
		docs = append(docs, []any{d.Name, d.Data, d.Chomp})
	}
	v["docs"] = docs
}

func pairs(list instructions.KeyValuePairs) (all []any) {
	for _, p := range list {
		all = append(all, []any{p.Key, p.Value, p.NoDelim})
	}
	return all
}

// lint fills in the warnings. The images have a PATH and nothing else.
func lint(src, ignore []byte, r *record) {
	platform := ocispecs.Platform{OS: "linux", Architecture: "amd64"}
	b := &builder{ignore: ignore}
	client, err := dockerui.NewClient(b)
	if err != nil {
		log.Fatal(err)
	}
	sources := llb.NewSourceMap(nil, "Dockerfile", "Dockerfile", src)
	sources.Definition = &llb.Definition{}
	results, err := dockerfile2llb.DockerfileLint(context.Background(), src, dockerfile2llb.ConvertOpt{
		Client: client, MetaResolver: b, SourceMap: sources,
		TargetPlatform: &platform, Config: dockerui.Config{BuildPlatforms: []ocispecs.Platform{platform}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if results.Error != nil { // the warnings are those that precede it
		r.CheckError = steady(results.Error.Message)
	}
	for _, w := range results.Warnings {
		line := "0"
		if ranges := w.Location.GetRanges(); len(ranges) > 0 {
			line = jsonText(ranges[0].Start.Line)
		}
		if r.Warnings == nil {
			r.Warnings = map[string][]string{}
		}
		if !slices.Contains(r.Warnings[line], w.RuleName) {
			r.Warnings[line] = append(r.Warnings[line], w.RuleName)
			slices.Sort(r.Warnings[line])
		}
	}
}

func jsonText(v any) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		log.Fatal(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// builder stands for the daemon: it has every image, and a context with an ignore file.
type builder struct {
	gwclient.Client
	gwclient.Reference
	ignore []byte
}

func (b *builder) BuildOpts() gwclient.BuildOpts {
	return gwclient.BuildOpts{Caps: gwpb.Caps.CapSet(gwpb.Caps.All()), LLBCaps: pb.Caps.CapSet(pb.Caps.All()), Opts: map[string]string{}}
}

func (b *builder) Inputs(context.Context) (map[string]llb.State, error) { return nil, nil }

func (b *builder) Solve(context.Context, gwclient.SolveRequest) (*gwclient.Result, error) {
	r := gwclient.NewResult()
	r.SetRef(b)
	return r, nil
}

func (b *builder) ReadFile(_ context.Context, req gwclient.ReadRequest) ([]byte, error) {
	if b.ignore == nil {
		return nil, fs.ErrNotExist
	}
	return b.ignore, nil
}

func (b *builder) StatFile(context.Context, gwclient.StatRequest) (*fstypes.Stat, error) {
	if b.ignore == nil {
		return nil, fs.ErrNotExist
	}
	return &fstypes.Stat{Size: int64(len(b.ignore))}, nil
}

func (b *builder) ResolveImageConfig(_ context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	p := platforms.DefaultSpec()
	if opt.ImageOpt != nil && opt.ImageOpt.Platform != nil {
		p = *opt.ImageOpt.Platform
	}
	config, err := json.Marshal(map[string]any{"architecture": p.Architecture, "os": p.OS, "variant": p.Variant,
		"config": map[string]any{"Env": []string{"PATH=/usr/bin:/bin"}}, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + strings.Repeat("0", 64)}}})
	return ref, digest.FromBytes(config), config, err
}

// walk is what the context filter lets through of a tree: files, and directories with a
// slash at their end.
func walk(tree []string, patterns []byte) []string {
	dir, err := os.MkdirTemp("", "ignore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, path := range tree {
		full := filepath.Join(dir, path)
		err := os.MkdirAll(filepath.Dir(full), 0o755)
		if err == nil && strings.HasSuffix(path, "/") {
			err = os.MkdirAll(full, 0o755)
		} else if err == nil {
			err = os.WriteFile(full, nil, 0o644)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	list, err := ignorefile.ReadAll(bytes.NewReader(patterns))
	if err != nil {
		return []string{"error"}
	}
	all, err := fsutil.NewFS(dir)
	if err != nil {
		log.Fatal(err)
	}
	some, err := fsutil.NewFilterFS(all, &fsutil.FilterOpt{ExcludePatterns: list})
	if err != nil {
		return []string{"error"}
	}
	kept := []string{}
	err = some.Walk(context.Background(), "", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			path += "/"
		}
		kept = append(kept, path)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		log.Fatal(err)
	}
	return kept
}
