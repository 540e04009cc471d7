// Package envfile reads the files of --env-file, as Docker does.
package envfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
)

// Read reads lines NAME=VALUE, or NAME alone. It skips blank lines, those that begin with #, and
// the byte order mark of UTF-8.
func Read(name string) ([]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, errors.New("the file is UTF-16; convert it: iconv -f UTF-16 -t UTF-8")
	}
	var list []string
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimLeft(lines.Text(), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		variable, _, _ := strings.Cut(line, "=")
		switch {
		case !utf8.ValidString(line) || strings.Contains(line, "\x00"):
			return nil, fmt.Errorf("line %d: %q is not UTF-8 text", n, line)
		case variable == "" || strings.ContainsAny(variable, " \t"):
			return nil, fmt.Errorf("line %d: %q is not NAME=VALUE", n, line)
		}
		list = append(list, line)
	}
	return list, lines.Err()
}
