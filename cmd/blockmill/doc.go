// Command blockmill is the operator's: it works on image files and on stores by
// itself, and on a running node as a client of blockmilld.
//
// Each command is in the file of its name and does no more than read its
// flags, have the work done, and print. Commands on files and those of
// `blockmill store` (store_*.go) do it in this process and hold the store's lock,
// so that they need the daemon stopped. The others (client_*.go) ask the daemon
// by the package remote.
//
// What the commands share: sources (source.go), destinations (target.go), the
// store's directory (storedir.go), the connection to the daemon (client.go),
// printing (output.go), progress (progress.go) and the table of exit statuses
// (exit.go).
package main
