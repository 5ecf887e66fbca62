package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"testing"
)

// TestKilledBesideCreates kills the daemon as soon as it has acknowledged some of
// many creates. What was acknowledged is known after the restart, by its operation
// and by its key, and the creates sent again make each disk once.
func TestKilledBesideCreates(t *testing.T) {
	p := newProcess(t).start()
	disks := make(map[string]bool)
	for round := range 4 {
		some := 1 + 5*round
		acked := p.createMany(fmt.Sprintf("round%d", round), some, func() { p.signal(syscall.SIGKILL) })
		<-p.gone
		p.start()
		for i := range 2 * some {
			key := fmt.Sprintf("round%d-%d", round, i)
			if id := acked[key]; id != "" {
				if op := p.must("GET", "/operations/"+id, nil); op["response"] == nil {
					t.Errorf("acknowledged: %v", op)
				}
			}
			op := p.wait(p.must("POST", "/compute/v1/disks", emptyDisk(), "Idempotency-Key", key))
			if id := acked[key]; id != "" && op["id"] != id {
				t.Errorf("the key %s gives operation %v, want %s", key, op["id"], id)
			}
			disk, ok := op["response"].(object)
			if !ok {
				t.Fatalf("create again: %v", op)
			}
			disks[disk["id"].(string)] = true
		}
	}
	list := p.must("GET", "/compute/v1/disks?folderId=default", nil)["disks"].([]any)
	if len(list) != len(disks) {
		t.Errorf("%d disks, want %d", len(list), len(disks))
	}
}

func emptyDisk() object {
	return object{"folderId": "default", "zoneId": "z", "typeId": "network-ssd", "size": "4194304"}
}

// createMany sends creates of disks at once, each with a key of its own, and calls
// enough when some of them are acknowledged, as they must be. It returns the
// operations of those that were, by their keys.
func (p *process) createMany(prefix string, some int, enough func()) map[string]string {
	p.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	acked := make(map[string]string)
	var failed error // the first
	for i := range 2 * some {
		wg.Go(func() {
			key := fmt.Sprintf("%s-%d", prefix, i)
			id, err := p.tryCreate(key)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = cmp.Or(failed, err)
				return
			}
			acked[key] = id
			if len(acked) == some {
				enough()
			}
		})
	}
	wg.Wait()
	if len(acked) < some {
		p.t.Fatalf("%d of %d creates were acknowledged, want %d; one was not: %v\n%s", len(acked), 2*some, some, failed, p.log)
	}
	return acked
}

// tryCreate gives the operation of a create that is done when it is answered.
func (p *process) tryCreate(key string) (string, error) {
	body, err := json.Marshal(emptyDisk())
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(p.t.Context(), "POST", p.scheme+"://"+p.rest+"/compute/v1/disks", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var op struct {
		ID   string
		Done bool
	}
	if err := json.Unmarshal(answer, &op); err != nil || !op.Done {
		return "", fmt.Errorf("status %d: %s", resp.StatusCode, answer)
	}
	return op.ID, nil
}
