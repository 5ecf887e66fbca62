// Package blake3 computes unkeyed BLAKE3 digests of 32 bytes of data that is in memory.
//
// With AVX-512 it hashes 16 chunks of 1 KiB at a time, from one input ([Sum256]) or from several ([SumMany]); without
// it calls github.com/zeebo/blake3. Nothing is allocated, and calls may run concurrently.
package blake3
