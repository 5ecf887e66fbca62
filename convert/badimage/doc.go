// Package badimage is how the format readers refuse an image.
//
// Every refusal is an *Error of one of two kinds: ErrCorrupt, the image
// breaks its specification or does not fit into its file; or ErrUnsupported,
// the image may be well-formed and asks for what is not done here: encryption,
// other files, unknown features, sizes beyond a configured limit. A caller
// tells them apart with errors.Is, and all refusals from I/O errors with Is;
// I/O errors of the source are never wrapped as an Error.
//
// The package knows no format.
package badimage
