package qcow2_test

import (
	"os"
	"os/exec"
	"testing"
)

// needQEMU skips a test without QEMU's tools, but never in a CI run.
func needQEMU(t testing.TB) {
	t.Helper()
	for _, tool := range []string{"qemu-img", "qemu-io"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") != "true" {
			t.Skipf("no %s", tool)
		}
	}
}
