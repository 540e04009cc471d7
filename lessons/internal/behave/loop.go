package behave

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// loopDevice makes a file a block device, until detach is called: loop(4).
func loopDevice(path string) (device string, detach func(), err error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", nil, err
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return "", nil, fmt.Errorf("ioctl(LOOP_CTL_GET_FREE): %w", err)
	}
	device = "/dev/loop" + strconv.Itoa(n)
	loop, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return "", nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		err = unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_SET_FD, int(file.Fd()))
		file.Close()
	}
	if err != nil {
		loop.Close()
		return "", nil, fmt.Errorf("ioctl(LOOP_SET_FD, %q): %w", path, err)
	}
	return device, func() { unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_CLR_FD, 0); loop.Close() }, nil
}

// number is a number, or -1 for what is none.
func number(text string) int {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return -1
	}
	return n
}
