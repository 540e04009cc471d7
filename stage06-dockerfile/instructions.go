// What each Dockerfile instruction demands of its arguments, one part of the Dockerfile
// reference after the other. dockerfile.go has taken them apart; here is what is wrong with
// them said, and what an instruction has of its own read: the times of HEALTHCHECK, the
// mounts of RUN, the here-documents that COPY takes as files, the text that ONBUILD keeps.
package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"stagebox/stage02-cgroups/units"
)

// RunMount is a --mount of RUN.
type RunMount struct {
	Type                 string // bind, cache, tmpfs, secret or ssh
	From, Source, Target string
	ID                   string
	Sharing              string // shared, private, locked or ""
	ReadOnly, Required   bool
	Size                 int64   // of a tmpfs, in bytes; 0: no limit
	Env                  *string // the variable that takes a secret; "": the secret's name
	Mode, UID, GID       *uint64
}

// validate checks what the instruction demands, and fills the fields that are its own.
func (in *Instruction) validate(text string) error {
	n := len(in.Args) + len(in.Pairs)
	switch in.Name {
	case "ADD", "COPY":
		if n < 2 {
			return in.errorAt("", "%s needs a source and a destination", in.Name)
		}
		return in.sources()
	case "FROM":
		if n != 1 && (n != 3 || !strings.EqualFold(in.Args[1], "as")) {
			return in.errorAt("", "FROM takes an image, or an image AS a name")
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
		return in.errorAt("", "%s needs an argument", in.Name)
	}
	for _, pair := range in.Pairs {
		if pair.Name == "" {
			return in.errorAt("="+pair.Value, "%s: there is no name before the =", in.Name)
		}
	}
	switch in.Name {
	case "EXPOSE":
		slices.Sort(in.Args)
	case "HEALTHCHECK":
		return in.validateHealth()
	case "SHELL":
		if !in.JSON {
			return in.errorAt(in.Args[0], `SHELL needs the JSON form, such as ["/bin/sh", "-c"]`)
		}
	case "VOLUME":
		for i := range in.Args {
			if in.Args[i] = strings.TrimSpace(in.Args[i]); in.Args[i] == "" {
				return in.errorAt("", "VOLUME: an empty path")
			}
		}
	}
	return nil
}

// sources leaves in Args the paths, and in Docs the here-documents that are sources.
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
			return in.errorAt(path, "%s: a here-document cannot be the destination", in.Name)
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
	for name, values := range map[string][]string{"network": {"default", "none", "host"}, "security": {"sandbox", "insecure"}} {
		if _, given := in.Flags[name]; given && !slices.Contains(values, in.flag(name)) {
			e := in.errorAt("--"+name, "--%s=%s: there are %s", name, in.flag(name), strings.Join(values, ", "))
			e.Suggestion = nearest(in.flag(name), values)
			return e
		}
	}
	for _, text := range in.Flags["mount"] {
		if _, err := parseRunMount(text, nil); err != nil {
			return in.errorAt("--mount="+text, "--mount=%s: %v", text, err)
		}
	}
	return nil
}

// validateTrigger makes the text that an image keeps, and that a build from it will parse.
func (in *Instruction) validateTrigger(text string) error {
	if in.trigger == nil {
		return in.errorAt("", "ONBUILD needs an instruction")
	}
	if slices.Contains([]string{"ONBUILD", "FROM", "MAINTAINER"}, in.trigger.Name) {
		return in.errorAt(in.trigger.Keyword, "%s cannot be put off with ONBUILD", in.trigger.Name)
	}
	text = strings.TrimLeft(text[len(in.Keyword):], "\t\n\f\r ")
	for _, doc := range in.Docs {
		text += "\n" + doc.Content + doc.Name
	}
	in.Args, in.Docs = []string{text}, nil
	return nil
}

// parseTrigger parses what an ONBUILD kept.
func parseTrigger(text string) (*Instruction, error) {
	f := &Dockerfile{Name: "ONBUILD", Escape: '\\', lines: strings.SplitAfter(text, "\n")}
	in, err := f.read()
	if err != nil {
		return nil, err
	}
	if more, err := f.read(); in == nil || in.Name == "FROM" || in.Name == "ONBUILD" || more != nil || err != nil {
		return nil, fmt.Errorf("ONBUILD %s: one instruction is allowed, and neither FROM nor ONBUILD", text)
	}
	return in, nil
}

