// Command web is the small web service that the demo puts into an image: it serves the files
// of a directory. It is static, so the image needs nothing but this program and the files.
//
//	web DIR ADDRESS     serves, such as web /page :80
//	web -get URL        fetches a page and prints it: a browser for where there is none
//	web -ask SOCKET METHOD PATH [BODY]   asks a server on a unix socket, and prints the answer
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	switch {
	case len(os.Args) == 3 && os.Args[1] == "-get":
		if err := get(os.Args[2]); err != nil {
			log.Fatal(err)
		}
	case len(os.Args) >= 5 && os.Args[1] == "-ask":
		body := strings.Join(os.Args[5:], " ")
		if err := ask(os.Args[2], os.Args[3], os.Args[4], body); err != nil {
			log.Fatal(err)
		}
	case len(os.Args) == 3:
		fmt.Printf("serving %s on %s\n", os.Args[1], os.Args[2])
		log.Fatal(http.ListenAndServe(os.Args[2], http.FileServer(http.Dir(os.Args[1]))))
	default:
		log.Fatal("usage: web DIR ADDRESS, web -get URL, or web -ask SOCKET METHOD PATH [BODY]")
	}
}

// get waits a few seconds for a service that is just starting.
func get(url string) error {
	answer, err := http.Get(url)
	for deadline := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
		answer, err = http.Get(url)
	}
	if err != nil {
		return err
	}
	return show(answer)
}

// show prints the answer as it comes.
func show(answer *http.Response) error {
	defer answer.Body.Close()
	_, err := io.Copy(os.Stdout, answer.Body)
	return err
}

// ask also waits for a server that is just starting.
func ask(socket, method, path, body string) error {
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }
	client := http.Client{Transport: &http.Transport{DialContext: dial}}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		request, err := http.NewRequest(method, "http://box"+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err == nil {
			return show(answer)
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}
