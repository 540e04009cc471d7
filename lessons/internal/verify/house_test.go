package verify

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/stages"
)

// lines is Go code of n lines.
func lines(n int) string { return strings.Repeat("// a line\n", n) }

// except replaces the exceptions for the time of a test.
func except(t *testing.T, list ...exception) {
	before := exceptions
	t.Cleanup(func() { exceptions = before })
	exceptions = list
}

// TestSizes: each flat tier has a target and a tolerance, comments are counted and tests not,
// and an exception takes their place.
func TestSizes(t *testing.T) {
	except(t)
	most, mostCommands := targets["cgroups"].lesson*110/100, targets["cgroups"].commands*110/100
	files := map[string]string{
		"stage01-namespaces/a.go":      "package main\n",
		"stage01-namespaces/plan/a.go": "package plan\n" + lines(5000),
		"stage02-cgroups/a.go":         "package main\n",
		"stage02-cgroups/b.go":         "package main\n" + lines(most-1),
		"stage02-cgroups/a_test.go":    "package main\n" + lines(5000),
		"stage02-cgroups/cmd_a.go":     "package main\n" + lines(mostCommands-1),
	}
	require.Empty(t, findings(t, sizes, files))
	files["stage02-cgroups/a.go"] += "\n"
	require.Equal(t, fmt.Sprintf("stage02-cgroups: lesson: adds %d lines, more than the %d of its target of %d and 10 %%: move what it does not teach to a tool, and verbs to cmd_ files, or give the reason in lessons/internal/verify/targets.go", most+1, most, targets["cgroups"].lesson),
		findings(t, sizes, files))
	files["stage02-cgroups/cmd_b.go"] = "package main\n"
	require.Contains(t, findings(t, sizes, files), fmt.Sprintf("stage02-cgroups: commands: adds %d lines, more than the %d of its target of %d and 10 %%", mostCommands+1, mostCommands, targets["cgroups"].commands))

	except(t, exception{"cgroups", stages.Lesson, most + 1, "why not"}, exception{"cgroups", stages.Commands, mostCommands + 1, "why not"})
	require.Empty(t, findings(t, sizes, files))
	files["stage02-cgroups/c.go"] = "package main\n"
	require.Contains(t, findings(t, sizes, files), fmt.Sprintf("more than the %d of its exception", most+1))
}

// TestSizesOfAStageWithoutATarget: a new stage needs one before it has a line.
func TestSizesOfAStageWithoutATarget(t *testing.T) {
	require.Contains(t, findings(t, sizes, map[string]string{"stage01-none/a.go": "package main\n"}), "stage01-none: lesson: adds 1 lines, more than the 0 of its target")
}

// TestSizesLeft: exceptions are listed, and those that can be lowered or go.
func TestSizesLeft(t *testing.T) {
	except(t, exception{"namespaces", stages.Lesson, 700, "why not"}, exception{"cgroups", stages.Lesson, 900, "why not"}, exception{"rootfs", stages.Lesson, 1800, "why not"})
	_, all := tree(t, map[string]string{
		"stage01-namespaces/a.go": "package main\n",
		"stage02-cgroups/a.go":    "package main\n" + lines(850),
		"stage03-rootfs/a.go":     "package main\n" + lines(3000),
	})
	left, err := sizesLeft(all)
	require.NoError(t, err)
	require.Equal(t, []string{
		fmt.Sprintf("stage01-namespaces, lesson: up to 700 lines, the target is %d; take it off the list, the target is met", targets["namespaces"].lesson),
		fmt.Sprintf("stage02-cgroups, lesson: up to 900 lines, the target is %d; lower it to 850", targets["cgroups"].lesson),
		fmt.Sprintf("stage03-rootfs, lesson: up to 1800 lines, the target is %d; why not", targets["rootfs"].lesson),
	}, left)
}

// TestExceptionsHaveReasons: and stages that exist.
func TestExceptionsHaveReasons(t *testing.T) {
	for _, e := range exceptions {
		require.NotEmpty(t, e.reason)
		require.Contains(t, targets, e.topic)
	}
}

