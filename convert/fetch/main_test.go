package fetch_test

import (
	"io"
	"log"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain silences what net/http says of servers that send unasked, as programs
// do, and looks for goroutines that nobody ended.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}
