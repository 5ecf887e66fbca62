package operation

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/blockmill/blockmill/blockio"
)

// keySize is the length of a key, which is AES-256's.
const keySize = 32

// keys seal what pending operations have that is secret: each has a key of its own,
// in a file of its id, which goes when the operation ends. The database never forgets
// what it has once written, but nobody can read that then.
//
// A key is durable before what is sealed with it, and removed after the operation's
// end is durable. What a crash leaves in between goes at the next start, by sweep.
//
// The zero value is for a database in memory, and has no keys.
type keys struct{ dir string }

// openKeys makes the directory of keys in that of the database.
func openKeys(dir string) (keys, error) {
	if dir == "" {
		return keys{}, nil
	}
	k := keys{filepath.Join(dir, "keys")}
	switch err := os.Mkdir(k.dir, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return k, nil
	case err != nil:
		return k, fmt.Errorf("open keys of operations: %w", err)
	}
	return k, blockio.SyncPath(dir)
}

// seal makes a key for an operation and gives its request and private data under it.
func (k keys) seal(id string, request, private []byte) ([]byte, error) {
	key := make([]byte, keySize)
	if k.dir != "" {
		_, _ = rand.Read(key) // which never fails
		if err := k.write(id, key); err != nil {
			return nil, errors.Join(fmt.Errorf("keep key: %w", err), k.remove(id))
		}
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	text := binary.AppendUvarint(nil, uint64(len(request)))
	text = append(append(text, request...), private...)
	return aead.Seal(nil, nil, text, []byte(id)), nil
}

// unseal gives an operation's request and private data; ErrKeyLost.
func (k keys) unseal(id string, sealed []byte) (request, private []byte, err error) {
	key := make([]byte, keySize)
	if k.dir != "" {
		if key, err = os.ReadFile(k.path(id)); errors.Is(err, fs.ErrNotExist) || err == nil && len(key) != keySize {
			return nil, nil, ErrKeyLost
		} else if err != nil {
			return nil, nil, err
		}
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, nil, err
	}
	text, err := aead.Open(nil, nil, sealed, []byte(id))
	if err != nil {
		return nil, nil, ErrKeyLost
	}
	length, n := binary.Uvarint(text)
	if n <= 0 || length > uint64(len(text)-n) {
		return nil, nil, ErrKeyLost
	}
	text = text[n:]
	return text[:length:length], text[length:], nil
}

// newAEAD seals under a key and random nonces, which it puts in front.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (k keys) path(id string) string { return filepath.Join(k.dir, id) }

// write makes a key durable.
func (k keys) write(id string, key []byte) error {
	f, err := os.OpenFile(k.path(id), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(key)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return blockio.SyncPath(k.dir)
}

// remove takes an operation's key away, durably.
func (k keys) remove(id string) error {
	if k.dir == "" {
		return nil
	}
	if err := os.Remove(k.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove key of operation %s: %w", id, err)
	}
	return blockio.SyncPath(k.dir)
}

// sweep removes the keys that no operation needs any more.
func (k keys) sweep(needed func(id string) bool) error {
	if k.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return fmt.Errorf("look for keys of operations: %w", err)
	}
	removed := false
	for _, entry := range entries {
		if needed(entry.Name()) {
			continue
		}
		removed = true
		if err := os.Remove(k.path(entry.Name())); err != nil {
			return fmt.Errorf("remove key of operation %s: %w", entry.Name(), err)
		}
	}
	if !removed {
		return nil
	}
	return blockio.SyncPath(k.dir)
}
