// What each instruction requires of its arguments, in the order of the Dockerfile reference.
// dockerfile.go has split them; this file checks them, and parses what only one instruction
// has: the times of HEALTHCHECK, the mounts of RUN, the here-documents that COPY takes as
// files, the text that ONBUILD stores.

package dockerfile

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/nearest"
)

// Mount is a --mount of RUN.
type Mount struct {
	Type                 string // bind, cache, tmpfs, secret or ssh
	From, Source, Target string
	ID                   string // of a cache, a secret or an ssh agent
	Sharing              string // of a cache: shared, private, locked or ""
	ReadOnly, Required   bool
	Size                 int64   // of a tmpfs, in bytes; 0: no limit
	Env                  *string // the variable to hold a secret; "": named as the secret
	Mode, UID, GID       *uint64 // nil: not given
}

// Attributes are the mode, or a default one, and the owner of what is mounted.
func (m Mount) Attributes(missing int) (mode, uid, gid int) {
	or := func(n *uint64, missing int) int {
		if n == nil {
			return missing
		}
		return int(*n)
	}
	return or(m.Mode, missing), or(m.UID, 0), or(m.GID, 0)
}

// TmpfsOptions are the options of a tmpfs, as --tmpfs of box run takes them.
func (m Mount) TmpfsOptions() string {
	if m.Size > 0 {
		return fmt.Sprintf("size=%d,exec", m.Size)
	}
	return "exec"
}

// Healthcheck is the command and the times of a HEALTHCHECK, in the form in which Docker
// stores them in an image's configuration. 0 is Docker's default.
type Healthcheck struct {
	Test          []string      `json:",omitempty"` // NONE, CMD and words, or CMD-SHELL and a line
	Interval      time.Duration `json:",omitempty"`
	Timeout       time.Duration `json:",omitempty"`
	StartPeriod   time.Duration `json:",omitempty"`
	StartInterval time.Duration `json:",omitempty"`
	Retries       int           `json:",omitempty"`
}

// validate checks what the instruction requires, and sets the fields that only it has.
func (in *Instruction) validate(text string) error {
	n := len(in.Args) + len(in.Pairs)
	switch in.Name {
	case "ADD", "COPY":
		if n < 2 {
			return in.ErrorAt("", "%s needs a source and a destination", in.Name)
		}
		return in.sources()
	case "FROM":
		if n != 1 && (n != 3 || !strings.EqualFold(in.Args[1], "as")) {
			return in.ErrorAt("", "FROM takes an image, or an image AS a name")
		}
		return nil
	case "RUN":
		return in.validateRun()
	case "CMD", "ENTRYPOINT":
		return nil
	case "ONBUILD":
		return in.validateTrigger(text)
	}
	if n == 0 {
		return in.ErrorAt("", "%s needs an argument", in.Name)
	}
	for _, pair := range in.Pairs {
		if pair.Name == "" {
			return in.ErrorAt("="+pair.Value, "%s: there is no name before the =", in.Name)
		}
	}
	switch in.Name {
	case "EXPOSE":
		slices.Sort(in.Args)
	case "HEALTHCHECK":
		return in.validateHealth()
	case "SHELL":
		if !in.JSON {
			return in.ErrorAt(in.Args[0],
				`SHELL needs the JSON form, such as ["/bin/sh", "-c"]`)
		}
	case "VOLUME":
		for i := range in.Args {
			if in.Args[i] = strings.TrimSpace(in.Args[i]); in.Args[i] == "" {
				return in.ErrorAt("", "VOLUME: an empty path")
			}
		}
	}
	return nil
}

// sources leaves the paths in Args, and in Docs the here-documents that are sources.
func (in *Instruction) sources() error {
	read, paths := in.Docs, in.Args
	in.Docs, in.Args = nil, nil
	for i, path := range paths {
		doc, err := parseHeredoc(path)
		switch {
		case err != nil || doc == nil:
			in.Args = append(in.Args, path)
			continue
		case i == len(paths)-1:
			return in.ErrorAt(path, "%s: a here-document cannot be the destination", in.Name)
		}
		for _, d := range read {
			if d.Name == doc.Name {
				doc.Content = d.Content
			}
		}
		if doc.Chomp {
			doc.Content = trimTabs(doc.Content)
		}
		in.Docs = append(in.Docs, *doc)
	}
	return nil
}

