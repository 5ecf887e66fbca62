package server

import "time"

// Limits bound what clients can take; the zero value has the defaults.
type Limits struct {
	// Connections is how many a listener has at once; by default 1,024. Those on
	// which nobody known has called make room for others.
	Connections int
	// Streams is how many calls a gRPC connection has at once; by default 128.
	Streams int
	// Calls and Requests are how many calls of gRPC, on all connections, and
	// requests of REST are under way at once; by default 1,024 and 128. Half of
	// the calls may be streams, which can last, and an eighth of either may be
	// those of callers whom nobody knows.
	Calls, Requests int
	// SubjectCalls and SubjectRequests are how many of those one subject has, on
	// all its connections; by default a quarter. Where nobody knows who calls,
	// they are for one connection. Half of the calls may be streams.
	SubjectCalls, SubjectRequests int
	// MessageBytes and HeaderBytes bound what is received; by default 512 KiB
	// and 16 KiB.
	MessageBytes, HeaderBytes int
	// Handshake is the time for a connection to become one; by default 10 s.
	Handshake time.Duration
	// Receive is the time for the message of a call, or a request with its body,
	// to come; by default 1 min. Answers have it too, and a second more for each
	// 64 KiB: a call keeps its place until its answer has gone out.
	Receive time.Duration
	// Idle is how long a connection without calls is kept; by default 15 min.
	Idle time.Duration
	// Ping is the least time between a client's keepalive pings; by default
	// 10 s. One that sends them faster is disconnected.
	Ping time.Duration
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		value *int
		n     int
	}{
		{&l.Connections, 1024},
		{&l.Streams, 128},
		{&l.Calls, 1024},
		{&l.Requests, 128},
		{&l.MessageBytes, 512 << 10},
		{&l.HeaderBytes, 16 << 10},
	} {
		if *d.value <= 0 {
			*d.value = d.n
		}
	}
	for _, d := range []struct {
		value *int
		of    int
	}{{&l.SubjectCalls, l.Calls}, {&l.SubjectRequests, l.Requests}} {
		if *d.value <= 0 {
			*d.value = max(1, d.of/subjectShare)
		}
	}
	for _, d := range []struct {
		value *time.Duration
		t     time.Duration
	}{{&l.Handshake, 10 * time.Second}, {&l.Receive, time.Minute}, {&l.Idle, 15 * time.Minute}, {&l.Ping, 10 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.t
		}
	}
	return l
}

// Of what may be under way at once, one in so many.
const (
	streamShare   = 2
	strangerShare = 8
	subjectShare  = 4
)
