// Connection tracking (conntrack) remembers where the kernel has redirected a flow, and goes on
// sending it there: for UDP, which has no end, as long as a client sends. The flows of a port
// that is no longer published have to be deleted, or they reach the next container with the
// address. The messages are those of linux/netfilter/nfnetlink_conntrack.h.

package main

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/attr"
	"stagebox/stage08-network/nft"
	"stagebox/stage08-network/portmap"
)

const (
	ctGet, ctDelete       = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1, unix.NFNL_SUBSYS_CTNETLINK<<8 | 2
	ctaOriginal, ctaReply = 1, 2 // a flow as it came, and its replies
)

// forgetFlows deletes the UDP flows that elements have redirected to containers. A kernel that
// cannot list flows has none.
func forgetFlows(list []nft.Element) error {
	if !slices.ContainsFunc(list, portmap.IsUDP) {
		return nil
	}
	flows, err := askNetlink(unix.NETLINK_NETFILTER, ctGet, unix.NLM_F_DUMP, make([]byte, 4))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	for _, m := range flows {
		attrs := attr.Map(m.Body, 4)
		from, proto := portmap.Sender(attrs[ctaReply])
		if proto != unix.IPPROTO_UDP || !portmap.LeadsTo(list, from) {
			continue
		}
		body := nlBody{data: m.Body[:4:4]}.
			attr(ctaOriginal|unix.NLA_F_NESTED, "", attrs[ctaOriginal], "")
		forget := nlMessage{name: "IPCTNL_MSG_CT_DELETE", kind: ctDelete, body: body}
		one := sendNetlink(unix.NETLINK_NETFILTER, forget)
		if !errors.Is(one, unix.ENOENT) { // it may have ended by itself
			err = errors.Join(err, one)
		}
	}
	if err != nil {
		return fmt.Errorf("the flows of an unpublished port: %w", err)
	}
	return nil
}