func (in *Instruction) validateRun() error {
	for name, values := range map[string][]string{
		"network": {"default", "none", "host"}, "security": {"sandbox", "insecure"},
	} {
		if _, given := in.Flags[name]; given && !slices.Contains(values, in.Flag(name)) {
			e := in.ErrorAt("--"+name,
				"--%s=%s: there are %s", name, in.Flag(name), strings.Join(values, ", "))
			e.Suggestion = nearest.To(in.Flag(name), values)
			return e
		}
	}
	for _, text := range in.Flags["mount"] {
		if _, err := parseMount(text, nil); err != nil {
			return in.ErrorAt("--mount="+text, "--mount=%s: %v", text, err)
		}
	}
	for _, text := range in.Flags["device"] {
		if _, _, err := parseDevice(text); err != nil {
			return in.ErrorAt("--device="+text, "--device=%s: %v", text, err)
		}
	}
	return nil
}

// parseDevice parses NAME[,required] or name=NAME[,required=BOOL], a device in the notation of CDI.
func parseDevice(text string) (name string, required bool, err error) {
	words, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return "", false, errors.New("give a device's name, and required if RUN needs it")
	}
	for i, word := range words {
		key, value, given := strings.Cut(word, "=")
		switch key = strings.ToLower(key); {
		case key == "required" && !given:
			required = true
		case key == "required":
			if required, err = strconv.ParseBool(value); err != nil {
				return "", false, fmt.Errorf("required=%s: it is true or false", value)
			}
		case key == "name" && given && name == "":
			name = value
		case i == 0:
			name = word // vendor.com/class=device
		default:
			return "", false, fmt.Errorf("%q is not known: there are name and required", word)
		}
	}
	return name, required, nil
}

// RequiredDevice returns the first device that a RUN cannot do without, or "".
func (in *Instruction) RequiredDevice() string {
	for _, text := range in.Flags["device"] {
		if name, required, err := parseDevice(text); err == nil && required {
			return name
		}
	}
	return ""
}

// validateTrigger makes the text that an image stores and a build from it will parse.
func (in *Instruction) validateTrigger(text string) error {
	if in.trigger == nil {
		return in.ErrorAt("", "ONBUILD needs an instruction")
	}
	if slices.Contains([]string{"ONBUILD", "FROM", "MAINTAINER"}, in.trigger.Name) {
		return in.ErrorAt(in.trigger.Keyword,
			"%s cannot be put off with ONBUILD", in.trigger.Name)
	}
	text = strings.TrimLeft(text[len(in.Keyword):], "\t\n\f\r ")
	for _, doc := range in.Docs {
		text += "\n" + doc.Content + doc.Name
	}
	in.Args, in.Docs = []string{text}, nil
	return nil
}

// ParseTrigger parses the text that an ONBUILD stored in an image. escape is File.Escape of the
// Dockerfile that is built from the image: the trigger's variables are expanded with it.
func ParseTrigger(text string, escape rune) (*Instruction, error) {
	f := &File{Name: "ONBUILD", Escape: '\\', lines: strings.SplitAfter(text, "\n")}
	in, err := f.read()
	if err != nil {
		return nil, err
	}
	more, err := f.read()
	if in == nil || in.Name == "FROM" || in.Name == "ONBUILD" || more != nil || err != nil {
		return nil, fmt.Errorf(
			"ONBUILD %s: one instruction is allowed, and neither FROM nor ONBUILD", text)
	}
	f.Escape = escape
	return in, nil
}

// ParseInstructions parses instructions that stand alone, one a line, as commit --change has
// them. Its errors, and those of the instructions, name neither a file nor a line.
func ParseInstructions(text string) (list []*Instruction, err error) {
	f := &File{Escape: '\\', lines: strings.SplitAfter(text, "\n")}
	for {
		in, err := f.read()
		if err != nil || in == nil {
			return list, err
		}
		list = append(list, in)
	}
}

