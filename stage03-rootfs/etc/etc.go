// Package etc composes files of /etc that say who a container is and whom it asks for the names of
// others: hosts(5) and resolv.conf(5), as Docker writes them. ParseHost, Host, CheckHosts and Renumber
// are for a later stage, which has a flag for such lines, and networks that come and go. No lesson reads it.
package etc

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"stagebox/stage01-namespaces/rawfile"
)

// localhost are the first lines of /etc/hosts, as in Docker.
const localhost = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
	"fe00::\tip6-localnet\nff00::\tip6-mcastprefix\n" +
	"ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"

// Hosts returns /etc/hosts of a container that has these names, separated by blanks, at each of the
// addresses.
func Hosts(names string, addresses ...string) string {
	text := localhost
	for _, address := range addresses {
		text += address + "\t" + names + "\n"
	}
	return text
}

// HostNames is a host name as /etc/hosts has it: in full, and the part before the first dot.
func HostNames(hostname string) string {
	if short, _, found := strings.Cut(hostname, "."); found {
		return hostname + " " + short
	}
	return hostname
}

// FullName is a host name with its domain, if it has one.
func FullName(hostname, domain string) string {
	return strings.TrimSuffix(hostname+"."+domain, ".")
}

// Renumber edits /etc/hosts of a container that runs: the lines of the addresses that have gone are
// left out, and those that have come have the container's names. It stays the same file, which is
// mounted inside.
func Renumber(path, names string, gone, come []string) error {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxHosts {
		err = fmt.Errorf("%s: the container has made it larger than %d bytes", path, maxHosts)
	}
	if err != nil {
		return err
	}
	data, err := rawfile.Read(path)
	if err != nil {
		return err
	}
	text := ""
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 0 || !slices.Contains(gone, fields[0]) {
			text += line
		}
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for _, address := range come {
		text += address + "\t" + names + "\n"
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// maxHosts is the size up to which a file that a container may write is read.
const maxHosts = 1 << 20

// ParseHost splits NAME=IP or NAME:IP; the address may be in brackets.
func ParseHost(spec string) (name, ip string) {
	name, ip, found := strings.Cut(spec, "=")
	if !found {
		name, ip, _ = strings.Cut(spec, ":")
	}
	if inner, is := strings.CutPrefix(ip, "["); is && strings.HasSuffix(inner, "]") {
		ip = strings.TrimSuffix(inner, "]")
	}
	return name, ip
}

// Host reads a value of --add-host, NAME:IP or NAME=IP. The address is invalid for host-gateway, the
// host's.
func Host(spec string) (name string, addr netip.Addr, err error) {
	name, ip := ParseHost(spec)
	if ip != "host-gateway" {
		addr, err = netip.ParseAddr(ip)
	}
	if err != nil || name == "" || strings.ContainsAny(name, " \t\n#:") {
		return "", addr, fmt.Errorf("--add-host %s: give NAME:IP, or NAME:host-gateway for the host on a bridge", spec)
	}
	return name, addr, nil
}

// CheckHosts returns the error of the first value of --add-host that Host refuses.
func CheckHosts(specs []string) error {
	for _, spec := range specs {
		if _, _, err := Host(spec); err != nil {
			return err
		}
	}
	return nil
}

// ResolvConf returns the host's /etc/resolv.conf, "" if it cannot be read.
func ResolvConf() string {
	data, err := rawfile.Read("/etc/resolv.conf")
	if err != nil {
		return ""
	}
	return string(data)
}
