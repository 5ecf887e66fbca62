package pool

import "github.com/blockmill/blockmill/blockio/cas"

// Owners names the images and snapshots whose bytes a manifest has, as "image ID"
// and "snapshot ID". Of what was deleted and not collected there are none.
func (n *Node) Owners(m cas.ManifestID) []string {
	var names []string
	for _, img := range n.images.all() {
		if img.Manifest == m {
			names = append(names, "image "+string(img.ID))
		}
	}
	for _, s := range n.snapshots.all() {
		if s.Manifest == m {
			names = append(names, "snapshot "+string(s.ID))
		}
	}
	return names
}
