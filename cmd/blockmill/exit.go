package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/cmd/blockmill/remote"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/fetch"
	"github.com/blockmill/blockmill/pool"
)

// The exit statuses.
const (
	exitDone      = 0
	exitFailed    = 1 // or the images differ, or damage was found
	exitUsage     = 2
	exitBadInput  = 3 // the input is broken, hostile or unsupported
	exitTemporary = 4 // try again
)

// statuses maps errors to exit statuses, the first match counts. What is not
// here is exitFailed.
func statuses() []struct {
	err    error
	status int
} {
	return []struct {
		err    error
		status int
	}{
		{convert.ErrFormat, exitUsage},
		{convert.ErrOption, exitUsage},
		{convert.ErrExtents, exitUsage},
		{pool.ErrName, exitUsage},
		{badimage.ErrCorrupt, exitBadInput},
		{badimage.ErrUnsupported, exitBadInput},
		{errDigest, exitBadInput},
		{fetch.ErrURL, exitUsage},
		{fetch.ErrForbidden, exitBadInput},
		{fetch.ErrProtocol, exitBadInput},
		{fetch.ErrTooLarge, exitBadInput},
		{fetch.ErrNoRanges, exitBadInput},
		{fetch.ErrChecksum, exitBadInput},
		{fetch.ErrChanged, exitTemporary},
		{fetch.ErrTemporary, exitTemporary},
		{blockio.ErrLocked, exitTemporary},
		{cas.ErrLocked, exitTemporary},
		{syscall.EAGAIN, exitTemporary},
		{syscall.EBUSY, exitTemporary},
	}
}

func exitStatus(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	for _, s := range statuses() {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return daemonStatus(err)
}

// daemonStatus is the exit status for what a daemon answered.
func daemonStatus(err error) int {
	switch remote.Reason(err) {
	case "DIGEST_DIFFERS", "CHECKSUM_DIFFERS", "SOURCE_MISBEHAVES", "SOURCE_WITHOUT_RANGES":
		return exitBadInput
	case "SOURCE_CHANGED":
		return exitTemporary
	}
	_, ended := errors.AsType[*remote.OperationError](err)
	switch status.Code(err) {
	case codes.InvalidArgument:
		if ended { // the request was taken; what it named was not
			return exitBadInput
		}
		return exitUsage
	case codes.Unavailable, codes.Aborted, codes.ResourceExhausted, codes.DeadlineExceeded:
		return exitTemporary
	}
	return exitFailed
}

// usageError is a command line that asks for what cannot be.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errDiffers is the status of a command whose answer, already printed, is no.
var errDiffers = errors.New("")

// oneLine is the message of an error, in one line whatever is in it.
func oneLine(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok && strings.HasSuffix(err.Error(), path.Error()) {
		err = errors.New(strings.TrimSuffix(err.Error(), path.Error()) + path.Error())
	}
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
}

// unwrapAct drops the outermost act of an error, for a caller that names the
// act together with its object.
func unwrapAct(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