func TestColumns(t *testing.T) {
	long := "package main\n//" + strings.Repeat("ä", 98)
	files := map[string]string{
		"stage01-namespaces/a.go":      long + "\n",
		"stage01-namespaces/cmd_a.go":  long + "x\n",
		"stage01-namespaces/a_test.go": long + "x\n",
		"stage01-namespaces/plan/a.go": long + "x\n",
	}
	require.Empty(t, findings(t, columns, files))
	files["stage01-namespaces/a.go"] = long + "x\n\t//" + strings.Repeat("x", 95) + "\n"
	require.Equal(t, "stage01-namespaces/a.go:2: has 101 columns; the most is 100, a tab counts as four: break the line\n"+
		"stage01-namespaces/a.go:3: has 101 columns; the most is 100, a tab counts as four: break the line", findings(t, columns, files))
}

// TestTools: a tool has the name of its directory and one comment.
func TestTools(t *testing.T) {
	files := map[string]string{
		"stage01-namespaces/plan/a.go": "// Package plan is good.\npackage plan\n",
		"stage01-namespaces/plan/b.go": "// Of this file.\n\npackage plan\n",
	}
	require.Empty(t, findings(t, tools, files))
	files["stage01-namespaces/plan/b.go"] = "// Of this file.\npackage plan\n"
	require.Contains(t, findings(t, tools, files), "stage01-namespaces/plan: has a package comment in a.go and in b.go, which go doc makes one text of: leave a blank line")
	files["stage01-namespaces/plan/a.go"] = "package plan\n"
	files["stage01-namespaces/plan/b.go"] = "package other\n"
	text := findings(t, tools, files)
	require.Contains(t, text, "stage01-namespaces/plan: has no package comment: begin one of its files with // Package plan")
	require.Contains(t, text, "stage01-namespaces/plan/b.go: is of package other: a tool is a package with the name of its directory, plan")
}

// TestCopiesOfTools: no later stage has a tool of the same name, or a file with a tool's code,
// whatever that imports.
func TestCopiesOfTools(t *testing.T) {
	code := "\nfunc f() {\n" + strings.Repeat("\tprintln()\n", logic) + "}\n"
	files := map[string]string{
		"stage01-namespaces/plan/a.go":      "// Package plan is good.\npackage plan\n\nimport \"os\"\n" + code,
		"stage01-namespaces/plan/m_test.go": "package plan\n\nfunc short() {}\n",
		"stage02-cgroups/units/u.go":        "// Package units is good.\npackage units\n",
		"stage02-cgroups/units/m_test.go":   "package units\n\nfunc short() {}\n",
	}
	files["stage02-cgroups/flat_test.go"] = "package main\n" + code
	files["stage02-cgroups/units/u_test.go"] = "package units\n" + code
	require.Empty(t, findings(t, tools, files))
	files["stage02-cgroups/plan/b.go"] = "// Package plan again.\npackage plan\n"
	require.Equal(t, "stage02-cgroups/plan: there is a tool plan already, stage01-namespaces/plan: a tool is edited where it is, for all stages, and imported by the later ones; or give this one another name",
		findings(t, tools, files))
	delete(files, "stage02-cgroups/plan/b.go")
	files["stage02-cgroups/units/v.go"] = "package units\n" + code
	files["stage02-cgroups/flat.go"] = "// Flat.\npackage main\n\nimport (\n\t\"os\"\n)\n" + code
	text := findings(t, tools, files)
	require.Contains(t, text, "stage02-cgroups/units/v.go: is a copy of stage01-namespaces/plan/a.go: import that tool instead")
	require.Contains(t, text, "stage02-cgroups/flat.go: is a copy of stage01-namespaces/plan/a.go: import that tool instead")
}

// TestImportsOfPrograms: a tool imports no package main, nor does a stage.
func TestImportsOfPrograms(t *testing.T) {
	require.Contains(t, findings(t, imports, map[string]string{
		"stage01-namespaces/a.go":      "package main\n",
		"stage01-namespaces/plan/a.go": "package plan\nimport \"stagebox/stage01-namespaces\"\n",
	}), "stage01-namespaces/plan/a.go: imports stagebox/stage01-namespaces, the program of a stage: a tool gets what it needs as a parameter")
}

