package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// commit returns what is checked out, or "unknown".
func commit(dir string) string {
	git := func(args ...string) (string, error) {
		text, err := exec.Command("git", append([]string{"-C", dir}, args...)...).Output()
		return strings.TrimSpace(string(text)), err
	}
	head, err := git("rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "unknown"
	}
	if changes, err := git("status", "--porcelain", "--untracked-files=no", "--", "..", ":!results"); err != nil || changes != "" {
		head += "+"
	}
	return head
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// moduleVersions returns the versions of the libraries that were measured: they
// are linked into this command, too.
func moduleVersions() map[string]string {
	versions := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if versions[m.Path] = m.Version; m.Replace != nil || m.Version == "(devel)" {
				versions[m.Path] = "this one"
			}
		}
	}
	return versions
}

// A usage is CPU time from the beginning on, in seconds.
type usage struct {
	at         time.Time
	all, child float64 // of the machine, time stolen by its host included; of ended children of this process
	known      bool
}

// others returns how many cores other processes, and other guests of the host,
// kept busy between two looks.
func (u usage) others(later usage) float64 {
	if !u.known || !later.known {
		return math.NaN()
	}
	return max(0, (later.all-u.all-(later.child-u.child))/later.at.Sub(u.at).Seconds())
}

// parseStat returns the busy seconds in the first line of /proc/stat.
func parseStat(line string) (busy float64, ok bool) {
	var user, nice, system, idle, iowait, irq, softirq, steal float64
	_, err := fmt.Sscanf(line, "cpu %f %f %f %f %f %f %f %f", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
	const ticks = 100 // a second, for every Linux that Go runs on
	return (user + nice + system + irq + softirq + steal) / ticks, err == nil
}
