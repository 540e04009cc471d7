package sysfs

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThermal(t *testing.T) {
	all, err := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*")
	require.NoError(t, err)
	for i, dir := range all {
		all[i] = dir + "/thermal_throttle"
	}
	require.ElementsMatch(t, all, Thermal())
}
