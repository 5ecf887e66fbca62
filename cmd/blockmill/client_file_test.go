package main

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

// TestRefusedFileByTCP says where files are taken.
func TestRefusedFileByTCP(t *testing.T) {
	denied := status.Error(codes.PermissionDenied, "permission denied")
	for endpoint, told := range map[string]bool{"127.0.0.1:9440": true, "/run/socket": false} {
		c, err := remote.Dial(remote.Options{Endpoint: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		got := c.Plain(refusedFile(c, "/file", denied)).Error()
		if strings.Contains(got, "--endpoint") != told || strings.Contains(got, endpoint) != told || !strings.HasPrefix(got, "permission denied") {
			t.Errorf("%s: %s", endpoint, got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
