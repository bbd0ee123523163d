package worker

import "log/slog"

// ids tell in the log which unit something is about: job, shard, and unit within the shard.
func (k taskKey) ids() slog.Attr {
	return slog.Group("", "job", k.ref.Job.Short(), "shard", k.ref.Shard, "unit", k.unit)
}
