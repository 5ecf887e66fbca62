// Package measure runs a child process and says what it cost: wall time, CPU
// time, peak memory, and bytes read and written. It also puts the page cache
// into a known state before a run, and brings what a run wrote onto the disk
// after it.
//
// [Run] is the heart. It reads the kernel's own accounts of the process at the
// moment when it has ended and is not yet reaped: nothing is traced, and
// nothing is lost between two polls. The one exception is the peak memory of a
// child smaller than the caller's own peak, which is polled. Descendants that
// the child waited for are counted with it.
//
// The functions share no state and may be used concurrently, but then measure
// each other's noise. Linux only.
package measure
