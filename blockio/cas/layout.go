package cas

// The tables of FORMAT.md, added up: a field that changes its size without its
// table does not compile.
const (
	magicSize, versionSize, idSize, sumSize = 8, 4, 16, 8
	frameSize                               = magicSize + versionSize + sumSize
)

var (
	_ [headerSize]byte         = [frameSize + 4 + idSize + cutSize + creatorSize + 24]byte{}
	_ [cutSize]byte            = [6*4 + 8]byte{}
	_ [segmentHeaderSize]byte  = [frameSize + 4 + 2*idSize + 8]byte{}
	_ [segmentFooterSize]byte  = [frameSize + 4 + 2*idSize + 4*8 + 8]byte{}
	_ [recordHeaderSize]byte   = [sumSize + len(chunkMagic) + len(chunkID{}) + 4 + 4 + 4]byte{}
	_ [entrySize]byte          = [len(chunkID{}) + 4*4]byte{}
	_ [manifestHeaderSize]byte = [frameSize + 4 + 2*idSize + 8 + cutSize + 4 + 28]byte{}
	_ [manifestFooterSize]byte = [frameSize + 4 + 2*idSize + len(Digest{}) + 5*8]byte{}
	_ [partHeaderSize]byte     = [sumSize + 8 + 4 + 4]byte{}
	_ [chunkEntrySize]byte     = [4 + 4 + len(chunkID{})]byte{}
	_ [pageSize]byte           = [pageHeaderSize + pagePlaces*placeSize]byte{}
	_ [recordHeadSize]byte     = [frameSize - sumSize + 4 + idSize + 8 + 4*4 + 8]byte{}
	_ [draftHeadSize]byte      = [4 * 8]byte{}
)
