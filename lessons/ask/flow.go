package main

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// natFlows redirects a port, and asks where the packets of old and new sockets arrive once the rule
// is gone, and then the last rule that needs connection tracking. It takes ip and nft, and a network namespace that ends with it.
func natFlows(string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare(CLONE_NEWNET): %w", err)
	}
	err := errors.Join(command("ip link set lo up"), command("nft add table ip t"),
		command("nft add chain ip t out { type nat hook output priority -100 ; }"),
		command("nft add rule ip t out udp dport 9000 redirect to :9001"),
		command("nft add table ip u"), command("nft add chain ip u out { type nat hook output priority -99 ; }"),
		command("nft add rule ip u out udp dport 1 redirect to :2"))
	if err != nil {
		return err
	}
	plain, redirected, err := listen()
	if err != nil {
		return err
	}
	old, err := net.Dial("udp", "127.0.0.1:9000")
	if err != nil {
		return err
	}
	fmt.Println("the rule is there:", arrives(old, plain, redirected))
	if err := command("nft flush chain ip t out"); err != nil {
		return err
	}
	fresh, err := net.Dial("udp", "127.0.0.1:9000")
	if err != nil {
		return err
	}
	fmt.Printf("it is gone; the same socket: %s; a new one: %s\n",
		arrives(old, plain, redirected), arrives(fresh, plain, redirected))
	if err := command("nft flush chain ip u out"); err != nil {
		return err
	}
	fmt.Println("no other rule is left; the same socket:", arrives(old, plain, redirected))
	return nil
}

func command(line string) error {
	words := strings.Fields(line)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return nil
}

func listen() (plain, redirected net.PacketConn, err error) {
	if plain, err = net.ListenPacket("udp", "127.0.0.1:9000"); err == nil {
		redirected, err = net.ListenPacket("udp", "127.0.0.1:9001")
	}
	return plain, redirected, err
}

// arrives sends a packet and names the port at which it is received.
func arrives(from net.Conn, at ...net.PacketConn) string {
	if _, err := from.Write([]byte("x")); err != nil {
		return err.Error()
	}
	for range 100 {
		for _, c := range at {
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if _, _, err := c.ReadFrom(make([]byte, 1)); err == nil {
				_, port, _ := net.SplitHostPort(c.LocalAddr().String())
				return "port " + port
			}
		}
	}
	return "nowhere"
}
