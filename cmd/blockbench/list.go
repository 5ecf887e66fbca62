package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/suite"
	"github.com/spf13/cobra"
)

// outputFlag is how results are printed.
type outputFlag string

const (
	outputTable outputFlag = "table"
	outputJSON  outputFlag = "json"
)

func (o *outputFlag) String() string { return string(*o) }

// Set is of pflag.Value.
func (o *outputFlag) Set(text string) error {
	if f := outputFlag(text); f == outputTable || f == outputJSON {
		*o = f
		return nil
	}
	return fmt.Errorf("bad output %q: want table or json", text)
}

// Type is of pflag.Value.
func (*outputFlag) Type() string { return "FORMAT" }

func listCommand() *cobra.Command {
	output := outputTable
	cmd := &cobra.Command{
		Use:   "list [CASE…]",
		Short: "List the cases, what they show and what they owe",
		RunE: func(cmd *cobra.Command, args []string) error {
			cases, err := suite.Choose(suite.Cases(), args)
			if err != nil {
				return errUsage{err}
			}
			if output == outputJSON {
				return listJSON(cmd.OutOrStdout(), cases)
			}
			return listTable(cmd.OutOrStdout(), cases)
		},
	}
	cmd.Flags().VarP(&output, "output", "o", "table or json")
	return cmd
}

func listTable(w io.Writer, cases []bench.Case) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "CASE\tSHOWS\tPROGRAMS\tOWED")
	for _, c := range cases {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Name, c.Title, strings.Join(programs(c), " "), strings.Join(owed(c), " "))
	}
	return table.Flush()
}

func listJSON(w io.Writer, cases []bench.Case) error {
	type item struct {
		Name     string   `json:"name"`
		Title    string   `json:"title"`
		Shows    string   `json:"shows"`
		Programs []string `json:"programs"`
		Owed     []string `json:"owed"`
	}
	items := make([]item, len(cases))
	for i, c := range cases {
		items[i] = item{c.Name, c.Title, c.Shows, programs(c), owed(c)}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(items)
}

func programs(c bench.Case) []string {
	var names []string
	seen := map[string]bool{"": true}
	for _, contender := range c.Contenders {
		if !seen[contender.Program] {
			names = append(names, contender.Program)
		}
		seen[contender.Program] = true
	}
	return names
}

func owed(c bench.Case) []string {
	var out []string
	for _, g := range c.Goals {
		switch {
		case g.AtLeast > 0 && len(g.Versus) > 0:
			out = append(out, fmt.Sprintf("≥%g×", g.AtLeast))
		case g.AtLeast > 0:
			out = append(out, "≥"+g.Metric.Format(g.AtLeast))
		case len(g.Versus) > 0:
			out = append(out, fmt.Sprintf("≤%g×", g.AtMost))
		default:
			out = append(out, "≤"+g.Metric.Format(g.AtMost))
		}
	}
	return out
}
