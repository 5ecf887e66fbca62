// Package filter reads what a list request says of the things that are wanted:
// the filter, the order, and the token of the next page.
//
// [Parse] reads a filter: conditions joined by AND, each a field, an operator
// (=, !=, IN, NOT IN) and a string in single or double quotes with the escapes
// of C, or for IN a list of such strings in parentheses. Numbers and truth values
// may stand without quotes. [ParseOrder] reads an order, [ParseCursor] the token
// that [Cursor.Token] wrote.
//
// Everything here comes from strangers: what cannot be read is a *SyntaxError or
// ErrToken, and nothing is allocated beyond a small multiple of the text. Values
// are immutable and safe for concurrent use. What the fields are, and what things
// have in them, is the caller's.
package filter
