// Package badgerdb opens Badger databases that are small and kept beside the data they
// are about: Options are what such databases have in common, and Open opens one, or says
// in an error what Badger would panic over. All values lie beside their keys, and every
// write is synced.
//
// It locks nothing and removes no database: what is to be done about one that cannot be
// opened is for its owner to say. The functions are safe for concurrent use; a directory
// is opened once at a time.
package badgerdb
