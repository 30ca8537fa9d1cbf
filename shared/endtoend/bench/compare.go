package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// row is one kind of load, and the bars that it is held to: the least ratio of the
// rates of credence and OpenBao, and the largest of the processor time of credence
// and the bare server.
type row struct {
	name        string
	of          func(*server) operation
	clients     int
	rate, spent float64 // the bars; 0 is none
}

var rows = []row{
	{"create", func(s *server) operation { return s.create }, 1, 2, 10},
	{"create", func(s *server) operation { return s.create }, 32, 6, 5},
	{"read", func(s *server) operation { return s.read }, 1, 6, 2.2},
	{"read", func(s *server) operation { return s.read }, 32, 9, 2.2},
	{"reveal", func(s *server) operation { return s.reveal }, 32, 3, 4.5},
	{"update", func(s *server) operation { return s.update }, 32, 5, 7},
}

// compare measures every server by every row, in rounds, and prints medians.
func compare(ctx context.Context, o options, work string, out io.Writer) error {
	ours, _, err := startCredence(ctx, o.credence, work)
	if ours != nil {
		defer ours.stop()
	}
	if err != nil {
		return err
	}
	bare, err := startBare(ctx, work)
	if err != nil {
		return err
	}
	defer bare.stop()
	servers := []*server{ours, bare}
	if o.openbao != "" {
		bao, err := startOpenBao(ctx, o.openbao, work)
		if bao != nil {
			defer bao.stop()
		}
		if err != nil {
			return err
		}
		servers = append(servers, bao)
	}
	samples := make(map[string][][]sample, len(rows)) // row → round → server
	for range o.rounds {
		for _, r := range rows {
			round := make([]sample, len(servers))
			for i, s := range servers {
				if round[i], err = s.measure(ctx, r.of(s), r.clients, o.each); err != nil {
					return err
				}
			}
			samples[r.key()] = append(samples[r.key()], round)
		}
	}
	writeTable(out, servers, samples)
	for _, s := range servers {
		all, anonymous := s.memory()
		_, _ = fmt.Fprintf(out, "%-9s start %4.0f ms; idle %3.0f MiB; after the load %3.0f MiB, %3.0f of them anonymous\n",
			s.name, float64(s.start.Microseconds())/1000, s.idle, all, anonymous)
	}
	return ours.writeSyncs(ctx, o, work, out)
}

func (r row) key() string { return r.name + strconv.Itoa(r.clients) }

// writeTable prints one line a row: of each server rate, percentiles and processor
// time, then the ratios with their bars.
func writeTable(out io.Writer, servers []*server, samples map[string][][]sample) {
	_, _ = fmt.Fprintf(out, "%-10s", "clients")
	for _, s := range servers {
		_, _ = fmt.Fprintf(out, " | %-32s", s.name+": 1/s  p50/p99 ms  CPU µs")
	}
	_, _ = fmt.Fprint(out, " | CPU ÷ net/http")
	if len(servers) > 2 {
		_, _ = fmt.Fprint(out, " | rate ÷ openbao")
	}
	_, _ = fmt.Fprintln(out)
	for _, r := range rows {
		rounds := samples[r.key()]
		_, _ = fmt.Fprintf(out, "%-7s %2d", r.name, r.clients)
		for i := range servers {
			of := func(get func(sample) float64) float64 {
				return median(rounds, func(round []sample) float64 { return get(round[i]) })
			}
			_, _ = fmt.Fprintf(out, " | %7.0f %10s %8.0f", of(func(s sample) float64 { return s.rate }),
				fmt.Sprintf("%.2f/%.1f", of(func(s sample) float64 { return s.p50.Seconds() * 1000 }), of(func(s sample) float64 { return s.p99.Seconds() * 1000 })),
				of(func(s sample) float64 { return float64(s.cpu.Microseconds()) }))
			if failed := of(func(s sample) float64 { return float64(s.failed) }); failed > 0 {
				_, _ = fmt.Fprintf(out, " (%.0f failed)", failed)
			}
			_, _ = fmt.Fprint(out, "    ")
		}
		spent := median(rounds, func(s []sample) float64 { return s[0].cpu.Seconds() / max(s[1].cpu.Seconds(), 1e-9) })
		_, _ = fmt.Fprintf(out, " | %5.1f, %-11s", spent, bar("≤", r.spent, spent <= r.spent))
		if len(servers) > 2 {
			rate := median(rounds, func(s []sample) float64 { return s[0].rate / s[2].rate })
			_, _ = fmt.Fprintf(out, " | %5.2f, %s", rate, bar("≥", r.rate, rate >= r.rate))
		}
		_, _ = fmt.Fprintln(out)
	}
}

// bar states a bar and whether it is met.
func bar(sign string, limit float64, met bool) string {
	verdict := "missed"
	if met {
		verdict = "met"
	}
	return fmt.Sprintf("%s %g %s", sign, limit, verdict)
}

func median(rounds [][]sample, of func([]sample) float64) float64 {
	values := make([]float64, len(rounds))
	for i, round := range rounds {
		values[i] = of(round)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// writeSyncs counts the fsync and fdatasync calls of a create with strace, if it is
// installed.
func (s *server) writeSyncs(ctx context.Context, o options, work string, out io.Writer) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		_, _ = fmt.Fprintln(out, "syncs of a create: not measured, strace is not installed")
		return nil
	}
	for _, row := range []struct {
		clients int
		most    float64
	}{{1, 2.1}, {32, 0.3}} {
		clients, most := row.clients, row.most
		log := filepath.Join(work, fmt.Sprintf("syncs%d", clients))
		cmd := exec.CommandContext(ctx, strace, "-f", "-e", "trace=fsync,fdatasync", "-o", log, "-p", strconv.Itoa(s.cmd.Process.Pid))
		attached, err := cmd.StderrPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			return err
		}
		if line, err := bufio.NewReader(attached).ReadString('\n'); !strings.Contains(line, "attached") {
			_, _ = fmt.Fprintf(out, "syncs of a create: not measured, strace: %s\n", line)
			return errors.Join(err, cmd.Wait())
		}
		got, err := s.measure(ctx, s.create, clients, o.each/2)
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // it ends by the signal
		if err != nil {
			return err
		}
		text, err := os.ReadFile(filepath.Clean(log))
		if err != nil {
			return err
		}
		// A call that another thread's interrupts is printed in two parts, the
		// second as "resumed".
		calls := bytes.Count(text, []byte("sync("))
		ratio := float64(calls) / float64(got.requests)
		_, _ = fmt.Fprintf(out, "syncs of a create, %2d clients: %.2f, %s\n", clients, ratio, bar("≤", most, ratio <= most))
	}
	return nil
}
