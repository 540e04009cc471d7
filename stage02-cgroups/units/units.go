// Package units reads and prints the quantities of a command line in Docker's notation:
// sizes, CPU time, weights, numbers of processes, lists of CPUs, rates of block devices, ages. The
// types are for flags: they implement [encoding.TextUnmarshaler], and their zero value means that
// the flag was not given, or is 0, which in Docker says the same: no limit. Limits are all flags about
// limits. FormatAge, Limits.Override and the methods for JSON are for records of containers, which
// come in a later stage.
//
// docker/go-units is not used: it builds tables at every start, turns a size that overflows
// into a negative one, and takes 0x1p4 for a size.
package units

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes; -1 is any number.
type Size int64

// String returns the size as cgroup files take it: bytes, in decimal.
func (s Size) String() string { return strconv.FormatInt(int64(s), 10) }

// UnmarshalText reads what [ParseSize] reads.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := ParseSize(string(text))
	*s = Size(n)
	return err
}

// UnmarshalJSON reads a number of bytes.
func (s *Size) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*int64)(s)) }

// ParseSize returns the bytes that a size such as 4096, 64m, 1.5g or 2KiB stands for. Units
// are powers of 1024, in upper or lower case. -1, any size, is returned as it is; every other
// size is 0 or at least one byte.
func ParseSize(text string) (int64, error) {
	if text == "-1" {
		return -1, nil
	}
	number := strings.TrimRight(strings.ToLower(text), "bkmgtpi")
	factor, ok := multiplier(strings.ToLower(text)[len(number):])
	value, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !isDecimal(number) {
		return 0, fmt.Errorf("%q is not a size: give bytes, or a number with k, m or g, such as 64m",
			text)
	}
	switch value *= factor; {
	case value > 0 && value < 1:
		return 0, fmt.Errorf("%q is less than a byte; 0 is no limit", text)
	case value >= math.MaxInt64:
		return 0, fmt.Errorf("%q is more than any machine can have", text)
	}
	return int64(value), nil
}

// multiplier returns the bytes of a unit: none or b, or one of kmgtp alone, with b or with ib.
func multiplier(unit string) (bytes float64, ok bool) {
	if unit == "" || unit == "b" {
		return 1, true
	}
	power := strings.IndexByte("bkmgtp", unit[0])
	rest := unit[1:]
	return math.Pow(1024, float64(power)), power > 0 && (rest == "" || rest == "b" || rest == "ib")
}

// isDecimal reports whether a number has digits and points only: no sign, no exponent, no
// other base.
func isDecimal(number string) bool { return strings.Trim(number, "0123456789.") == "" }

// FormatSize returns a number of bytes for people, such as "64 MiB" or "1.5 GiB". A negative
// one, or one above 2^60, is "no limit".
func FormatSize(n int64) string {
	if n < 0 || n > 1<<60 {
		return "no limit"
	}
	value, unit := float64(n), 0
	for ; value >= 1024 && unit < 4; unit++ {
		value /= 1024
	}
	names := [...]string{"B", "KiB", "MiB", "GiB", "TiB"}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + names[unit]
}

// CPUs is CPU time, in microseconds a [Period]: 50000 is half a CPU.
type CPUs int64

// Period is the time in which a CPU quota is to be used, in microseconds; it is the kernel's
// default.
const Period = 100000

// UnmarshalText reads a number of CPUs, such as 0.5; the least is 0.01, and 0 is no limit.
func (c *CPUs) UnmarshalText(text []byte) error {
	n, err := strconv.ParseFloat(string(text), 64)
	switch {
	case err != nil || !isDecimal(string(text)):
		return fmt.Errorf("%q is not a number of CPUs, such as 0.5 or 2", text)
	case n > 0 && n < 0.01:
		return fmt.Errorf("%q: the minimum is 0.01 CPUs; 0 means no limit", text)
	case n > 1<<20:
		return fmt.Errorf("%q is more than any machine can have", text)
	}
	*c = CPUs(math.Round(n * Period))
	return nil
}

// UnmarshalJSON reads microseconds a period.
func (c *CPUs) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*int64)(c)) }

// String is the number of CPUs.
func (c CPUs) String() string { return strconv.FormatFloat(float64(c)/Period, 'f', -1, 64) }

// CPUPeriod is the time in which a CPU quota is to be used, in microseconds.
type CPUPeriod int64

// UnmarshalText reads a period, which the kernel takes from 1 ms to 1 s; 0 is the default.
func (p *CPUPeriod) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n != 0 && n < 1000 || n > 1000000 {
		return fmt.Errorf("%q is not a number of microseconds from 1000 to 1000000; the default is %d", text, Period)
	}
	*p = CPUPeriod(n)
	return nil
}

// UnmarshalJSON reads a number of microseconds.
func (p *CPUPeriod) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*int64)(p)) }

// CPUQuota is CPU time, in microseconds a period; -1 is any.
type CPUQuota int64

// maxQuota is the kernel's, in microseconds: its bandwidth has 44 bits.
const maxQuota = 1<<44 - 1

