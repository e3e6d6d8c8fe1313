package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/gofiber/fiber/v2"
)

// floor is a bare fiber app: one route that answers the same headers and a
// body of the same size as the gateway, and does nothing else.
type floor struct {
	url  string
	app  *fiber.App
	done chan error
}

// answer is one answer of the gateway, to be imitated.
type answer struct {
	header http.Header
	body   []byte
}

func startFloor(ctx context.Context, a answer) (*floor, error) {
	var bind net.ListenConfig
	bind.SetMultipathTCP(false) // like the gateway
	listener, err := bind.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the floor: %w", err)
	}
	type pair struct{ name, value string }
	var headers []pair
	for name, values := range a.header {
		if name != "Date" && name != "Content-Length" {
			headers = append(headers, pair{name, values[0]})
		}
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/floor", func(c *fiber.Ctx) error {
		for _, h := range headers {
			c.Set(h.name, h.value)
		}
		return c.Send(a.body)
	})
	f := &floor{url: "http://" + listener.Addr().String() + "/floor", app: app, done: make(chan error, 1)}
	go func() { f.done <- app.Listener(listener) }()
	return f, nil
}

func (f *floor) stop() error {
	return errors.Join(f.app.Shutdown(), <-f.done)
}
