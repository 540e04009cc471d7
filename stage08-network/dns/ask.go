package dns

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// port is where servers are asked.
const port = 53

// ask passes a question on over udp or tcp, byte for byte, and returns its answer.
func ask(server netip.Addr, question []byte, over string) ([]byte, error) {
	conn, err := net.DialTimeout(over, netip.AddrPortFrom(server, port).String(), patience)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if over == "tcp" {
		return askStream(conn, question)
	}
	return askPackets(conn, question)
}

func askStream(conn net.Conn, question []byte) ([]byte, error) {
	if err := writeMessage(conn, question); err != nil {
		return nil, err
	}
	answer, err := readMessage(conn)
	if err == nil && !isAnswer(question, answer) {
		err = errors.New("the answer is to another question")
	}
	return answer, err
}

func askPackets(conn net.Conn, question []byte) ([]byte, error) {
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	answer := make([]byte, maxMessage)
	for {
		n, err := conn.Read(answer)
		if err != nil {
			return nil, err
		}
		if isAnswer(question, answer[:n]) { // anyone may have sent the others
			return answer[:n], nil
		}
	}
}

// isAnswer reports whether a message has the number of a question, and repeats it.
func isAnswer(question, answer []byte) bool {
	var asked, told dnsmessage.Parser
	q, errQ := asked.Start(question)
	a, errA := told.Start(answer)
	if errQ != nil || errA != nil || q.ID != a.ID || !a.Response {
		return false
	}
	one, errQ := asked.Question()
	same, errA := told.Question()
	return errQ == nil && (errA != nil && a.RCode != dnsmessage.RCodeSuccess ||
		errA == nil && one.Type == same.Type && strings.EqualFold(one.Name.String(), same.Name.String()))
}

// readMessage reads a message from a stream, where each follows its length, in two bytes.
func readMessage(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

func writeMessage(w io.Writer, message []byte) error {
	size := binary.BigEndian.AppendUint16(nil, uint16(len(message)))
	_, err := w.Write(append(size, message...))
	return err
}
