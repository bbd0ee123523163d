package web

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// overviewData is what a person sees first.
type overviewData struct {
	Status  *api.Status
	Offered []api.Offered // the first of them
	More    bool          // of those
	Peers   []api.Peer
	Ring    ring
}

// maxOffered is how many jobs of others a page shows.
const maxOffered = 6

func (s *Site) overview(r *http.Request) (*page, error) {
	status, err := s.node.Status(r.Context())
	if err != nil {
		return nil, err
	}
	peers, err := s.node.Peers(r.Context())
	if err != nil {
		return nil, err
	}
	return &page{
		Title: "Overview", Node: status.Node, Live: "/live", Parts: []string{"notices", "jobs", "giving", "others", "grid", "peers"},
		Data: overviewData{Status: status, Offered: status.Offered[:min(len(status.Offered), maxOffered)], More: len(status.Offered) > maxOffered, Peers: peers[:min(len(peers), maxPeers)], Ring: newRing(status.Node.Peer, peers)},
	}, nil
}

func (s *Site) submitting(r *http.Request) (*page, error) {
	status, err := s.node.Status(r.Context())
	if err != nil {
		return nil, err
	}
	return &page{Title: "Submit a job", Node: status.Node, Data: status}, nil
}

// jobData is one job in full.
type jobData struct {
	*api.Detail
	Map     unitMap
	Curve   curve
	Reasons []api.Reason // why it is not further
}

func (s *Site) job(r *http.Request) (*page, error) {
	d, err := s.node.Detail(r.Context(), r.PathValue("job"), api.DefaultCells)
	if err != nil {
		return nil, err
	}
	data := jobData{Detail: d, Map: newUnitMap(d), Curve: newCurve(d)}
	if !d.Job.Final || d.Job.State == api.JobFailed || d.Job.State == api.JobExpired {
		why, err := s.node.Explain(r.Context(), d.Job.Job)
		if err != nil {
			return nil, err
		}
		data.Reasons = slices.DeleteFunc(why.Reasons, func(r api.Reason) bool { return r.Code == api.WhyWorking })
	}
	return &page{
		Title: clean(cmp.Or(d.Job.Name, words.Short(d.Job.Job))), Live: "/jobs/" + d.Job.Job + "/live",
		Parts: []string{"progress", "pace", "units", "holders", "unit-table", "shares", "failures", "answers", "cancel"},
		Final: d.Job.Final,
		Data:  data,
	}, nil
}
