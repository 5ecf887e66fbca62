package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// progressMode is how progress is shown.
type progressMode string

const (
	progressAuto progressMode = "auto"
	progressJSON progressMode = "json"
	progressNone progressMode = "none"
)

func (p *progressMode) String() string { return string(*p) }

// Set is of pflag.Value.
func (p *progressMode) Set(text string) error {
	switch progressMode(text) {
	case progressAuto, progressJSON, progressNone:
		*p = progressMode(text)
		return nil
	}
	return fmt.Errorf("bad progress %q: want auto, json or none", text)
}

// Type is of pflag.Value.
func (*progressMode) Type() string { return "MODE" }

// showProgress begins to show the progress of an act. It gives the function
// to report with, nil when nothing is to be shown, and one that ends it.
func (a *app) showProgress(act string) (report func(done, total int64), stop func()) {
	switch a.progress {
	case progressNone:
		return nil, func() {}
	case progressJSON:
		lines := &progressLines{w: a.stderr, act: act, start: time.Now()}
		return lines.report, lines.stop
	case progressAuto:
	}
	if f, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return progressBar(f, act)
	}
	return nil, func() {}
}

// progressBar draws a bar.
func progressBar(w io.Writer, act string) (report func(done, total int64), stop func()) {
	p := mpb.New(mpb.WithOutput(w), mpb.WithWidth(60))
	bar := p.AddBar(0,
		mpb.PrependDecorators(decor.Name(act+" ")),
		mpb.AppendDecorators(
			decor.Percentage(decor.WC{W: 5}),
			decor.CountersKibiByte("  % .1f / % .1f"),
			decor.AverageSpeed(decor.SizeB1024(0), "  % .0f"),
			decor.AverageETA(decor.ET_STYLE_MMSS, decor.WC{W: 7}),
		))
	report = func(done, total int64) {
		bar.SetTotal(total, false)
		bar.SetCurrent(done)
	}
	return report, func() {
		bar.Abort(true)
		p.Wait()
	}
}

// progressEvery is the least time between two lines of progress.
const progressEvery = 200 * time.Millisecond

// progressLines writes progress as lines of JSON: some on the way, one at the
// end.
type progressLines struct {
	w     io.Writer
	act   string
	start time.Time

	mu          sync.Mutex
	last        time.Time
	done, total int64
}

func (l *progressLines) report(done, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done, l.total = done, total
	if now := time.Now(); now.Sub(l.last) >= progressEvery {
		l.last = now
		l.line()
	}
}

func (l *progressLines) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line()
}

// line writes one line; mu is held.
func (l *progressLines) line() {
	b, err := json.Marshal(struct {
		Act     string  `json:"act"`
		Done    int64   `json:"done"`
		Total   int64   `json:"total"`
		Seconds float64 `json:"seconds"`
	}{l.act, l.done, l.total, time.Since(l.start).Seconds()})
	if err == nil {
		fmt.Fprintf(l.w, "%s\n", b)
	}
}
