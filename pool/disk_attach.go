package pool

import (
	"fmt"

	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool/provision"
)

// Attachment says how a virtual machine uses a disk.
type Attachment struct {
	// Path is the disk's file; empty when it is served over NBD only.
	Path   string           `json:"path,omitempty"`
	Format convert.Format   `json:"format"`
	Method provision.Method `json:"method"`
	// NBDURI is its export; empty without a server.
	NBDURI string `json:"nbd_uri,omitempty"`
	// QEMU is an argument for QEMU's command line.
	QEMU string `json:"qemu"`
}

// AttachDisk says how to use a disk. The format is that which it was made with;
// nobody is to probe for it.
func (n *Node) AttachDisk(id DiskID) (Attachment, error) {
	d, err := n.readyDisk(id)
	if err != nil {
		return Attachment{}, err
	}
	dir, err := n.directory(d.Dir)
	if err != nil {
		return Attachment{}, fmt.Errorf("attach disk %s: %w", id, err)
	}
	a := Attachment{Format: d.Format, Method: d.Method}
	if n.opts.NBDURI != nil {
		a.NBDURI = n.opts.NBDURI(id)
	}
	if d.lazy() {
		a.QEMU = fmt.Sprintf("-drive file=%s,format=raw,if=virtio,cache=none", quoteQEMU(a.NBDURI))
		return a, nil
	}
	if err := dir.Present(d.backing()); err != nil {
		return a, fmt.Errorf("attach disk %s: %w", id, err)
	}
	a.Path = dir.Path(d.Backing, d.Format)
	a.QEMU = fmt.Sprintf("-drive file=%s,format=%s,if=virtio,cache=none,discard=unmap", quoteQEMU(a.Path), a.Format)
	return a, nil
}

// quoteQEMU doubles commas, as QEMU's options want it.
func quoteQEMU(s string) string {
	var p []byte
	for i := range len(s) {
		if p = append(p, s[i]); s[i] == ',' {
			p = append(p, ',')
		}
	}
	return string(p)
}
