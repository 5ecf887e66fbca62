package operation

import "strings"

// Dump gives all values of the database.
func Dump(e *Engine) string {
	var b strings.Builder
	for _, kind := range append([]byte{recordKey}, pendingKeys[:]...) {
		err := e.db.scan(kind, func(id string, value []byte) {
			b.Write(value)
			if _, op, err := decode(id, value); err == nil {
				b.WriteString(op.String())
			}
			b.WriteByte('\n')
		})
		if err != nil {
			panic(err)
		}
	}
	return b.String()
}

// Has says whether the database has an operation.
func Has(e *Engine, id string) bool {
	p, err := e.read(recordKey, id)
	return err == nil && p != nil
}

// WithoutDatabase takes the database away until it is given back.
func WithoutDatabase(e *Engine) (giveBack func()) {
	e.storage.Lock()
	defer e.storage.Unlock()
	db := e.db
	e.db = nil
	return func() {
		e.storage.Lock()
		defer e.storage.Unlock()
		e.db = db
	}
}

// SealOnly keeps a key, as a submission does that a crash ends then.
func SealOnly(e *Engine, id string, request []byte) {
	if _, err := e.secrets.seal(id, request, nil); err != nil {
		panic(err)
	}
}
