// Package ready keeps disks ready for images that ask for it, as many as their
// demand wants.
//
// The types to know are [Stock], the pools of a node, and [Maker], which makes
// the disks. [Stock.Open] begins the pool of an image, [Stock.Take] takes a disk
// from it, [Stock.Close] ends it.
//
// # How many
//
// Every create is noted, whether it found a disk or not, and how many disks
// would have had to be ready for it to find one: those taken before it that
// refilling had not yet replaced, and its own. The target is the quantile of
// those needs over a sliding window of observed creates, plus one. Poisson's
// formula, which knows the mean alone, has far too few for bursts. [Demand] is
// the rule.
//
// # Invariants
//
//   - A disk is given out once. Who takes one keeps it, returns or discards it
//     ([Taken]), or keeps silent about it: then a restart sorts it out.
//   - Creates that wait are served in their order, and before stock.
//   - Refilling starts with the event that made it needed, never with a clock;
//     it is bounded per image, per node in number and bytes, and gives way to
//     foreground work ([Stock.Foreground]) unless a create waits for it.
//
// # Concurrency
//
// All methods are safe for concurrent use. Refills run in goroutines that
// [Stock.Stop] ends and waits for. Nothing is locked while a Maker works.
package ready
