package blockiotest_test

import (
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

func TestMemVolume(t *testing.T) {
	blockiotest.TestVolume(t, func(*testing.T) blockio.Volume { return blockiotest.NewMemVolume() })
}

func TestMemVolumeReplaces(t *testing.T) {
	blockiotest.TestReplacer(t, func(*testing.T) blockiotest.ReplacingVolume { return blockiotest.NewMemVolume() })
}
