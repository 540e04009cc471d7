// Times that are the same whenever the layer is made.

package layer

import (
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// LowerTimes sets every modification time below a directory that is later than latest back to it,
// so that the digest of its archive depends only on what the files hold. It is for a layer that is
// made again and again (SOURCE_DATE_EPOCH, reproducible-builds.org).
func LowerTimes(dir string, latest time.Time) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return about("open", dir, err)
	}
	defer unix.Close(fd)
	limit, err := unix.TimeToTimespec(latest)
	if err != nil {
		return err
	}
	return files.Walk(fd, func(name string, fd int) error {
		var st unix.Stat_t
		err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH)
		if err != nil || st.Mtim.Nano() <= limit.Nano() {
			return about("stat", name, err)
		}
		times := []unix.Timespec{st.Atim, limit}
		return about("utimensat", name, unix.UtimesNanoAt(fd, "", times, unix.AT_EMPTY_PATH))
	})
}