// UnmarshalText reads a quota of at least 1 ms, which is the kernel's minimum, or -1; 0 is no limit too.
func (q *CPUQuota) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < -1 || n > 0 && n < 1000 || n > maxQuota {
		return fmt.Errorf("%q is not a number of microseconds, at least 1000, or -1 for any number", text)
	}
	*q = CPUQuota(n)
	return nil
}

// UnmarshalJSON reads a number of microseconds.
func (q *CPUQuota) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*int64)(q)) }

// parseCPUList reads a list of numbers and ranges, such as 0-2,4 (cpuset(7)). Numbers have at
// most 16 bits.
func parseCPUList(text string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.ParseUint(from, 10, 16)
		last, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil || first > last {
			return nil, fmt.Errorf("%q is not a list of CPUs such as 0-2,4", text)
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, int(cpu))
		}
	}
	return cpus, nil
}

// Weight is a share of the CPUs relative to others' weights, from 2 to 262144: the scale of
// cgroup version 1.
type Weight int64

// V2 returns the weight on the scale of version 2, from 1 to 10000, by the formula that runc and
// crun have used since 2025. Its exponent is the parabola through the least, the greatest and
// the default weight of both versions, 2 → 1, 1024 → 100 and 262144 → 10000; a straight line, as
// before, made 39 of the default.
func (w Weight) V2() int64 {
	l := math.Log2(float64(max(w, 2)))
	return int64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// UnmarshalText reads a weight; 0 is the default.
func (w *Weight) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n != 0 && n < 2 || n > 262144 {
		return fmt.Errorf("%q is not a weight from 2 to 262144; the default is 1024", text)
	}
	*w = Weight(n)
	return nil
}

// UnmarshalJSON reads a weight.
func (w *Weight) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*int64)(w)) }

// IOWeight is a share of block devices relative to others' weights, from 10 to 1000: the scale of
// cgroup version 1.
type IOWeight int64

// V2 returns the weight on the scale of version 2, from 1 to 10000, as runc does: on a straight line.
func (w IOWeight) V2() int64 { return 1 + (int64(w)-10)*9999/990 }

// UnmarshalText reads a weight; 0 is the default.
func (w *IOWeight) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n != 0 && n < 10 || n > 1000 {
		return fmt.Errorf("%q is not a weight from 10 to 1000", text)
	}
	*w = IOWeight(n)
	return nil
}

// UnmarshalJSON reads a weight.
func (w *IOWeight) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*int64)(w)) }

// Percent is a number from 0 to 100.
type Percent int64

// String returns the number, and nothing for none.
func (p *Percent) String() string {
	if p == nil {
		return ""
	}
	return strconv.FormatInt(int64(*p), 10)
}

// UnmarshalText reads a number from 0 to 100.
func (p *Percent) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 || n > 100 {
		return fmt.Errorf("%q is not a number from 0 to 100", text)
	}
	*p = Percent(n)
	return nil
}

// UnmarshalJSON reads a number.
func (p *Percent) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*int64)(p)) }

// Processes is a number of processes; -1 is any number.
type Processes int64

// maxProcesses is how many process numbers a kernel can give out (proc(5), pid_max).
const maxProcesses = 4 << 20

// UnmarshalText reads a number of processes, or -1; 0 is no limit too.
func (p *Processes) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < -1 || n > maxProcesses {
		return fmt.Errorf("%q is not a number of processes up to %d, or -1 for any number",
			text, maxProcesses)
	}
	*p = Processes(n)
	return nil
}

// UnmarshalJSON reads a number of processes.
func (p *Processes) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*int64)(p)) }

// Score is a preference of the OOM killer, from -1000 to 1000 (proc_pid_oom_score_adj(5)).
type Score int

// UnmarshalText reads a score.
func (s *Score) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < -1000 || n > 1000 {
		return fmt.Errorf("%q is not a number from -1000 to 1000", text)
	}
	*s = Score(n)
	return nil
}

// UnmarshalJSON reads a score.
func (s *Score) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*int)(s)) }

// FormatAge returns how long ago a time was, in Docker's words: "Less than a second", "About a minute",
// "3 weeks".
func FormatAge(since time.Time) string {
	const day = 24 * time.Hour
	d := time.Since(since)
	if d >= time.Hour {
		d = d.Round(time.Hour)
	}
	switch {
	case d < time.Second:
		return "Less than a second"
	case d < 2*time.Second:
		return "1 second"
	case d >= time.Minute && d < 2*time.Minute:
		return "About a minute"
	case d == time.Hour:
		return "About an hour"
	}
	for _, unit := range [...]struct {
		least, length time.Duration
		name          string
	}{{2 * 365 * day, 365 * day, "years"}, {60 * day, 30 * day, "months"}, {14 * day, 7 * day, "weeks"}, {2 * day, day, "days"},
		{time.Hour, time.Hour, "hours"}, {time.Minute, time.Minute, "minutes"}} {
		if d >= unit.least {
			return fmt.Sprintf("%d %s", d/unit.length, unit.name)
		}
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}

// Sparkline draws percentages as bars; the highest is 100 or the largest value.
func Sparkline(values []float64) string {
	top := 100.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(7, int(8*max(v, 0)/top))])
	}
	return b.String()
}
