// The flag --change of commit and import: instructions of a Dockerfile that change the configuration
// of an image outside a build.

package main

import "stagebox/stage06-dockerfile/configure"

// ChangeOptions is the flag of commit and import.
type ChangeOptions = configure.Options
