package auth

import "github.com/blockmill/blockmill/pool"

// Unknown tells which parts of a binding mean nothing on a thing of a kind, so that
// nobody would get a role by it: the role, the type of the subject, or the id of one
// that is of type System. Accounts need not exist.
func Unknown(on Kind, b pool.Binding) (role, kind, id bool) {
	g, _ := ParseRole(b.Role)
	system := b.SubjectType == System
	return g.On(on) == None, !system && !isAccount(b.SubjectType), system && !isEverybody(b.SubjectID)
}
