package fetch

import "errors"

// Errors of sources; test with errors.Is.
var (
	// ErrURL says that the URL is none that can be fetched: bad syntax, no
	// host, another scheme than http and https, user information.
	ErrURL = errors.New("bad URL")
	// ErrForbidden says that the guard does not allow the address or scheme.
	ErrForbidden = errors.New("not allowed")
	// ErrChanged says that the source is not what it was when it was opened.
	ErrChanged = errors.New("the source changed while it was read")
	// ErrGone says that the server refuses the source for good, or has it no
	// more: another URL is needed.
	ErrGone = errors.New("the server does not give it")
	// ErrTemporary says that the server could not be reached or could not
	// answer, after all attempts: another time it may.
	ErrTemporary = errors.New("temporary failure")
	// ErrTooLarge says that the source is longer than allowed.
	ErrTooLarge = errors.New("too large")
	// ErrProtocol says that the server's answer is none to what was asked.
	ErrProtocol = errors.New("the server misbehaves")
	// ErrNoRanges says that the server gives the source in one stream only, or
	// does not say when it changes, and there is no place to keep it.
	ErrNoRanges = errors.New("the source cannot be read in ranges")
	// ErrChecksum says that the source is not the one that was expected.
	ErrChecksum = errors.New("checksum differs")
	// ErrClosed says that the source was closed before.
	ErrClosed = errors.New("source is closed")
)
