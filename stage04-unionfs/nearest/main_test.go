package nearest

import (
	"testing"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }
