package inflate

// NewPortable returns a decoder that uses no assembly.
func NewPortable() *Decoder { return &Decoder{portable: true} }
