package result

import (
	"fmt"
	"strconv"
)

// Metric names a measured value. Its unit is the end of its name.
type Metric string

// What is measured of every command. Programs add their own by their JSON.
const (
	// Total is Wall and Settle: the time until the data is on disk.
	Total       Metric = "total_seconds"
	Wall        Metric = "wall_seconds"
	Settle      Metric = "settle_seconds" // the sync after the command
	CPU         Metric = "cpu_seconds"
	User        Metric = "user_seconds"
	Sys         Metric = "sys_seconds"
	Others      Metric = "others_seconds" // CPU time of all else meanwhile
	MaxRSS      Metric = "max_rss_bytes"
	Read        Metric = "read_bytes"
	Written     Metric = "written_bytes"
	ReadCalls   Metric = "read_calls_bytes"
	WriteCalls  Metric = "write_calls_bytes"
	Output      Metric = "output_bytes"       // allocated to what it wrote
	OutputAdded Metric = "output_added_bytes" // by this command alone
	StayedWarm  Metric = "stayed_warm_bytes"  // of inputs that should be cold
	NewBytes    Metric = "new_bytes"
	NewChunks   Metric = "new_chunks"
	MeanChunk   Metric = "mean_chunk_bytes"
)

// Format writes a value in the unit of its metric: "1.42 s", "83 MiB".
func (m Metric) Format(v float64) string {
	switch {
	case hasSuffix(m, "seconds"):
		return seconds(v)
	case hasSuffix(m, "bytes"):
		return bytes(v)
	case m == "":
		return strconv.FormatFloat(v, 'f', 2, 64) + "×"
	default:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
}

func hasSuffix(m Metric, unit string) bool {
	return len(m) >= len(unit) && string(m[len(m)-len(unit):]) == unit
}

func seconds(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f s", v)
	case v >= 10:
		return fmt.Sprintf("%.1f s", v)
	case v >= 0.9995: // which three digits round to 1
		return fmt.Sprintf("%.2f s", v)
	case v >= 0.9995e-3:
		return fmt.Sprintf("%.3g ms", v*1e3)
	default:
		return fmt.Sprintf("%.3g µs", v*1e6)
	}
}

func bytes(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for v >= 1000 && i < len(units)-1 {
		v /= 1024
		i++
	}
	if i == 0 || v >= 100 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.3g %s", v, units[i])
}