// ShellCommand returns the text that an instruction in the shell form passes to the shell, with
// its here-documents. Of a RUN that is only a here-document it is the content.
func (in *Instruction) ShellCommand() string {
	text := strings.Join(in.Args, " ")
	if doc := in.OnlyHeredoc(); doc != nil {
		if doc.Chomp {
			return trimTabs(doc.Content)
		}
		return doc.Content
	}
	for _, doc := range in.Docs {
		text += "\n" + doc.Content + doc.Name
	}
	return text
}

// Destination returns where a COPY or ADD puts its files, and whether that is a directory even if none
// is there yet. A relative path begins at workDir.
func (in *Instruction) Destination(workDir string) (dest string, isDir bool) {
	dest = in.Args[len(in.Args)-1]
	isDir = strings.HasSuffix(dest, "/") || path.Base(dest) == "." || in.Flag("parents") == "true"
	if !path.IsAbs(dest) {
		dest = path.Join("/", workDir, dest)
	}
	return path.Clean(dest), isDir
}

// Whole returns a RUN as written with the text of its here-documents, and of any other instruction
// its text. It is what the history of an image shows.
func (in *Instruction) Whole() string {
	text := in.Text
	for _, doc := range in.Docs {
		if in.Name == "RUN" {
			text += "\n" + doc.Content + doc.Name
		}
	}
	return text
}

// OnlyHeredoc returns the here-document of a RUN that has nothing else, or nil.
func (in *Instruction) OnlyHeredoc() *Heredoc {
	alone := strings.TrimSpace(strings.Join(in.Args, " "))
	single := strings.HasPrefix(alone, "<<") && !strings.ContainsAny(alone, " \t\n")
	if len(in.Docs) == 1 && single {
		return &in.Docs[0]
	}
	return nil
}

// validateHealth parses the command and the times of a HEALTHCHECK.
func (in *Instruction) validateHealth() error {
	kind, command := strings.ToUpper(in.Args[0]), in.Args[1:]
	if kind == "NONE" && len(command) == 0 {
		in.Health = &Healthcheck{Test: []string{kind}}
		return nil
	}
	if kind != "CMD" || len(command) == 0 {
		return in.ErrorAt(in.Args[0], "HEALTHCHECK takes CMD and a command, or NONE alone")
	}
	if !in.JSON {
		kind = "CMD-SHELL"
	}
	in.Health = &Healthcheck{Test: append([]string{kind}, command...)}
	if err := in.healthTimes(in.Health); err != nil {
		return err
	}
	retries, err := strconv.ParseInt(cmp.Or(in.Flag("retries"), "0"), 10, 32)
	if err != nil || retries < 0 {
		return in.ErrorAt("--retries",
			"--retries=%s: give a number, 0 or more", in.Flag("retries"))
	}
	in.Health.Retries = int(retries)
	return nil
}

func (in *Instruction) healthTimes(h *Healthcheck) error {
	for name, to := range map[string]*time.Duration{
		"interval": &h.Interval, "timeout": &h.Timeout,
		"start-period": &h.StartPeriod, "start-interval": &h.StartInterval,
	} {
		value := in.Flag(name)
		d, err := time.ParseDuration(cmp.Or(value, "0"))
		if err != nil || d != 0 && d < time.Millisecond {
			return in.ErrorAt("--"+name,
				"--%s=%s: give a time of at least 1ms, such as 30s or 1m30s", name, value)
		}
		*to = d
	}
	return nil
}

// parseMount parses words NAME=VALUE between commas. Before the build's variables are known,
// expand is nil: then only from is read, which may contain none.
func parseMount(text string, expand func(string) (string, error)) (m Mount, err error) {
	words, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return m, errors.New("give words NAME=VALUE with commas between; " +
			"a quote may enclose a whole word")
	}
	m.Type = "bind"
	flags := []string{"readonly", "ro", "readwrite", "rw", "required"}
	chosen := false // by readonly or readwrite
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		key = strings.ToLower(key)
		switch {
		case expand == nil && (key != "from" || !ok):
			continue
		case expand == nil && strings.Contains(strings.TrimSuffix(value, "$"), "$"):
			return m, fmt.Errorf("from takes no variable: give it a name with FROM … AS, and take that")
		case !ok && !slices.Contains(flags, key):
			return m, fmt.Errorf("%s needs a value: %s=VALUE", key, key)
		case !ok:
			value = "true"
		case expand != nil:
			if value, err = expand(value); err != nil {
				return m, err
			}
		}
		if err := m.set(key, value, &chosen); err != nil {
			return m, err
		}
	}
	if expand == nil {
		return m, nil
	}
	if !chosen {
		m.ReadOnly = m.Type != "cache" && m.Type != "tmpfs"
	}
	return m, m.check()
}

