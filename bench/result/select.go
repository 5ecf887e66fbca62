package result

import "slices"

// Select returns the values of one metric by round, of samples that
// succeeded.
func (c *Case) Select(contender, step string, cache Cache, m Metric) []float64 {
	var xs []float64
	for _, s := range c.Samples {
		if s.Contender != contender || s.Step != step || s.Cache != cache || s.Error != "" {
			continue
		}
		if v, ok := s.Values[m]; ok {
			xs = append(xs, v)
		}
	}
	return xs
}

// Failures returns the samples that failed.
func (c *Case) Failures() []Sample {
	var failed []Sample
	for _, s := range c.Samples {
		if s.Error != "" {
			failed = append(failed, s)
		}
	}
	return failed
}

// Has reports whether a contender has a command for a step.
func (c *Contender) Has(step string) bool {
	return slices.ContainsFunc(c.Commands, func(cmd Command) bool { return cmd.Step == step })
}

// Find returns the case of a name, or nil.
func (r *Run) Find(name string) *Case {
	for i := range r.Cases {
		if r.Cases[i].Name == name {
			return &r.Cases[i]
		}
	}
	return nil
}

// Ours is the name of the contender that the others are compared with, or "".
func (c *Case) Ours() string {
	for _, contender := range c.Contenders {
		if contender.Ours {
			return contender.Name
		}
	}
	return ""
}
