package behave

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// loopDevice makes a file a block device, until detach is called, or until this process has
// ended: loop(4). Another process may take the device that was free a moment ago.
func loopDevice(path string) (device string, detach func(), err error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", nil, err
	}
	defer control.Close()
	for range 100 {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", nil, fmt.Errorf("ioctl(LOOP_CTL_GET_FREE): %w", err)
		}
		device = "/dev/loop" + strconv.Itoa(n)
		loop, err := attach(device, path)
		if err == nil {
			return device, func() { loop.Close() }, nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return "", nil, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "", nil, fmt.Errorf("others take every loop device: %w", unix.EBUSY)
}

// attach opens a loop device on a file. The kernel detaches it when it is closed everywhere.
func attach(device, path string) (loop *os.File, err error) {
	loop, err = os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		defer file.Close()
		config := unix.LoopConfig{Fd: uint32(file.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
	}
	if err != nil {
		loop.Close()
		return nil, fmt.Errorf("ioctl(%q, LOOP_CONFIGURE, %q): %w", device, path, err)
	}
	return loop, nil
}

// number is a number, or -1 for anything else.
func number(text string) int {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return -1
	}
	return n
}
