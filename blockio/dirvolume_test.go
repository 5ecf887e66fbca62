package blockio_test

import (
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

func TestDirVolume(t *testing.T) {
	blockiotest.TestVolume(t, func(t *testing.T) blockio.Volume {
		v, err := blockio.NewDirVolume(t.TempDir(), blockio.DirVolumeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return v
	})
}

func TestDirVolumeReplaces(t *testing.T) {
	blockiotest.TestReplacer(t, func(t *testing.T) blockiotest.ReplacingVolume {
		v, err := blockio.NewDirVolume(t.TempDir(), blockio.DirVolumeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return v
	})
}
