package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool"
)

func (a *app) storeCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check --store S",
		Short: "Check the structure of a store",
		Long: `Check that all records, manifests, directories of segments and the index are
intact and agree. The chunks themselves are not read; verify does that. Exit
status 1 when something is wrong.`,
		Example: `  blockmill store check --store /srv/images`,
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withCatalog(cmd.Context(), func(s *openStore, catalog *pool.Catalog) error {
				report, err := s.Check(cmd.Context())
				if err != nil {
					return fmt.Errorf("check store %s: %w", a.storePath, unwrapAct(err))
				}
				return a.printCheck(report, catalog)
			})
		}),
	}
}

func (a *app) printCheck(report cas.CheckReport, catalog *pool.Catalog) error {
	result := struct {
		Records   int64    `json:"records"`
		Manifests int64    `json:"manifests"`
		Segments  int64    `json:"segments"`
		Chunks    int64    `json:"chunks"`
		Found     int64    `json:"problems_found"`
		Problems  []string `json:"problems"`
	}{report.Records, report.Manifests, report.Segments, report.Chunks, report.Found, []string{}}
	for _, p := range report.Problems {
		result.Problems = append(result.Problems, oneLine(p))
	}
	if err := catalog.Damage(); err != nil && report.Found == 0 {
		result.Found++
		result.Problems = append(result.Problems, oneLine(err))
	}
	err := a.print(result, func(w io.Writer) {
		row(w, "records", result.Records)
		row(w, "manifests", result.Manifests)
		row(w, "segments", result.Segments)
		row(w, "chunks", result.Chunks)
		row(w, "problems", result.Found)
		for _, p := range result.Problems {
			fmt.Fprintln(w, p)
		}
	})
	if err == nil && result.Found > 0 {
		err = fmt.Errorf("check store %s: %d problems, the first: %s", a.storePath, result.Found, result.Problems[0])
	}
	return err
}
