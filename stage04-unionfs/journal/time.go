package journal

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseTime reads a time as docker logs takes it: so long before now (10m, 1h30m), a date with or
// without a time of day (RFC 3339; without a zone it is the local one), or seconds since 1970.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && text != "0" {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02"} {
		for _, zone := range []string{"", "Z07:00"} {
			if t, err := time.ParseInLocation(layout+zone, text, now.Location()); err == nil {
				return t, nil
			}
		}
	}
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	nanoseconds, errFraction := strconv.ParseUint((fraction + "000000000")[:9], 10, 32)
	if err != nil || errFraction != nil {
		return time.Time{}, fmt.Errorf("invalid time %q: give 10m for ten minutes ago, "+
			"2006-01-02T15:04:05, or seconds since 1970", text)
	}
	return time.Unix(seconds, int64(nanoseconds)), nil
}
