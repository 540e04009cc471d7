package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPasswordIsNotTakenForAName: with --password-stdin there is nowhere to ask for the name.
func TestPasswordIsNotTakenForAName(t *testing.T) {
	_, _, err := (&loginCmd{PasswordStdin: true}).ask()
	require.ErrorContains(t, err, "add -u NAME")
}
