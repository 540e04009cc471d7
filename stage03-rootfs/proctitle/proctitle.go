// Package proctitle changes what proc(5) shows as the arguments and the environment of this
// process, which is the memory where the kernel has put them. A copy of a process shows what the
// process itself does: PID 1 of a container would show those inside what box was called with. No
// lesson reads it.
package proctitle

import (
	"os"
	"strings"
	"unsafe"
)

// names is that memory, and what is to be there instead.
var names struct{ memory, text []byte }

// Prepare makes the text: the arguments, as far as there is room for them where the present ones
// are, and no environment.
func Prepare(argv []string) {
	size := 0
	for _, arg := range os.Args {
		size += len(arg) + 1
	}
	text := strings.Join(argv, "\x00")
	text = text[:min(len(text), size-1)]
	environ, err := os.ReadFile("/proc/self/environ") // it follows the arguments
	if err == nil {
		size += len(environ)
	}
	names.memory = unsafe.Slice(unsafe.StringData(os.Args[0]), size)
	names.text = append([]byte(text), make([]byte, size-len(text))...)
}

// Set puts it into the memory. It allocates nothing, and may run between fork and execve. From then
// on, os.Args is of no use.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Set() { copy(names.memory, names.text) }
