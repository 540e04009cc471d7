package host

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInstall(t *testing.T) {
	for release, want := range map[string]string{
		"ID=debian\n": "sudo apt-get install uidmap",
		"ID=linuxmint\nID_LIKE=\"ubuntu debian\"": "sudo apt-get install uidmap",
		"ID=fedora": "sudo dnf install shadow-utils",
		"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"": "sudo dnf install shadow-utils",
		"ID=alpine":                "doas apk add shadow-uidmap",
		"ID=manjaro\nID_LIKE=arch": "sudo pacman -S shadow",
		"ID=nixos":                 "install the package that holds newuidmap",
		"":                         "install the package that holds newuidmap",
		"garbage without sense":    "install the package that holds newuidmap",
	} {
		h := made(map[string]string{"/etc/os-release": release})
		require.Equal(t, want, h.install("newuidmap"), release)
	}
}

func TestRootNeedsNoSudo(t *testing.T) {
	h := made(map[string]string{"/etc/os-release": "ID=arch"}).root()
	require.Equal(t, "pacman -S git", h.install("git"))
	require.Equal(t, "pacman -S coreutils", h.install("sleep"))
	require.Equal(t, "sysctl -w a.b=1", h.set("a.b", "1"))
}

func TestOsReleaseBelowUsr(t *testing.T) {
	h := made(map[string]string{"/usr/lib/os-release": "# comment\nNAME=x\nPRETTY_NAME='Some OS'\n"})
	require.Equal(t, "Some OS", h.Distribution())
	require.Equal(t, "a distribution without /etc/os-release", made(nil).Distribution())
}

func TestModule(t *testing.T) {
	kernel := map[string]string{"/proc/sys/kernel/osrelease": "6.1.0-9"}
	require.Contains(t, made(kernel).module("overlay"), "/lib/modules has nothing for the running kernel 6.1.0-9")
	h := made(kernel).with(map[string]string{"/lib/modules/6.1.0-9/modules.dep": ""})
	require.Equal(t, "sudo modprobe overlay", h.module("overlay"))
	require.Contains(t, h.with(map[string]string{"/.dockerenv": ""}).module("overlay"), "on the machine that runs this container")
}
