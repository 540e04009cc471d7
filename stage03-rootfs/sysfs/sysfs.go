// Package sysfs finds files of /sys whose names differ from host to host. No lesson reads it.
package sysfs

import (
	"os"
	"strconv"
	"strings"
)

// Thermal returns a directory for each processor that counts how often it was too hot.
func Thermal() (dirs []string) {
	const all = "/sys/devices/system/cpu/"
	entries, _ := os.ReadDir(all) // half the calls of filepath.Glob, on every processor
	for _, entry := range entries {
		number, isCPU := strings.CutPrefix(entry.Name(), "cpu")
		if _, err := strconv.Atoi(number); isCPU && err == nil {
			dirs = append(dirs, all+entry.Name()+"/thermal_throttle")
		}
	}
	return dirs
}
