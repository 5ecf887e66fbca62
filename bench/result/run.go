package result

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Schema is the version of the JSON form.
const Schema = 1

// Run is one run of the bench harness.
type Run struct {
	Schema   int       `json:"schema"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Rounds   int       `json:"rounds"`
	Machine  Machine   `json:"machine"`
	Programs []Program `json:"programs"`
	Cases    []Case    `json:"cases"`
}

// Machine is where a run was made.
type Machine struct {
	OS         string `json:"os"`
	Kernel     string `json:"kernel"`
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Memory     int64  `json:"memory_bytes"`
	FileSystem string `json:"file_system"` // of the scratch directory
}

// Program is a measured program. Version is empty when it is not installed.
type Program struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// Cache is the state of the page cache, as to a command's inputs, before it
// runs.
type Cache string

// The states of the page cache.
const (
	Cold Cache = "cold"
	Warm Cache = "warm"
)

// Case is one question put to several contenders.
type Case struct {
	Name       string      `json:"name"`  // "convert/qcow2-raw"
	Title      string      `json:"title"` // a line
	Shows      string      `json:"shows"` // a sentence or two
	Metric     Metric      `json:"metric"`
	Caches     []Cache     `json:"caches"`
	Steps      []string    `json:"steps"`
	Contenders []Contender `json:"contenders"`
	Samples    []Sample    `json:"samples"`
	Goals      []Goal      `json:"goals,omitempty"`
	// Text is what a case printed instead of samples: Go's benchmarks.
	Text string `json:"text,omitempty"`
}

// Contender is a way of doing what a case asks.
type Contender struct {
	Name    string `json:"name"`
	Program string `json:"program"`
	Ours    bool   `json:"ours,omitempty"`
	// Missing says why it did not run.
	Missing  string    `json:"missing,omitempty"`
	Commands []Command `json:"commands,omitempty"`
}

// Command is a command line as a reader may repeat it.
type Command struct {
	Step string `json:"step"`
	Line string `json:"line"`
}

// Sample is one measured execution.
type Sample struct {
	Contender string `json:"contender"`
	Step      string `json:"step"`
	Cache     Cache  `json:"cache"`
	Round     int    `json:"round"` // from 0
	// Error is empty when the command succeeded and its output was right.
	Error string `json:"error,omitempty"`
	// Values are the measured ones, and what the program itself reported.
	Values map[Metric]float64 `json:"values"`
}

// Goal is what a case owes, and what came of it.
type Goal struct {
	Text  string  `json:"text"`
	Cache Cache   `json:"cache"`
	Step  string  `json:"step"`
	Owed  float64 `json:"owed"`
	// AtMost says that less is better than Owed; otherwise more is.
	AtMost bool   `json:"at_most,omitempty"`
	Unit   Metric `json:"unit,omitempty"` // of an absolute goal; a ratio has none
	// Versus is the contender compared with: the best of those asked for.
	Versus string `json:"versus,omitempty"`
	// Limit is where the owed line stands among the case's own values.
	Limit float64 `json:"limit,omitempty"`
	// Value is nil when a side has no samples, and then Reason says why.
	Value  *float64 `json:"value,omitempty"`
	Reason string   `json:"reason,omitempty"`
	// Low and High span the values of the single rounds.
	Low  float64 `json:"low,omitempty"`
	High float64 `json:"high,omitempty"`
	Met  bool    `json:"met"`
}

// Load reads a run that Save wrote.
func Load(path string) (*Run, error) {
	p, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Run
	if err := json.Unmarshal(p, &r); err != nil {
		return nil, fmt.Errorf("read results %s: %w", path, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("read results %s: schema %d, want %d", path, r.Schema, Schema)
	}
	return &r, nil
}

// Save writes the run as JSON.
func (r *Run) Save(path string) error {
	p, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write results %s: %w", path, err)
	}
	return os.WriteFile(path, append(p, '\n'), 0o644)
}
