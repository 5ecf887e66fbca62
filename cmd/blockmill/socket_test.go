package main

import (
	"net"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// waitSocketCommand is "waitsocket PATH": waits until someone listens there.
func waitSocketCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitsocket PATH")
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 12_000 {
		c, err := net.Dial("unix", ts.MkAbs(args[0]))
		if err == nil {
			ts.Check(c.Close())
			return
		}
		<-tick.C
	}
	ts.Fatalf("nobody listens at %s", args[0])
}
