package release

// For tests: what would be said of another build.
var LineOf = line
