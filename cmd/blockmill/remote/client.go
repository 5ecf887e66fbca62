package remote

import (
	"cmp"
	"fmt"
	"strings"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc"

	"github.com/blockmill/blockmill/api/blockmillpb"
)

// DefaultFolder is the folder of commands that name none.
const DefaultFolder = "default"

// Options say where the daemon is and who asks; the zero value takes the local
// socket.
type Options struct {
	// Endpoint is "unix:PATH", a path, or HOST:PORT; by default the first local
	// socket that is there, else the loopback port.
	Endpoint string
	// TokenFile holds a bearer token.
	TokenFile string
	// CAFile holds the certificates that vouch for the daemon, CertFile and
	// KeyFile the caller's own. Any of them asks for TLS, and so does TLS, with
	// the system's certificates.
	CAFile, CertFile, KeyFile string
	TLS                       bool
	// Folder is where names are looked up and things are made.
	Folder string
}

// Client is a connection to a daemon.
type Client struct {
	conn     *grpc.ClientConn
	folder   string
	endpoint string // as users name it
	socket   bool

	Images     compute.ImageServiceClient
	Disks      compute.DiskServiceClient
	Snapshots  compute.SnapshotServiceClient
	Operations operation.OperationServiceClient
	// Progress is the node's own service of operations.
	Progress blockmillpb.OperationServiceClient
}

// Dial makes a client. It connects with the first call.
func Dial(opts Options) (*Client, error) {
	creds, err := opts.credentials()
	if err != nil {
		return nil, err
	}
	target, err := opts.target()
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(target, creds...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	socket, isUnix := strings.CutPrefix(target, "unix:")
	return &Client{
		endpoint: cmp.Or(strings.TrimPrefix(strings.TrimPrefix(socket, "dns:///"), "passthrough:///"), target), socket: isUnix,
		conn: conn, folder: cmp.Or(opts.Folder, DefaultFolder),
		Images:     compute.NewImageServiceClient(conn),
		Disks:      compute.NewDiskServiceClient(conn),
		Snapshots:  compute.NewSnapshotServiceClient(conn),
		Operations: operation.NewOperationServiceClient(conn),
		Progress:   blockmillpb.NewOperationServiceClient(conn),
	}, nil
}

// Folder is the folder that the client works in.
func (c *Client) Folder() string { return c.folder }

// Endpoint is where the daemon is: a socket's path, or host:port.
func (c *Client) Endpoint() string { return c.endpoint }

// AtSocket says whether that is a socket of this machine.
func (c *Client) AtSocket() bool { return c.socket }

// Conn is the connection, for services that Client does not name.
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }
