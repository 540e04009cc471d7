package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

// fakeQEMU stands for QEMU in a directory that comes first in PATH. With KVM it does what a text
// of sh says, without it brings an agent up at once; ran has the number of each process.
func fakeQEMU(t *testing.T, withKVM string) (ran string) {
	if _, err := findHost(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	ran = filepath.Join(dir, "ran")
	const up = "echo stagebox >&3; exec sleep 1000"
	script := fmt.Sprintf("#!/bin/sh\necho $$ >>%s\ncase \" $* \" in\n*' -accel kvm '*) %s ;;\n*) %s ;;\nesac\n", ran, withKVM, up)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "qemu-system-x86_64"), []byte(script), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	device := kvmDevice
	kvmDevice = filepath.Join(dir, "kvm")
	require.NoError(t, os.WriteFile(kvmDevice, nil, 0o600))
	t.Cleanup(func() { kvmDevice = device })
	return ran
}

// bootFake boots a machine of nothing.
func bootFake(t *testing.T, accel string) (*Machine, error) {
	root, err := NewRoot("/bin/true")
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	require.NoError(t, root.Finish())
	m, err := Boot(t.Context(), root, Options{Memory: 256, Cgroups: "v2", Accel: accel})
	if err == nil {
		t.Cleanup(func() { m.Close() })
	}
	return m, err
}

// Where a machine does not come up with KVM, one without takes its place, and nothing is left of
// the first.
func TestKVMIsProbed(t *testing.T) {
	boxtest.Turn(t, 0, 4)
	for name, c := range map[string]struct {
		withKVM, accel string
		started        int
	}{
		"works": {"echo stagebox >&3; exec sleep 1000", "kvm", 1},
		"hangs": {"exec sleep 1000", "tcg", 2},
		"fails": {"echo no such thing; exit 1", "tcg", 2},
	} {
		t.Run(name, func(t *testing.T) {
			ran := fakeQEMU(t, c.withKVM)
			m, err := bootFake(t, "auto")
			require.NoError(t, err)
			require.Equal(t, c.accel, m.Accel)
			pids := started(t, ran)
			require.Len(t, pids, c.started)
			if c.started == 2 {
				require.NoDirExists(t, "/proc/"+pids[0])
			}
		})
	}
}

func started(t *testing.T, ran string) []string {
	text, err := os.ReadFile(ran)
	require.NoError(t, err)
	return strings.Fields(string(text))
}

// Without a device, or without the right to open it, QEMU is not even tried with KVM; who asks
// for KVM is told why there is none.
func TestNoKVM(t *testing.T) {
	boxtest.Turn(t, 3, 4)
	ran := fakeQEMU(t, "exec sleep 1000")
	require.NoError(t, os.Remove(kvmDevice))
	m, err := bootFake(t, "auto")
	require.NoError(t, err)
	require.Equal(t, "tcg", m.Accel)
	require.Len(t, started(t, ran), 1)
	_, err = bootFake(t, "kvm")
	require.ErrorContains(t, err, "KVM: open "+kvmDevice)
	require.ErrorContains(t, err, "leave out --accel")
	require.Len(t, started(t, ran), 1)
	if os.Geteuid() != 0 { // root may open it
		require.NoError(t, os.WriteFile(kvmDevice, nil, 0))
		_, err = bootFake(t, "kvm")
		require.ErrorContains(t, err, "usermod -aG kvm")
	}
}

// QEMU's own words about KVM reach who has asked for it.
func TestKVMThatFails(t *testing.T) {
	fakeQEMU(t, "echo Could not access KVM kernel module; exit 1")
	_, err := bootFake(t, "kvm")
	require.ErrorContains(t, err, "Could not access KVM kernel module")
}
