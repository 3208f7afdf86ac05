// Package client is the root of the examples; gen has the protocol.
package client

//go:generate npx --yes @bufbuild/buf@1.75.0 generate
