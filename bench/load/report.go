package load

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// Report is how a daemon answered: all requests, and those of each act.
type Report struct {
	Seconds float64 `json:"seconds"`
	Answers
	Acts []ActAnswers `json:"acts"`
}

// Answers are how many requests were answered and how soon. Times are those of
// the requests that succeeded.
type Answers struct {
	Requests int     `json:"requests"`
	Errors   int     `json:"errors"`
	Rate     float64 `json:"rate"` // answers a second
	P50      float64 `json:"p50_seconds"`
	P90      float64 `json:"p90_seconds"`
	P99      float64 `json:"p99_seconds"`
	Max      float64 `json:"worst_seconds"`
	// FirstError is what one of the errors said.
	FirstError string `json:"first_error,omitempty"`
}

// ActAnswers are those of one act.
type ActAnswers struct {
	Name string `json:"name"`
	Answers
}

func report(acts []Act, calls [][]call, took time.Duration) Report {
	all := slices.Concat(calls...)
	r := Report{Seconds: took.Seconds(), Answers: answers(all, took)}
	for i, a := range acts {
		own := slices.DeleteFunc(slices.Clone(all), func(c call) bool { return c.act != i })
		if len(own) > 0 {
			r.Acts = append(r.Acts, ActAnswers{a.Name, answers(own, took)})
		}
	}
	return r
}

func answers(calls []call, took time.Duration) Answers {
	a := Answers{Requests: len(calls)}
	var times []time.Duration
	for _, c := range calls {
		if c.err == nil {
			times = append(times, c.took)
			continue
		}
		if a.Errors == 0 {
			a.FirstError = c.err.Error()
		}
		a.Errors++
	}
	slices.Sort(times)
	a.Rate = float64(len(times)) / took.Seconds()
	a.P50, a.P90, a.P99, a.Max = quantile(times, 0.5), quantile(times, 0.9), quantile(times, 0.99), quantile(times, 1)
	return a
}

// quantile is the least time that so large a share of the sorted times does
// not exceed.
func quantile(times []time.Duration, share float64) float64 {
	if len(times) == 0 {
		return 0
	}
	i := int(share*float64(len(times))+0.9999999) - 1
	return times[min(max(i, 0), len(times)-1)].Seconds()
}

// Table writes the report for people.
func (r Report) Table(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "ACT\tREQUESTS\tERRORS\tA SECOND\tP50\tP90\tP99\tWORST\t")
	for _, a := range append(r.Acts, ActAnswers{"all", r.Answers}) {
		fmt.Fprintf(table, "%s\t%d\t%d\t%.0f\t%s\t%s\t%s\t%s\t\n", a.Name, a.Requests, a.Errors, a.Rate,
			milliseconds(a.P50), milliseconds(a.P90), milliseconds(a.P99), milliseconds(a.Max))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if r.FirstError != "" {
		fmt.Fprintf(w, "an error: %s\n", r.FirstError)
	}
	return nil
}

func milliseconds(s float64) string { return fmt.Sprintf("%.2f ms", s*1e3) }
