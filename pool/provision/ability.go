package provision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/blockmill/blockmill/blockio"
)

// Abilities are what the file system of a directory was found able to do.
type Abilities struct {
	// Reflink: files can share blocks.
	Reflink bool
	// Map: it tells where the bytes of a file are, so that shared ones are
	// known without reading them.
	Map bool
}

// probeSize is the length of the files that abilities are tried with.
const probeSize = 64 << 10

// probe tries what the file system can do, with files that it removes.
func probe(ctx context.Context, dir string) (a Abilities, err error) {
	var devs [2]*blockio.Device
	for i := range devs {
		path := filepath.Join(dir, fmt.Sprintf("probe%d", i))
		devs[i], err = blockio.OpenDevice(path, blockio.DeviceOptions{Write: true, Create: true, Truncate: true, NoFollow: true, Perm: fileMode})
		if err != nil {
			return a, fmt.Errorf("try what the file system can do: %w", err)
		}
		defer func() { err = errors.Join(err, devs[i].Close(), os.Remove(path)) }()
	}
	p := make([]byte, probeSize)
	for i := range p {
		p[i] = byte(i) | 1
	}
	if _, err = devs[0].WriteAt(p, 0); err == nil {
		err = devs[0].Sync()
	}
	if err != nil {
		return a, fmt.Errorf("try what the file system can do: %w", err)
	}
	err = devs[1].CloneFrom(devs[0])
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return a, fmt.Errorf("try what the file system can do: %w", err)
	}
	a.Reflink = err == nil
	a.Map = true
	for _, err := range devs[0].Places(ctx, 0, probeSize) {
		a.Map = a.Map && err == nil
	}
	return a, nil
}
