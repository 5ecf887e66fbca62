// Command blockmill converts disk images and works on a store of them,
// without a daemon.
//
// Each command is in the file of its name and does no more than read its
// flags, call the packages convert, pool and blockio/cas, and print. What the
// commands share: sources (source.go), destinations (target.go), the store's
// directory (storedir.go), printing (output.go), progress (progress.go) and
// the table of exit statuses (exit.go).
package main
