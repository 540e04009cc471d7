package behave

// The rows about what exercises ask for and no stage does. They are in no stage's suite: a
// Suite runs them when it names them.

var exerciseRows = []Row{{
	Name: "exercise 1b: the group of --pids-limit is gone after the container", Since: 1, For: Root,
	Check: func(b *Box) Seen {
		c, err := b.Cat("run", "--pids-limit", "17", "cat")
		if err != nil {
			return failed(err)
		}
		dir, _, err := b.group(c.pid(), "pids")
		if err != nil {
			return failed(err)
		}
		if ours, _, _ := b.group(host, "pids"); dir == ours {
			return same("a group of its own", "ours")
		}
		c.Stop()
		return same("gone", gone(dir))
	},
	Broken: beside + `p=$!; wait $p; mkdir /sys/fs/cgroup/pids/"$p"`,
}}
