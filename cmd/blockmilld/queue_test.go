package main

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
)

// TestQueue queues imports behind some that get no answer, cancels all, and holds
// what the daemon has open against what it had before. BLOCKMILL_QUEUE says how
// many.
func TestQueue(t *testing.T) {
	count := 500
	if s := os.Getenv("BLOCKMILL_QUEUE"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		count = n
	}
	p := newProcess(t).start()
	source := offer(t, disk(mib, 1))
	asked := make(chan struct{}, 1)
	source.gate = func(r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}
	all := func(f func(i int)) {
		var wg sync.WaitGroup
		const callers = 16
		for c := range callers {
			wg.Go(func() {
				for i := c; i < count; i += callers {
					f(i)
				}
			})
		}
		wg.Wait()
	}
	// Once, so that what stays open for later is there.
	ids := make([]string, count)
	queue := func() {
		all(func(i int) {
			op := p.must("POST", "/compute/v1/images", object{"folderId": "default", "name": "i" + strconv.Itoa(i), "uri": source.URL})
			ids[i] = op["id"].(string)
		})
		<-asked
		all(func(i int) { p.must("POST", "/operations/"+ids[i]+":cancel", nil) })
		for _, id := range ids {
			op := p.wait(object{"id": id})
			if e, _ := op["error"].(object); e == nil || e["code"] != float64(1) {
				t.Fatalf("%v", op)
			}
		}
		p.client.CloseIdleConnections()
	}
	queue()
	files, routines := p.gauge("process_open_fds"), p.gauge("go_goroutines")
	queue()
	p.eventually("without sessions", func() bool { return p.gauge("blockmill_store_open_sessions") == 0 })
	p.eventually("with as many files as before", func() bool { return p.gauge("process_open_fds") <= files+4 })
	p.eventually("with as many goroutines as before", func() bool { return p.gauge("go_goroutines") <= routines+8 })
	t.Logf("%d queued and cancelled twice: files %v, then %v; goroutines %v, then %v",
		count, files, p.gauge("process_open_fds"), routines, p.gauge("go_goroutines"))
	if list := p.must("GET", "/compute/v1/images?folderId=default", nil); len(list["images"].([]any)) != 0 {
		t.Errorf("left: %v", list)
	}
}

// gauge is a metric without labels.
func (p *process) gauge(name string) float64 {
	p.t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(p.exposition())
	if m == nil {
		p.t.Fatalf("no metric %s", name)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}
