// A veth pair is a cable with two ends, veth(4). Each end knows the number of the other, but
// not which namespace that is in; numbers repeat from namespace to namespace. So an end is
// joined to another when both point at each other; when only one of them is seen with its
// number, the other must be the only one that fits, or the only one that has received what
// this one has sent.
package live

import "slices"

// Cable is a veth pair.
type Cable struct {
	A    End  `json:"a"`
	B    End  `json:"b"`
	Open bool `json:"open"` // the other end, B, is not known
}

// End is an interface in a network namespace.
type End struct {
	Network uint64 `json:"network"`
	Name    string `json:"name"`
}

// plug is an interface that may be an end.
type plug struct {
	End
	link Interface
}

// cables joins ends, the surest first.
func cables(networks []Network) []Cable {
	var free []plug
	for _, n := range networks {
		for _, link := range n.Interfaces {
			if link.Kind == "cable" || link.Kind == "" {
				free = append(free, plug{End{n.Inode, link.Name}, link})
			}
		}
	}
	all := []Cable{}
	for _, fits := range []func(a, b plug) bool{mutual, oneSided, counted} {
		for again := true; again; {
			again = false
			for _, a := range free {
				if b, ok := only(a, free, fits); ok {
					all = append(all, Cable{A: a.End, B: b.End})
					free = slices.DeleteFunc(free, func(p plug) bool { return p.End == a.End || p.End == b.End })
					again = true
					break
				}
			}
		}
	}
	for _, a := range free {
		if a.link.Kind == "cable" {
			all = append(all, Cable{A: a.End, Open: true})
		}
	}
	return all
}

// only is the one plug that fits an end, if no other does, and it fits no other end.
func only(a plug, free []plug, fits func(a, b plug) bool) (plug, bool) {
	if a.link.Kind != "cable" {
		return plug{}, false
	}
	var found []plug
	rivals := 0
	for _, b := range free {
		if a.End != b.End && fits(a, b) {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		return plug{}, false
	}
	for _, c := range free {
		if c.End != found[0].End && c.link.Kind == "cable" && fits(c, found[0]) {
			rivals++
		}
	}
	return found[0], rivals == 1
}

// mutual is true for ends that point at each other, and carry the same.
func mutual(a, b plug) bool {
	return b.link.Kind == "cable" && a.link.Peer == b.link.Index && b.link.Peer == a.link.Index
}

// oneSided is true when the other's sysfs is not seen, and its number is right.
func oneSided(a, b plug) bool {
	return b.link.Kind == "" && b.link.Peer == 0 && a.Network != b.Network && b.link.Index == a.link.Peer
}

// counted is true when moreover each has received what the other has sent.
func counted(a, b plug) bool {
	same := a.link.received == b.link.sent && a.link.sent == b.link.received && a.link.sent+a.link.received > 0
	return same && (mutual(a, b) || oneSided(a, b) || b.link.Kind == "" && b.link.Index == 0 && a.Network != b.Network)
}
