// Compiling Docker's default profile takes a tenth of the CPU time in which a container starts, and
// the program is always the same: its instructions are in a file, as the kernel reads them. After
// a change of the compiler, or a new version of the profile, this writes the file again:
//
//	SECCOMP_WRITE=1 go test ./stage03-rootfs/seccomp -run TestCompiled

package seccomp

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Compiled is what Compile makes of the Default profile for Docker's default capabilities, on a
// processor where HasCompiled is true.
func Compiled() []unix.SockFilter {
	const size = unix.SizeofSockFilter
	program := make(code, 0, len(compiledDefault)/size)
	for rest := []byte(compiledDefault); len(rest) >= size; rest = rest[size:] {
		program = append(program, unix.SockFilter{Code: binary.NativeEndian.Uint16(rest),
			Jt: rest[2], Jf: rest[3], K: binary.NativeEndian.Uint32(rest[4:])})
	}
	return program
}
