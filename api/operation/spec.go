package operation

import (
	"crypto/sha256"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
)

// Spec says what operation to submit.
type Spec struct {
	// Kind is that of a registered handler.
	Kind string
	// Folder is whose operation it is: for the order of the queue, and for
	// lists.
	Folder string
	// Description is shown.
	Description string
	// CreatedBy is the caller, shown too.
	CreatedBy string
	// ResourceID is what the operation is about; Metadata the message that
	// says so. Reserve can give both instead.
	ResourceID string
	Metadata   proto.Message
	// Request is what the handler reads. It is private, as Private is: beside
	// the operation until that ends, and never shown.
	Request proto.Message
	Private []byte
	// Secret says that they hold what nobody may find once the operation has
	// ended, such as a signed address: on disk they are under a key that goes
	// with it. That costs the submission two more syncs, so an inline
	// operation, which ends at once, has none.
	Secret bool
	// IdempotencyKey names the request among those of its caller; empty
	// means that it has no name.
	IdempotencyKey string
	// Inline runs the handler at once in the caller, for work of
	// milliseconds: the operation is done when Submit returns.
	Inline bool
	// Kept says that the handler of an inline operation makes Running.Submission
	// durable together with what it makes, and that Engine.Recover is given it
	// after a restart: one write instead of two.
	Kept bool
	// Reserve, if set, is called once the operation is known to be new and
	// welcome, before it is durable. Its error is Submit's.
	Reserve func(Ticket) (Reservation, error)
}

// Ticket is what an operation has before it is durable, and keeps.
type Ticket struct {
	ID        string
	CreatedAt time.Time
}

func (j *job) ticket() Ticket { return Ticket{j.id, j.created} }

// Reservation is what Spec.Reserve took for an operation.
type Reservation struct {
	ResourceID string
	Metadata   proto.Message
	// Release, if set, undoes it: it is called when the operation could not be
	// made durable. Later that is for the handler.
	Release func()
}

// digest identifies the kind and request behind an idempotency key.
func (s *Spec) digest(request []byte) [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d ", s.Kind, len(request))
	h.Write(request)
	h.Write(s.Private)
	return [32]byte(h.Sum(nil))
}

// scope is the key among those of all callers.
func (s *Spec) scope() keyScope { return keyScope{s.CreatedBy, s.IdempotencyKey} }

// keyScope is an idempotency key and whose it is: callers learn nothing from one
// another's keys.
type keyScope struct{ caller, key string }

// marshal gives the same bytes for the same message within one build; across
// builds protobuf does not promise that, and then a repeated key may be
// refused.
func marshal(m proto.Message) ([]byte, error) {
	if m == nil {
		return nil, nil
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}
