package worker

import "github.com/shoalgrid/shoal/jobs"

// Aside is why a job is set aside here for now, or "".
func (w *Worker) Aside(id jobs.JobID) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	info := w.infos[id]
	if info == nil || !w.rt.Now().Before(info.until) {
		return ""
	}
	return info.why
}
