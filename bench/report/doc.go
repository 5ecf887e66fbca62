// Package report shows results: [HTML] as one page to look at, [Benchstat] as
// text for the benchstat tool, [Markdown] as the table of a document,
// [Compare] as a table of two runs.
//
// All of it is a pure function of the results, so that an old run can be shown
// again. The page holds its plots and style itself and fetches nothing.
package report
