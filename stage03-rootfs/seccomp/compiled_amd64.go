package seccomp

import _ "embed"

// HasCompiled reports whether there is a Compiled program for this processor.
const HasCompiled = true

//go:embed default_amd64.bpf
var compiledDefault string
