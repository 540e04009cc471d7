// Stage 05: what a registry needs of a host: a route, a resolver, certificates. Nothing is
// sent: a doctor who waits for an answer from far away is slow, and so is a network that is down.
package host

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"
)

const withoutNetwork = "pull, push and login reach no registry; images made here work"

// defaultRoute looks for a destination of all zeroes, in hexadecimal, that is up.
func defaultRoute(h *Host) Finding {
	for _, line := range h.lines("/proc/net/route") {
		f := strings.Fields(line)
		if len(f) > 7 && f[1] == "00000000" && f[7] == "00000000" {
			return fine("", "the default route leaves by "+f[0])
		}
	}
	for _, line := range h.lines("/proc/net/ipv6_route") {
		f := strings.Fields(line)
		if len(f) > 9 && strings.Trim(f[0]+f[1], "0") == "" && f[9] != "lo" {
			return fine("", "the default route leaves by "+f[9]+", for IPv6 alone")
		}
	}
	return limited("no default route: "+withoutNetwork, "connect the machine to a network, or do without one")
}

func resolver(h *Host) Finding {
	var servers []string
	for _, line := range h.lines("/etc/resolv.conf") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			servers = append(servers, f[1])
		}
	}
	if len(servers) == 0 {
		return limited("/etc/resolv.conf names no server: registries are found through a proxy, or not at all",
			"echo nameserver ADDRESS | "+h.asRoot("tee -a /etc/resolv.conf"))
	}
	return fine("", "names are looked up at "+strings.Join(servers, ", "))
}

// proxy reports a proxy without the password that its address may hold.
func proxy(h *Host) Finding {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		value := h.Env(name)
		if value == "" {
			continue
		}
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		address, err := url.Parse(value)
		if err != nil || address.Host == "" {
			return limited(name+" holds no address of a proxy: "+withoutNetwork, "export "+name+"=http://HOST:PORT")
		}
		return fine("through a proxy", name+" sends requests through "+address.Host)
	}
	return fine("no proxy", "none is set in the environment")
}

// The files in which crypto/x509 looks for authorities, for the distributions of distro.go.
var certificateFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

func certificates(h *Host) Finding {
	files := certificateFiles
	if own := h.Env("SSL_CERT_FILE"); own != "" {
		files = []string{own}
	}
	if i := slices.IndexFunc(files, h.exists); i >= 0 {
		return fine("", "authorities are in "+files[i])
	}
	return limited("no certificate authorities found: a registry's certificate cannot be checked", h.install("ca-certificates"))
}

// credentials are optional; others must not read them.
func credentials(h *Host) Finding {
	dir := h.Env("DOCKER_CONFIG")
	if dir == "" {
		dir = path.Join("/", h.Env("HOME"), ".docker")
	}
	for _, file := range []string{path.Join(dir, "config.json"), path.Join("/", h.Env("XDG_RUNTIME_DIR"), "containers/auth.json")} {
		info, err := fs.Stat(h.Files, rel(file))
		if err != nil {
			continue
		}
		if info.Mode().Perm()&0o077 != 0 {
			return limited(fmt.Sprintf("%s has mode %#o: other users can read your passwords", file, info.Mode().Perm()), "chmod 600 "+file)
		}
		return fine("", "from "+file)
	}
	return fine("no credentials", "none found: public images need none")
}
