package portmap

import (
	"errors"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/proxy"
)

// Listen opens a proxy on the host's port for each family that the mapping is meant for; v6 is whether
// the host has IPv6, target as for proxy.Listen. If no port was given, the first family chooses it,
// until one is free for both, and the mapping has it then. Explain says more of an error.
func (m *Mapping) Listen(v6 bool, target func() string) ([]*proxy.Proxy, error) {
	for chosen, taken := m.Host == 0, 0; ; taken++ {
		list, err := m.listenAll(v6, target)
		if err == nil {
			return list, nil
		}
		forOne := len(list) > 0 && errors.Is(err, unix.EADDRINUSE)
		if !chosen || !forOne || taken == maxTaken {
			proxy.CloseAll(list) // when none was free for the first family, m.Host is 0
			return nil, err
		}
		defer proxy.CloseAll(list) // not before another is found: it would be chosen again
		m.Host = 0
	}
}

// maxTaken is how many ports may be found taken for IPv6 alone before Listen gives up.
const maxTaken = 256

// listenAll opens the proxies of one port: those before an error too.
func (m *Mapping) listenAll(v6 bool, target func() string) (list []*proxy.Proxy, err error) {
	for _, family := range m.families(v6) {
		p, err := proxy.Listen(m.Protocol+family, m.Address(), target)
		if err != nil {
			return list, err
		}
		m.Host = p.Port()
		list = append(list, p)
	}
	return list, nil
}
