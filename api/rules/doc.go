// Package rules holds requests against the rules of their fields.
//
// [Check] looks the message up in one table, which has a line for every field
// that has a rule, and answers with every violation at once, as
// google.rpc.BadRequest in an INVALID_ARGUMENT status. The rules are those that
// the API's protos tell in their comments; where the protos leave a field
// unbounded that is stored, the table bounds it.
//
// Lengths count characters, patterns match whole strings. What takes more than
// the message to decide (names that are taken, sizes of sources) is not decided
// here. The package has no state.
package rules