// set sets what one word says. The order matters: type comes before what depends on it.
func (m *Mount) set(key, value string, chosen *bool) (err error) {
	switch key {
	case "from":
		m.From = value
	case "source", "src":
		m.Source = value
	case "target", "dst", "destination":
		m.Target = value
	case "id":
		m.ID = value
	case "env":
		m.Env = &value
	case "readonly", "ro", "readwrite", "rw":
		*chosen = true
		m.ReadOnly, err = strconv.ParseBool(value)
		if key == "readwrite" || key == "rw" {
			m.ReadOnly = !m.ReadOnly
		}
	default:
		return m.setChecked(key, value)
	}
	return aboutWord(key, value, err)
}

// setChecked sets a word that has few values, or that not every type has.
func (m *Mount) setChecked(key, value string) (err error) {
	switch key {
	case "type":
		m.Type, err = mountChoice("mount type", value, "bind", "cache", "tmpfs", "secret", "ssh")
		return err
	case "sharing":
		m.Sharing, err = mountChoice("sharing", value, "shared", "private", "locked")
		return err
	case "mode":
		m.Mode, err = mountNumber(value, 8)
	case "uid":
		m.UID, err = mountNumber(value, 10)
	case "gid":
		m.GID, err = mountNumber(value, 10)
	case "required":
		if m.Type != "secret" && m.Type != "ssh" {
			return fmt.Errorf("required is for secret and ssh, not for %s", m.Type)
		}
		m.Required, err = strconv.ParseBool(value)
	case "size":
		if m.Type != "tmpfs" {
			return fmt.Errorf("size is for tmpfs, not for %s", m.Type)
		}
		if value != "0" {
			m.Size, err = units.ParseSize(value)
		}
	default:
		if near := nearest.To(key, mountKeys); near != "" {
			return fmt.Errorf("%q is not known: did you mean %s?", key, near)
		}
		return fmt.Errorf("%q is not known", key)
	}
	return aboutWord(key, value, err)
}

func aboutWord(key, value string, err error) error {
	if err != nil {
		return fmt.Errorf("%s=%s: %w", key, value, err)
	}
	return nil
}

var mountKeys = []string{"type", "from", "source", "target", "readonly", "readwrite", "id",
	"sharing", "required", "size", "mode", "uid", "gid", "env"}

func mountChoice(what, value string, values ...string) (string, error) {
	value = strings.ToLower(value)
	if !slices.Contains(values, value) {
		return "", fmt.Errorf("unknown %s %q; available: %s", what, value, strings.Join(values, ", "))
	}
	return value, nil
}

func mountNumber(value string, base int) (*uint64, error) {
	n, err := strconv.ParseUint(value, base, 32)
	if err != nil {
		return nil, fmt.Errorf("this is not a number to base %d", base)
	}
	return &n, nil
}

// CheckTarget refuses a mount that has no place, which only a step that runs needs.
func (m Mount) CheckTarget() error {
	if m.Target == "" && m.Type != "secret" && m.Type != "ssh" {
		return fmt.Errorf("type=%s: target is missing: the path inside", m.Type)
	}
	return nil
}

// check refuses combinations that make no sense.
func (m *Mount) check() error {
	switch {
	case (m.Type == "bind" || m.Type == "tmpfs") && (m.Mode != nil || m.UID != nil || m.GID != nil):
		return fmt.Errorf("mode, uid and gid are for cache, secret and ssh, not for %s", m.Type)
	case m.Sharing != "" && m.Type != "cache":
		return fmt.Errorf("sharing is for cache, not for %s", m.Type)
	case m.Type != "secret":
		return nil
	case m.From != "":
		return errors.New("a secret comes from the caller: it takes no from")
	case m.ID == "" && m.Source == "" && m.Target == "":
		return errors.New("a secret needs an id or a target")
	case m.ID != "" && m.Source != "":
		return errors.New("id and source mean the same of a secret: give one")
	}
	return nil
}
