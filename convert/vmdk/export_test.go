package vmdk

// ParseMarker gives tests the fields of a marker.
func ParseMarker(p []byte) (val uint64, size, kind uint32) {
	m := parseMarker(p)
	return m.val, m.size, m.kind
}
