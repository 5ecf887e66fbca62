package provision

// NewBackingID makes an id of nothing that is there.
var NewBackingID = newBackingID

// FailSync makes the next sync of a directory fail.
func (d *Directory) FailSync(err error) {
	sync := d.syncDir
	d.syncDir = func(string) error {
		d.syncDir = sync
		return err
	}
}

// The record that a file carries.
var (
	EncodeCarried = encodeCarried
	DecodeCarried = decodeCarried
	ErrCarried    = errCarried
)
