package commandline

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"stagebox/stage05-images/oci"
	"stagebox/stage09-daemon/rest"
)

// Commit is the line of box commit, without its arguments. The body of POST /commit is a configuration
// that wins over the container's; it becomes changes, before those that are asked for as such.
func (c *Create) Commit(r *rest.Request) (Words, error) {
	l := Words{"commit"}
	l.Add("--author", r.Param("author"))
	l.Add("--message", r.Param("comment"))
	for _, change := range c.changes() {
		if strings.Contains(change, "\n") {
			return nil, rest.Errorf(http.StatusNotImplemented, "%s of two lines is not supported", strings.Fields(change)[0])
		}
		l.Add("--change", change)
	}
	l.Add("--change", r.URL.Query()["changes"]...)
	return l, nil
}

// changes are the instructions of a Dockerfile that set what is given. ENTRYPOINT comes before CMD, which
// it would reset.
func (c *Create) changes() (list []string) {
	add := func(instruction string, values ...string) {
		for _, value := range values {
			if value != "" {
				list = append(list, instruction+" "+value)
			}
		}
	}
	for _, variable := range c.Env {
		if name, value, found := strings.Cut(variable, "="); found {
			add("ENV", name+"="+quoted(value))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		add("LABEL", quoted(name)+"="+quoted(c.Labels[name]))
	}
	add("EXPOSE", slices.Sorted(maps.Keys(c.ExposedPorts))...)
	for _, dir := range slices.Sorted(maps.Keys(c.Volumes)) {
		add("VOLUME", listed(oci.Argv{escaped(dir)}))
	}
	add("ENTRYPOINT", listed(c.Entrypoint))
	add("CMD", listed(c.Cmd))
	add("USER", escaped(c.User))
	add("WORKDIR", escaped(c.WorkingDir))
	add("STOPSIGNAL", escaped(c.StopSignal))
	add("HEALTHCHECK", c.healthcheck())
	return list
}

// healthcheck is the instruction's text; its flags are called as those of create.
func (c *Create) healthcheck() (text string) {
	var flags, command Words
	c.health(&flags)
	for i, flag := range slices.Clone(flags) {
		switch value, isCommand := strings.CutPrefix(flag, "--health-cmd="); {
		case isCommand:
			command, flags[i] = Words{"CMD", value}, ""
		case flag == "--no-healthcheck":
			return "NONE"
		default:
			flags[i] = strings.Replace(flag, "--health-", "--", 1)
		}
	}
	if command == nil { // there is nothing that the flags could be of
		return ""
	}
	return strings.Join(strings.Fields(strings.Join(flags, " ")), " ") + " " + strings.Join(command, " ")
}

// special keeps a word from being expanded.
var special = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, `'`, `\'`)

func escaped(word string) string { return special.Replace(word) }

func quoted(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(value) + `"`
}

// listed is a list in the form of JSON; "" if it is empty.
func listed(words oci.Argv) string {
	if len(words) == 0 {
		return ""
	}
	text, err := json.Marshal([]string(words))
	if err != nil { // strings
		return ""
	}
	return string(text)
}
