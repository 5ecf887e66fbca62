// Package export offers the images, snapshots and disks of a node to NBD
// clients.
//
// The type to know is [Exports], which an nbd.Server serves. The exports are
// image/NAME, snapshot/NAME and disk/NAME, where NAME is an id, or a name that
// one folder alone has among those that the client may see.
//
// # Invariants
//
//   - Images and snapshots are read only. So is a disk that is an overlay: its
//     hypervisor reads the file itself.
//   - Of a disk one client at a time writes; all connections of a client count
//     as one. It takes the disk with its first change and has it until its last
//     connection that wrote ends: then the disk is synced. Snapshots and
//     deletion are refused meanwhile, and growth as long as anybody has the disk
//     open.
//   - A client's first change waits, for a while, for who has the disk.
//
// All methods are safe for concurrent use.
package export
