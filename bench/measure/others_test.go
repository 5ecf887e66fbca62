package measure_test

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/bench/measure"
)

// A child that has been waited for is work of this process.
func TestOwnCPU(t *testing.T) {
	before := measure.OwnCPU()
	use := run(t, "spin")
	if took := measure.OwnCPU() - before; took < use.User+use.Sys {
		t.Errorf("own work took %v, of a child alone %v", took, use.User+use.Sys)
	}
}

// One that nobody has waited for is not.
func TestOthers(t *testing.T) {
	p := process(t, "spin")
	cmd := exec.Command(p.Path)
	cmd.Env = p.Env
	others := measure.Others()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Error(err)
	}
	if got := others(); got <= 0 {
		t.Errorf("others took %v beside a child that keeps a processor busy", got)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