// validateHealth reads the command and the times of a HEALTHCHECK.
func (in *Instruction) validateHealth() error {
	kind, command := strings.ToUpper(in.Args[0]), in.Args[1:]
	if kind == "NONE" && len(command) == 0 {
		in.Health = &Healthcheck{Test: []string{kind}}
		return nil
	}
	if kind != "CMD" || len(command) == 0 {
		return in.errorAt(in.Args[0], "HEALTHCHECK takes CMD and a command, or NONE alone")
	}
	if !in.JSON {
		kind = "CMD-SHELL"
	}
	h := &Healthcheck{Test: append([]string{kind}, command...)}
	for name, to := range map[string]*time.Duration{"interval": &h.Interval, "timeout": &h.Timeout, "start-period": &h.StartPeriod, "start-interval": &h.StartInterval} {
		value := in.flag(name)
		d, err := time.ParseDuration(cmp.Or(value, "0"))
		if err != nil || d != 0 && d < time.Millisecond {
			return in.errorAt("--"+name, "--%s=%s: give a time of at least 1ms, such as 30s or 1m30s", name, value)
		}
		*to = d
	}
	retries, err := strconv.ParseInt(cmp.Or(in.flag("retries"), "0"), 10, 32)
	if err != nil || retries < 0 {
		return in.errorAt("--retries", "--retries=%s: give a number, 0 or more", in.flag("retries"))
	}
	h.Retries = int(retries)
	in.Health = h
	return nil
}

// parseRunMount reads words NAME=VALUE between commas. Before the build's variables are
// known, expand is nil: then only from counts, which may hold none.
func parseRunMount(text string, expand func(string) (string, error)) (m RunMount, err error) {
	words, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return m, errors.New("give words NAME=VALUE with commas between; a quote may stand around a whole word")
	}
	m.Type = "bind"
	chosen := false // by readonly or readwrite
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		key = strings.ToLower(key)
		switch {
		case expand == nil && (key != "from" || !ok):
			continue
		case expand == nil && strings.Contains(strings.TrimSuffix(value, "$"), "$"):
			return m, fmt.Errorf("from takes no variable: give it a name with FROM … AS, and take that")
		case !ok && !slices.Contains([]string{"readonly", "ro", "readwrite", "rw", "required"}, key):
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

// set takes one word of a mount. The order counts: type comes before what depends on it.
func (m *RunMount) set(key, value string, chosen *bool) (err error) {
	named := m.Type == "secret" || m.Type == "ssh"
	switch key {
	case "type":
		m.Type, err = mountChoice(value, "bind", "cache", "tmpfs", "secret", "ssh")
	case "sharing":
		m.Sharing, err = mountChoice(value, "shared", "private", "locked")
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
	case "readonly", "ro":
		*chosen = true
		m.ReadOnly, err = strconv.ParseBool(value)
	case "readwrite", "rw":
		*chosen = true
		m.ReadOnly, err = strconv.ParseBool(value)
		m.ReadOnly = !m.ReadOnly
	case "mode":
		m.Mode, err = mountNumber(value, 8)
	case "uid":
		m.UID, err = mountNumber(value, 10)
	case "gid":
		m.GID, err = mountNumber(value, 10)
	case "required":
		if m.Required, err = strconv.ParseBool(value); !named {
			return fmt.Errorf("required is for secret and ssh, not for %s", m.Type)
		}
	case "size":
		if m.Type != "tmpfs" {
			return fmt.Errorf("size is for tmpfs, not for %s", m.Type)
		}
		if value != "0" {
			m.Size, err = units.ParseSize(value)
		}
	default:
		err = fmt.Errorf("%q is not known", key)
		if near := nearest(key, strings.Fields("type from source target readonly readwrite id sharing required size mode uid gid env")); near != "" {
			err = fmt.Errorf("%q is not known: did you mean %s?", key, near)
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("%s=%s: %w", key, value, err)
	}
	return nil
}

func mountChoice(value string, values ...string) (string, error) {
	value = strings.ToLower(value)
	if !slices.Contains(values, value) {
		return "", fmt.Errorf("there are %s", strings.Join(values, ", "))
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

// check looks at what does not go together.
func (m *RunMount) check() error {
	switch {
	case (m.Mode != nil || m.UID != nil || m.GID != nil) && (m.Type == "bind" || m.Type == "tmpfs"):
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
