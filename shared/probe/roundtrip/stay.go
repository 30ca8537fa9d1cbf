package roundtrip

import (
	"context"
	"net"
)

// Stay makes the client keep to the address that a host was first reached at,
// for who makes many requests: large services answer each look-up of their
// names with other addresses, and an attempt may visit few.
func (c *Client) Stay() *Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stays = true
	return c
}

func (c *Client) dial(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), network, address string) (net.Conn, error) {
	c.mu.Lock()
	at, again := c.reached[address]
	c.mu.Unlock()
	if !again {
		at = address
	}
	raw, err := dial(ctx, network, at)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stays {
		c.reached[address] = raw.RemoteAddr().String()
	}
	return raw, nil
}
