package nbd

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
)

// Magic numbers, as doc/proto.md of the NBD project gives them.
const (
	magicServer      = 0x4e42444d41474943 // "NBDMAGIC"
	magicOption      = 0x49484156454f5054 // "IHAVEOPT"
	magicOptionReply = 0x0003e889045565a9
	magicRequest     = 0x25609513
	magicSimple      = 0x67446698
	magicStructured  = 0x668e33ef
)

// Flags of the handshake; the client's have the same bits.
const (
	flagFixedNewstyle = 1 << 0
	flagNoZeroes      = 1 << 1
)

// option is a request of the handshake.
type option uint32

const (
	optExportName      option = 1
	optAbort           option = 2
	optList            option = 3
	optStartTLS        option = 5
	optInfo            option = 6
	optGo              option = 7
	optStructuredReply option = 8
	optListMeta        option = 9
	optSetMeta         option = 10
)

// optionReply is the type of a reply to an option; errors have the top bit.
type optionReply uint32

const (
	repAck         optionReply = 1
	repServer      optionReply = 2
	repInfo        optionReply = 3
	repMetaContext optionReply = 4

	repErrUnsup   optionReply = 1<<31 + 1
	repErrPolicy  optionReply = 1<<31 + 2
	repErrInvalid optionReply = 1<<31 + 3
	repErrTLS     optionReply = 1<<31 + 5
	repErrUnknown optionReply = 1<<31 + 6
	repErrTooBig  optionReply = 1<<31 + 9
)

// Kinds of information in a repInfo.
const (
	infoExport      = 0
	infoName        = 1
	infoDescription = 2
	infoBlockSize   = 3
)

// Flags of an export.
const (
	expHasFlags  = 1 << 0
	expReadOnly  = 1 << 1
	expFlush     = 1 << 2
	expFUA       = 1 << 3
	expTrim      = 1 << 5
	expZeroes    = 1 << 6
	expDF        = 1 << 7
	expMultiConn = 1 << 8
	expCache     = 1 << 10
	expFastZero  = 1 << 11
)

// command is what a request of the transmission phase asks for.
type command uint16

const (
	cmdRead        command = 0
	cmdWrite       command = 1
	cmdDisconnect  command = 2
	cmdFlush       command = 3
	cmdTrim        command = 4
	cmdCache       command = 5
	cmdWriteZeroes command = 6
	cmdBlockStatus command = 7
	commands               = 8
)

func (c command) String() string {
	names := [commands]string{"read", "write", "disconnect", "flush", "trim", "cache", "write_zeroes", "block_status"}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown"
}

// changes says whether the command needs a writable export.
func (c command) changes() bool {
	return c == cmdWrite || c == cmdTrim || c == cmdWriteZeroes
}

// Flags of a request.
const (
	reqFUA      = 1 << 0
	reqNoHole   = 1 << 1
	reqDF       = 1 << 2
	reqOne      = 1 << 3
	reqFastZero = 1 << 4
)

// Chunks of a structured reply.
const (
	chunkDone = 1 << 0 // flag: the last one

	chunkNone        = 0
	chunkOffsetData  = 1
	chunkOffsetHole  = 2
	chunkBlockStatus = 5
	chunkError       = 1<<15 + 1
	chunkErrorOffset = 1<<15 + 2
)

// Flags of an extent in the context base:allocation.
const (
	statusHole = 1 << 0
	statusZero = 1 << 1
)

// baseAllocation is the one metadata context, allocationID its number.
const (
	baseAllocation = "base:allocation"
	allocationID   = 1
)

// errno is an error number of the protocol.
type errno uint32

const (
	errPermission  errno = 1
	errIO          errno = 5
	errNoMemory    errno = 12
	errInvalid     errno = 22
	errNoSpace     errno = 28
	errOverflow    errno = 75
	errUnsupported errno = 95
	errShutdown    errno = 108
)

func (e errno) Error() string {
	if text := unix.ErrnoName(unix.Errno(e)); text != "" {
		return text
	}
	return "error " + strconv.Itoa(int(e))
}

// errnos maps the errors of devices to the protocol's, the first match counts.
// What is not here is an I/O error.
var errnos = []struct {
	err error
	no  errno
}{
	{unix.ENOSPC, errNoSpace},
	{unix.EDQUOT, errNoSpace},
	{unix.EFBIG, errNoSpace},
	{blockio.ErrReadOnly, errPermission},
	{ErrBusy, errPermission},
	{unix.EPERM, errPermission},
	{unix.EROFS, errPermission},
	{unix.ENOMEM, errNoMemory},
	{errors.ErrUnsupported, errUnsupported},
}

func errnoOf(err error) errno {
	var no errno
	if errors.As(err, &no) {
		return no
	}
	for _, e := range errnos {
		if errors.Is(err, e.err) {
			return e.no
		}
	}
	return errIO
}
