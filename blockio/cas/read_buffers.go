package cas

import (
	"context"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// readBuffers are the buffers that stored bytes are read into. Whoever has one
// waits for the volume only, so one always becomes free.
type readBuffers struct {
	slab *blockio.Buffer
	free chan []byte
}

func newReadBuffers(ctx context.Context, o Options) (*readBuffers, error) {
	slab, err := o.Arena.Get(ctx, o.BufferSize*o.ReadBuffers)
	if err != nil {
		return nil, fmt.Errorf("take %d read buffers of %d bytes: %w", o.ReadBuffers, o.BufferSize, err)
	}
	r := &readBuffers{slab: slab, free: make(chan []byte, o.ReadBuffers)}
	for i := range o.ReadBuffers {
		r.free <- slab.Bytes()[i*o.BufferSize : (i+1)*o.BufferSize : (i+1)*o.BufferSize]
	}
	return r, nil
}

func (r *readBuffers) get() []byte  { return <-r.free }
func (r *readBuffers) put(b []byte) { r.free <- b }
func (r *readBuffers) close()       { r.slab.Release() }
