// Stages 06 and 07: what a file system and a clock must do for builds and their cache.
package host

import "time"

func caseOfNames(h *Host) Finding {
	if h.Disk.CaseLess {
		return limited(h.Disk.Dir+" takes A and a for one file: an image that has both loses one", h.elsewhere(h.mountOf(h.Disk.Dir).dir))
	}
	return fine("", "A and a are two files")
}

func attributes(h *Host) Finding {
	switch d := h.Disk; {
	case !d.Xattr.Tried():
		return fine("attributes unknown", "cannot be tried in "+d.Dir+" without leaving a trace ("+d.Unnamed.String()+")")
	case !d.Xattr.OK():
		return limited("in "+d.Dir+", "+d.Xattr.String()+": extended attributes of an image's files are lost", h.elsewhere(h.mountOf(h.Disk.Dir).dir))
	}
	return fine("", "extended attributes are kept")
}

// The version of Go that this program needs is from February 2026.
var newerThan = time.Date(2026, time.February, 1, 0, 0, 0, 0, time.UTC)

func clock(h *Host) Finding {
	if h.Now.Before(newerThan) || h.Now.After(newerThan.AddDate(20, 0, 0)) {
		return limited("the clock says "+h.Now.UTC().Format("2006-01-02 15:04")+" UTC: certificates look invalid, and the age of cache entries is wrong",
			h.asRoot("timedatectl set-ntp true"))
	}
	return fine("", h.Now.UTC().Format("2006-01-02 15:04")+" UTC")
}

func locks(h *Host) Finding {
	switch d := h.Disk; {
	case !d.Lock.Tried():
		return fine("locks unknown", "cannot be tried in "+d.Dir+" without leaving a trace ("+d.Unnamed.String()+")")
	case !d.Lock.OK():
		return missing("in "+d.Dir+", "+d.Lock.String()+": two builds at once would spoil the cache", h.elsewhere(h.mountOf(h.Disk.Dir).dir))
	}
	return fine("", "flock(2) works")
}

func reflinks(h *Host) Finding {
	if h.Disk.Reflink.OK() {
		return fine("", "copies share their blocks until one changes")
	}
	return fine("no reflinks", "not on this file system: a copy is a copy, which is all that is needed")
}
