// Command web is the small web service that the demo puts into an image: it serves the files
// of a directory. It is static, so the image needs nothing but this program and the files.
//
//	web DIR ADDRESS     serves, such as web /page :80
//	web -get URL        fetches a page and prints it: a browser for where there is none
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	log.SetFlags(0)
	switch {
	case len(os.Args) == 3 && os.Args[1] == "-get":
		if err := get(os.Args[2]); err != nil {
			log.Fatal(err)
		}
	case len(os.Args) == 3:
		fmt.Printf("serving %s on %s\n", os.Args[1], os.Args[2])
		log.Fatal(http.ListenAndServe(os.Args[2], http.FileServer(http.Dir(os.Args[1]))))
	default:
		log.Fatal("usage: web DIR ADDRESS, or web -get URL")
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
	defer answer.Body.Close()
	_, err = io.Copy(os.Stdout, answer.Body)
	return err
}
