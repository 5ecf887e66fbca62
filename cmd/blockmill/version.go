package main

// version is set by the linker in releases.
var version string
