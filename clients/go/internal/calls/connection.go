// Package calls has what both examples need: the connection, another try, and errors told in full.
package calls

import (
	"context"
	"crypto/tls"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	defaultAddress = "127.0.0.1:50051"
	// What the server as installed takes and sends; gRPC's own limit for answers is 4 MiB.
	maxMessageBytes = 64 << 20
)

// Connect prepares a connection to VERIFRAME_ADDRESS: HOST:PORT, or https://HOST:PORT for TLS, which
// believes the system's authorities (and those in SSL_CERT_FILE). It is opened with the first call.
// Where the name has several addresses, calls go to all of them in turn.
func Connect() (*grpc.ClientConn, error) {
	address := os.Getenv("VERIFRAME_ADDRESS")
	if address == "" {
		address = defaultAddress
	}
	transport := insecure.NewCredentials()
	host, secure := strings.CutPrefix(address, "https://")
	if secure {
		transport = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)),
		// A connection that broke without a word is noticed during a call.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 30 * time.Second, Timeout: 10 * time.Second,
		}),
	}
	if key := os.Getenv("VERIFRAME_API_KEY"); key != "" {
		options = append(options, grpc.WithPerRPCCredentials(apiKey{key, secure}))
	}
	return grpc.NewClient(host, options...)
}

// apiKey goes with every call. Over TLS, gRPC makes sure that it goes over nothing else.
type apiKey struct {
	key    string
	secure bool
}

func (k apiKey) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + k.key}, nil
}

func (k apiKey) RequireTransportSecurity() bool { return k.secure }
