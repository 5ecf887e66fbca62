// Package blockmillpb is the protocol of Blockmill's own small service, package
// blockmill.v1, generated from blockmill.proto: what the public image API has no
// words for.
package blockmillpb

//go:generate bash generate
