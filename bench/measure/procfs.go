package measure

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
)

// ioCounters is /proc/PID/io. It stays readable after the process has ended,
// until it is reaped, and then includes all that it had waited for itself.
type ioCounters struct {
	read, written         int64
	readCalls, writeCalls int64
}

// readIO returns zeros where the kernel keeps no accounts or denies them.
func readIO(pid string) ioCounters {
	var c ioCounters
	places := map[string]*int64{
		"read_bytes": &c.read, "write_bytes": &c.written,
		"rchar": &c.readCalls, "wchar": &c.writeCalls,
	}
	for key, value := range procFields("/proc/" + pid + "/io") {
		if place := places[key]; place != nil {
			*place, _ = strconv.ParseInt(value, 10, 64)
		}
	}
	return c
}

// peakRSS is VmHWM of a process in bytes, 0 when it is gone.
func peakRSS(pid string) int64 {
	kib, ok := strings.CutSuffix(procFields("/proc/" + pid + "/status")["VmHWM"], " kB")
	if !ok {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(kib), 10, 64)
	return n << 10
}

// procFields reads a file of "key: value" lines.
func procFields(path string) map[string]string {
	p, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	fields := make(map[string]string)
	for s := bufio.NewScanner(bytes.NewReader(p)); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok {
			fields[key] = strings.TrimSpace(value)
		}
	}
	return fields
}

// tick is the unit of /proc/stat, USER_HZ, which is 100 on every Linux that
// Go runs on.
const tick = 10 * time.Millisecond

// machineCPU is the CPU time that the whole machine has spent so far: user,
// nice, system, irq, softirq and what a hypervisor stole.
func machineCPU() time.Duration {
	p, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(p, []byte("\n"))
	var busy time.Duration
	for i, f := range bytes.Fields(line) {
		switch i {
		case 1, 2, 3, 6, 7, 8:
			n, _ := strconv.ParseInt(string(f), 10, 64)
			busy += time.Duration(n) * tick
		}
	}
	return busy
}
