package stage04

import (
	"testing"

	"stagebox/lessons/internal/behave/rowtest"
)

func TestMain(m *testing.M) { rowtest.Main(m) }

func TestRows(t *testing.T) { rowtest.Rows(t, 4) }
