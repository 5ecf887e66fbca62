// Package corpus makes the images that the cases are run on: a Debian system
// (a), the same one upgraded in place with more packages (c), the same release
// laid out separately with still more (b), and a in every format; or the same
// of images that somebody has.
//
// [Make] runs a shell script that is embedded, make.sh. It goes on where an
// earlier one ended, leaves no file half written under its name, and opens the
// network only through apt. One Make at a time may work on a directory.
package corpus
