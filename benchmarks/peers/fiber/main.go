// Command fiber is the floor: one route that sends the gateway's own headers and
// body, on the same library, and does nothing else.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/gofiber/fiber/v2"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	path := flag.String("path", "/", "the path that is answered")
	file := flag.String("answer", "", "JSON with the Header and the Body of the answer")
	flag.Parse()
	if err := serve(*listen, *path, *file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(listen, path, file string) error {
	content, err := os.ReadFile(file) //nolint:gosec // the suite names it
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	var answer struct {
		Header http.Header
		Body   []byte
	}
	if err := json.Unmarshal(content, &answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	type pair struct{ name, value string }
	var headers []pair
	for name, values := range answer.Header {
		if name != "Date" && name != "Content-Length" {
			headers = append(headers, pair{name, values[0]})
		}
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get(path, func(c *fiber.Ctx) error {
		for _, h := range headers {
			c.Set(h.name, h.value)
		}
		return c.Send(answer.Body)
	})
	var bind net.ListenConfig
	bind.SetMultipathTCP(false) // like the gateway
	listener, err := bind.Listen(context.Background(), "tcp", listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	return app.Listener(listener)
}
