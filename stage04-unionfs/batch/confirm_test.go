package batch_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/batch"
)

func TestConfirm(t *testing.T) {
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	for answer, want := range map[string]bool{"y\n": true, "Y \n": true, "yes\n": false, "n\n": false, "": false} {
		read, write, err := os.Pipe()
		require.NoError(t, err)
		_, err = write.WriteString(answer)
		require.NoError(t, err)
		require.NoError(t, write.Close())
		os.Stdin = read
		require.Equal(t, want, batch.Confirm("really?"), answer)
	}
}