// TestCalls: what a lesson shows is not done in a tool; what any program does is, and plan/
// may do all of it.
func TestCalls(t *testing.T) {
	const page = "```console\n$ box run --dry-run true\nbox │ mount(\"proc\", \"/proc\")  # why\nhost│ close(3)\nbox │ pivot_root(\".\", \".\")\nbox │ umount2(\".\", 0)\n```\n"
	of := func(name, code string) string {
		return findings(t, calls, map[string]string{
			"lessons/01-namespaces.md":   page,
			"stage01-namespaces/" + name: "package x\n\nimport (\n\t\"syscall\"\n\n\t\"golang.org/x/sys/unix\"\n)\n\nfunc f() {\n\t" + code + "\n}\n",
		})
	}
	for _, code := range []string{`unix.Close(3)`, `unix.Mkdir("/proc", 0)`, `unix.Syscall(unix.SYS_CLOSE)`, `other.Mount("")`,
		`x := unix.MS_RDONLY`, `x := "cgroups of processes"`} {
		require.Empty(t, of("tool/a.go", code), code)
	}
	for code, says := range map[string]string{
		`unix.Mount("", "", "", 0, "")`:      "calls mount(2) with unix.Mount",
		`syscall.Mount("", "", "", 0, "")`:   "calls mount(2) with syscall.Mount",
		`unix.Syscall(unix.SYS_PIVOT_ROOT)`:  "calls pivot_root(2) with unix.SYS_PIVOT_ROOT",
		`do := unix.PivotRoot`:               "calls pivot_root(2) with unix.PivotRoot",
		`unix.Unmount("/", 0)`:               "calls umount2(2) with unix.Unmount",
		`unix.OpenTree(0, "", 0)`:            "calls open_tree(2) with unix.OpenTree",
		`unix.Socket(unix.AF_NETLINK, 0, 0)`: "speaks netlink with unix.AF_NETLINK",
		`open("/sys/fs/cgroup")`:             `names a file of cgroups, "/sys/fs/cgroup"`,
		`write(dir + "/cgroup.procs")`:       `names a file of cgroups, "/cgroup.procs"`,
		`write(dir, "memory.max", "1")`:      `names a file of cgroups, "memory.max"`,
	} {
		text := of("tool/a.go", code)
		require.Contains(t, text, "stage01-namespaces/tool/a.go:10: "+says+", which is what a lesson shows: do that in the lesson tier", code)
		require.Empty(t, of("plan/a.go", code), code)
		require.Empty(t, of("tool/a_test.go", code), code)
		require.Empty(t, of("a.go", code), code)
	}
}

// TestCallsOfOthers: a tool that can write no file may name those of cgroups. One import that can, in
// whichever file of its package, and it may not, nor if such a tool imports it. It makes no other call.
func TestCallsOfOthers(t *testing.T) {
	of := func(imports, of2nd, ofOther, code string) string {
		return findings(t, calls, map[string]string{
			"lessons/01-namespaces.md":          "```console\n$ box run --dry-run true\nbox │ mount(\"proc\", \"/proc\")  # why\n```\n",
			"stage01-namespaces/tool/a.go":      "package x\n\nimport (" + imports + ")\n\nfunc f() {\n\t" + code + "\n}\n",
			"stage01-namespaces/tool/b.go":      "package x\n\nimport (" + of2nd + ")\n",
			"stage01-namespaces/tool/c_test.go": "package x\n\nimport \"os\"\n",
			"stage01-namespaces/other/a.go":     "package y\n\nimport (" + ofOther + ")\n",
		})
	}
	const name, says = `x := "memory.max"`, `stage01-namespaces/tool/a.go:6: names a file of cgroups, "memory.max"`
	const tool = `"stagebox/stage01-namespaces/tool"`
	require.Empty(t, of(`"fmt"`, `"strings"`, `"fmt"`, name))
	require.Empty(t, of("", "", `"os"`, name))
	require.Contains(t, of(`"fmt"; "os"`, `"strings"`, "", name), says)
	require.Contains(t, of(`"fmt"`, `"os"`, "", name), says)
	require.Contains(t, of(`"fmt"`, `u "golang.org/x/sys/unix"`, "", name), says)
	require.Contains(t, of(`"fmt"`, `"stagebox/stage01-namespaces/rawfile"`, "", name), says)
	require.Contains(t, of(`"fmt"`, "", tool, name), says)
	require.Contains(t, of(`"fmt"`, "", "", "unix.Mount()"), "calls mount(2) with unix.Mount")
}

// TestTaughtCalls are those of the real lessons.
func TestTaughtCalls(t *testing.T) {
	root, err := stages.Root()
	require.NoError(t, err)
	all, err := stages.All(root)
	require.NoError(t, err)
	taught, err := taughtCalls(root, all)
	require.NoError(t, err)
	for _, name := range []string{"mount", "pivot_root", "clone3", "unshare", "setns", "sethostname"} {
		require.True(t, taught[name], name)
	}
	require.False(t, taught["write"])
}
