// The flags about namespaces: --share, --unshare, --hostname and --domainname, and the names
// that the first two take.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Isolation says which namespaces are new, and what is in them.
type Isolation struct {
	Share    []string `help:"Share these namespaces with the host instead of creating new ones: ${namespaces}." placeholder:"NS" group:"Isolation:"`
	Unshare  []string `help:"Create these namespaces too: user, which containers of root do not get by default." placeholder:"NS" group:"Isolation:"`
	Hostname string   `short:"h" help:"Host name of the container (default: box)." placeholder:"NAME" group:"Isolation:"`

	Domainname string `help:"Domain name of the container (default: the host's)." placeholder:"NAME" group:"Isolation:"`
}

// AfterApply refuses flags that exclude one another, and completes the host name.
func (iso *Isolation) AfterApply() (err error) {
	for _, name := range iso.Share {
		if slices.Contains(iso.Unshare, name) {
			return fmt.Errorf("--share %s and --unshare %[1]s exclude one another", name)
		}
	}
	switch shares := slices.Contains(iso.Share, "uts"); {
	case shares && iso.Hostname != "":
		return errors.New("--hostname and --share uts exclude one another: the name would be the host's")
	case shares && iso.Domainname != "":
		return errors.New("--domainname and --share uts exclude one another: the name would be the host's")
	case shares:
		iso.Hostname, err = os.Hostname()
	default:
		iso.Hostname = cmp.Or(iso.Hostname, "box")
	}
	return err
}

// flagOf returns the CLONE_NEW flag of a namespace's name.
func flagOf(name string) (uint64, error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return 0, fmt.Errorf("%q: no such namespace; there are %s", name, kindNames())
	}
	return kinds[i].flag, nil
}

// kindNames lists the names for help and errors.
func kindNames() string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}
