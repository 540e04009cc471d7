package vm

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// plainKernel is the kernel of a file, unpacked, in memory; nil when its form is another than
// that of Debian's cloud kernels. QEMU enters it without its own unpacking (PVH, Documentation/x86/boot.rst),
// which takes a second where instructions are translated.
func plainKernel(path string) (*os.File, error) {
	image, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the kernel for the virtual machine: %w", err)
	}
	payload, size := payload(image)
	if payload == nil {
		return nil, nil
	}
	fd, err := unix.MemfdCreate("stagebox-kernel", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	memory := os.NewFile(uintptr(fd), "kernel")
	if err := unpackInto(memory, payload, size); err != nil || !entersDirectly(memory) {
		return nil, memory.Close()
	}
	return memory, nil
}

// payload is the compressed kernel in an image, and its size when unpacked, which the build of the
// kernel adds at the end. The offsets are those of Documentation/x86/boot.rst; nil is another
// compression than LZ4's.
func payload(image []byte) (packed []byte, size int) {
	if len(image) < 0x250 || string(image[0x202:0x206]) != "HdrS" {
		return nil, 0
	}
	setup := (int(image[0x1f1]) + 1) * 512
	begin := setup + int(binary.LittleEndian.Uint32(image[0x248:]))
	end := begin + int(binary.LittleEndian.Uint32(image[0x24c:]))
	if end > len(image) || end-begin < 8 || !bytes.HasPrefix(image[begin:], []byte(lz4Legacy)) {
		return nil, 0
	}
	return image[begin+4 : end-4], int(binary.LittleEndian.Uint32(image[end-4:]))
}

// lz4Legacy begins what lz4 -l writes: blocks, each after its size and packed by itself.
const lz4Legacy = "\x02\x21\x4c\x18"

// unpackInto unpacks blocks into a file of a size, through memory that is the file's own.
func unpackInto(file *os.File, blocks []byte, size int) error {
	if err := file.Truncate(int64(size)); err != nil {
		return err
	}
	memory, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	defer unix.Munmap(memory)
	done := 0
	for len(blocks) >= 4 {
		n := int(binary.LittleEndian.Uint32(blocks))
		if n > len(blocks)-4 {
			return errTorn
		}
		made, err := unpackBlock(memory[done:], blocks[4:4+n])
		if err != nil {
			return err
		}
		done, blocks = done+made, blocks[4+n:]
	}
	if done != size {
		return errTorn
	}
	return nil
}

var errTorn = errors.New("the compressed kernel is damaged")

// unpackBlock unpacks a block, and returns the size of its content. The form is that of
// lz4_Block_format.md: literal bytes, then a distance and a length to copy from what there is.
func unpackBlock(out, block []byte) (n int, err error) {
	for len(block) > 0 {
		token := block[0]
		var count int
		if count, block = length(token>>4, block[1:]); count > len(block) || count > len(out)-n {
			return n, errTorn
		}
		n += copy(out[n:], block[:count])
		if block = block[count:]; len(block) == 0 {
			return n, nil // the last one has only literal bytes
		}
		if len(block) < 2 {
			return n, errTorn
		}
		from := n - int(binary.LittleEndian.Uint16(block))
		count, block = length(token&15, block[2:])
		count += 4
		if from < 0 || from == n || count > len(out)-n {
			return n, errTorn
		}
		for end := n + count; n < end; { // what is copied may be what was just written
			n += copy(out[n:end], out[from:n])
		}
	}
	return n, nil
}

// length is a number that begins in four bits and goes on in bytes while these are full.
func length(begin byte, rest []byte) (int, []byte) {
	n := int(begin)
	for more := begin == 15; more && len(rest) > 0; rest = rest[1:] {
		n += int(rest[0])
		more = rest[0] == 255
	}
	return n, rest
}

// entersDirectly reports whether a kernel has the note by which QEMU finds its entry: Xen's of type
// 18, XEN_ELFNOTE_PHYS32_ENTRY.
func entersDirectly(kernel *os.File) bool {
	file, err := elf.NewFile(kernel)
	if err != nil {
		return false
	}
	name := []byte("\x12\x00\x00\x00Xen\x00")
	for _, p := range file.Progs {
		notes := make([]byte, p.Filesz)
		if p.Type != elf.PT_NOTE || p.Filesz > 1<<16 {
			continue
		}
		if _, err := p.ReadAt(notes, 0); err == nil && bytes.Contains(notes, name) {
			return true
		}
	}
	return false
}
