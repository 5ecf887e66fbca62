package fetch_test

import (
	"io"
	"log"
	"testing"

	"github.com/blockmill/blockmill/blockio/blockiotest/leak"
)

// TestMain silences what net/http says of servers that send unasked, as programs
// do, and looks for goroutines that nobody ended.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	leak.Main(m)
}
