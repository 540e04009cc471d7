package network

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/corpus"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// TestBuildsAreTheSame builds cases in which this stage may differ from the one before: half of
// those that run something, and a tenth of the others, at random; with STAGEBOX_LONG=1 all, with
// -short two, in turn with the corpus on the stage before.
func TestBuildsAreTheSame(t *testing.T) {
	boxtest.Turn(t, 1, 2)
	random := boxtest.Random(t)
	var cases []corpus.Case
	for _, c := range corpus.Cases(t) {
		part := 10
		if c.Runs() {
			part = 2
		}
		if boxtest.Long() || random.IntN(part) == 0 {
			cases = append(cases, c)
		}
	}
	corpus.Build(t, corpus.Stage(t, 8), boxtest.Sample(t, cases, 2))
}

// changes are the declarations that this stage has changed in files of the one before. They
// say how a container is run and shown, and which commands there are. A build that runs
// nothing uses none of them but the list of commands.
var changes = []string{
	"buildrun.go:stageBuild.permissions", "cache.go:stageBuild.inputs",
	"cmd_build.go:buildCmd", "cmd_build.go:buildCmd.interruptible", // the flags about the network of RUN
	"cmd_inspect.go:Record.describe", "cmd_inspect.go:inspectCmd", "cmd_inspect.go:objects",
	"cmd_ps.go:psCmd.Run", "cmd_ps.go:psCmd.row", "cmd_ps.go:psFilters", "cmd_ps.go:psLine", "cmd_ps.go:psRow",
	"cmd_start.go:renameCmd.Run",
	"cmd_stats.go:statsCmd.Run",
	"cmd_store.go:Container.rejectStoreFlags", "cmd_store.go:Container.resolve",
	"container.go:Container", "container.go:Container.Run",
	"containers.go:Record.running", "containers.go:State", "containers.go:State.exit",
	"main.go:commands",
	"names.go:newRoot.names", "names.go:newRoot.fill is gone", "names.go:newRoot.fillNames is gone",
	"namespaces.go:namespaces",
	"rootfs.go:root",
	"store.go:Store.repair",
	"usage.go:group.usage",
}

// TestOnlyThatDiffers holds what TestBuildsAreTheSame relies on. When it fails, look whether
// builds without RUN use what has changed: if so, those cases must be built with this stage too.
func TestOnlyThatDiffers(t *testing.T) {
	changed, err := corpus.Changed(corpus.Stage(t, 7), corpus.Stage(t, 8))
	require.NoError(t, err)
	require.Equal(t, changes, changed)
}
