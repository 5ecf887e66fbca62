package badgerdb

import (
	"fmt"
	"log/slog"
)

// logger passes Badger's messages on: its problems as they are, the rest only for
// debugging.
type logger struct {
	name string
	log  *slog.Logger
}

func (l logger) Errorf(f string, v ...any)   { l.log.Error(l.text(f, v)) }
func (l logger) Warningf(f string, v ...any) { l.log.Warn(l.text(f, v)) }
func (l logger) Infof(f string, v ...any)    { l.log.Debug(l.text(f, v)) }
func (l logger) Debugf(string, ...any)       {}

func (l logger) text(f string, v []any) string { return l.name + ": " + fmt.Sprintf(f, v...) }
