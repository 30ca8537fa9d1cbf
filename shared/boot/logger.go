package boot

import (
	"io"
	"log/slog"
)

// Logger writes one JSON object a line to w, from level up. Lambda takes lines
// of standard error and output alike; times are in UTC, so that lines of
// functions and of this machine compare.
func Logger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				a.Value = slog.TimeValue(a.Value.Time().UTC())
			}
			return a
		},
	}))
}
