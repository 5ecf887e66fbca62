package convert

import "io"

// Detect finds the signatures of a source and tells its format.
func Detect(src io.ReaderAt, size int64) (Format, error) {
	found, err := find(src, size)
	if err != nil {
		return "", err
	}
	return detect(found, size)
}
