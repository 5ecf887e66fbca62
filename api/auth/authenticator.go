package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/blockmill/blockmill/pool"
)

// ErrAccounts says that a configuration of accounts makes no sense.
var ErrAccounts = errors.New("bad accounts")

// Account is a subject in the configuration, and how it is known: any of these.
type Account struct {
	// ID names it; Type is UserAccount when empty.
	ID, Type string
	// Folders are its roles, by folder or EveryFolder.
	Folders map[pool.FolderID]Grant
	// TokenSHA256 are the SHA-256 of its bearer tokens, in hexadecimal.
	TokenSHA256 []string
	// Certificates are the names of its client certificates: a subject's
	// common name, or a URI or DNS name among the alternative ones.
	Certificates []string
	// UIDs and GIDs are its local users and groups, at a Unix socket.
	UIDs, GIDs []uint32
}

// Peer is what is known of the other end of a connection and its request.
type Peer struct {
	// UID and GID are those of a local socket's peer, if Socket.
	Socket   bool
	UID, GID uint32
	// Loopback says that it is on this machine, or at a local socket.
	Loopback bool
	// Certificates is the verified chain of the client's, its own first.
	Certificates []*x509.Certificate
	// Token is the bearer token, "" without one.
	Token string
	// Connection tells its connection from the others of its server; 0 is none.
	Connection uint64
}

// Authenticator tells who a peer is. The zero value knows nobody.
type Authenticator struct{ table atomic.Pointer[table] }

// table is the accounts by what they are known by.
type table struct {
	open     bool
	tokens   []tokenEntry
	names    map[string]Subject
	uids     map[uint32]Subject
	gids     map[uint32]Subject
	operator Subject
}

type tokenEntry struct {
	sum     [sha256.Size]byte
	subject Subject
}

// Open makes every local caller an admin of every folder, and everybody else
// nobody.
func (a *Authenticator) Open() {
	a.table.Store(&table{open: true, operator: operator()})
}

// SetAccounts replaces the accounts, when they make sense; ErrAccounts. Root and the
// process's own user, who have the files of the store anyway, are admins of every
// folder at the local socket.
func (a *Authenticator) SetAccounts(accounts []Account) error {
	t := &table{
		names: make(map[string]Subject), uids: make(map[uint32]Subject), gids: make(map[uint32]Subject),
		operator: operator(),
	}
	seen := make(map[string]bool)
	for _, u := range accounts {
		if u.ID == Operator || u.ID == Node {
			return fmt.Errorf("%w: the id %q is the node's own: take another", ErrAccounts, u.ID)
		}
		if u.ID == "" || seen[u.ID] {
			return fmt.Errorf("%w: id %q is empty or comes twice", ErrAccounts, u.ID)
		}
		seen[u.ID] = true
		if err := t.add(u); err != nil {
			return err
		}
	}
	a.table.Store(t)
	return nil
}

func (t *table) add(u Account) error {
	s := Subject{ID: u.ID, Type: u.Type, Folders: u.Folders}
	if s.Type == "" {
		s.Type = UserAccount
	}
	if !isAccount(s.Type) {
		return fmt.Errorf("%w: %s: type %q, want %s, %s or %s", ErrAccounts, u.ID, u.Type, UserAccount, ServiceAccount, FederatedUser)
	}
	for _, text := range u.TokenSHA256 {
		sum, err := hex.DecodeString(text)
		if err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("%w: %s: a token's SHA-256 is %d hexadecimal digits", ErrAccounts, u.ID, 2*sha256.Size)
		}
		t.tokens = append(t.tokens, tokenEntry{[sha256.Size]byte(sum), s})
	}
	err := errors.Join(
		addAll(t.names, u.Certificates, s),
		addAll(t.uids, u.UIDs, s),
		addAll(t.gids, u.GIDs, s),
	)
	return err
}

func addAll[K comparable](into map[K]Subject, keys []K, s Subject) error {
	for _, k := range keys {
		if other, taken := into[k]; taken {
			return fmt.Errorf("%w: %v is both %s and %s", ErrAccounts, k, other.ID, s.ID)
		}
		into[k] = s
	}
	return nil
}

// The ids that no account may have: that of root and the process's own user at the
// local socket, and that of operations which the node submits itself.
const (
	Operator = "operator"
	Node     = "blockmilld"
)

// operator is the subject of those who have the node in their hands.
func operator() Subject {
	return Subject{ID: Operator, Type: UserAccount, Folders: map[pool.FolderID]Grant{EveryFolder: {Role: Admin}}}
}

// Authenticate tells who a peer is; ErrUnauthenticated.
func (a *Authenticator) Authenticate(p Peer) (Subject, error) {
	t := a.table.Load()
	if t == nil {
		return Subject{}, ErrUnauthenticated
	}
	s, err := t.find(p)
	if err != nil {
		return Subject{}, err
	}
	s.UID, s.GID, s.Local = p.UID, p.GID, p.Socket
	return s, nil
}

func (t *table) find(p Peer) (Subject, error) {
	if t.open {
		if !p.Loopback {
			return Subject{}, fmt.Errorf("%w: only callers on this machine are known", ErrUnauthenticated)
		}
		s := t.operator
		s.Anybody = true
		return s, nil
	}
	if p.Token != "" {
		return t.byToken(p.Token)
	}
	if len(p.Certificates) > 0 {
		for _, name := range namesOf(p.Certificates[0]) {
			if s, ok := t.names[name]; ok {
				return s, nil
			}
		}
		return Subject{}, fmt.Errorf("%w: the certificate's names are nobody's", ErrUnauthenticated)
	}
	if !p.Socket {
		return Subject{}, fmt.Errorf("%w: neither a token nor a certificate was given", ErrUnauthenticated)
	}
	if s, ok := t.uids[p.UID]; ok {
		return s, nil
	}
	if s, ok := t.gids[p.GID]; ok {
		return s, nil
	}
	if p.UID == 0 || int(p.UID) == os.Geteuid() {
		return t.operator, nil
	}
	return Subject{}, fmt.Errorf("%w: uid %d is nobody's", ErrUnauthenticated, p.UID)
}

// byToken compares with every token, so that its time tells nothing.
func (t *table) byToken(token string) (Subject, error) {
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range t.tokens {
		if subtle.ConstantTimeCompare(t.tokens[i].sum[:], sum[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Subject{}, fmt.Errorf("%w: the token is not known", ErrUnauthenticated)
	}
	return t.tokens[found].subject, nil
}

// namesOf are the names that a certificate may be known by.
func namesOf(c *x509.Certificate) []string {
	var names []string
	if c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return append(names, c.DNSNames...)
}

// BearerToken reads the value of an Authorization header; "" when it is no
// bearer token.
func BearerToken(header string) string {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
