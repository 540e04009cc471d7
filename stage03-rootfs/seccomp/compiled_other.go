//go:build !amd64

package seccomp

// HasCompiled reports whether there is a Compiled program for this processor.
const HasCompiled = false

const compiledDefault = ""
