//go:build !amd64

package inflate

// fast decodes symbols while both slices have room for a whole round. It reports true at the end of the block.
func (d *Decoder) fast() (bool, error) { return d.fastGeneric() }
