package main

// What is said of whose work runs here, and of what submitters say.

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// who is a node as people see it.
func who(name, peer string) string { return words.Who(oneLine(name), peer) }

// follows confirms a share.
func (u *ui) follows(who string, weight int) {
	u.say("following %s, weight %d; all who are not followed weigh 1 together", who, weight)
}

// listed confirms a change of a list, or says that there was nothing to change.
func (u *ui) listed(err error, changed bool, done, not, what string) error {
	if err != nil {
		return err
	}
	if changed {
		u.say(done, what)
	} else {
		u.say(not, what)
	}
	return nil
}

// whoseTable is whom a node follows, and what it blocks.
func whoseTable(w io.Writer, all *api.Whose) {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range all.Followed {
		fmt.Fprintf(tab, "follow\t%s\tweight %d\t%s\n", f.Peer, f.Weight, cmp.Or(oneLine(f.Name), "-"))
	}
	for _, b := range all.Blocked {
		if b.Program != "" {
			fmt.Fprintf(tab, "block\t%s\tprogram\t\n", b.Program)
			continue
		}
		fmt.Fprintf(tab, "block\t%s\tsubmitter\t%s\n", b.Peer, cmp.Or(oneLine(b.Name), "-"))
	}
	tab.Flush() // into memory
	switch {
	case all.OnlyFollowed:
		fmt.Fprintln(w, "others' jobs are not run (only-followed)")
	case len(all.Followed) > 0:
		fmt.Fprintln(w, "all others together weigh 1")
	default:
		fmt.Fprintln(w, "every submitter gets the same share")
	}
}

// notified says that a notice is out.
func (u *ui) notified() { u.say("signed and sent; nodes that are off hear of it later") }

// noticeTable is what submitters say, the newest first.
func noticeTable(w io.Writer, list []api.Notice) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no notices")
	}
	for _, n := range list {
		fmt.Fprintf(w, "%s  %s\n", n.At.Local().Format("2006-01-02 15:04"), noticeWords(n))
	}
}

func noticeWords(n api.Notice) string {
	from := who(n.SubmitterName, n.Submitter)
	if n.Own {
		from = "this node"
	}
	if n.Job != "" {
		from += ", about " + words.Short(n.Job)
	}
	return from + ": " + oneLine(n.Text)
}

// notice shows one that has just come.
func (u *ui) notice(n api.Notice) { u.say("notice from %s", noticeWords(n)) }

// shownOffers is how many jobs of others a status shows.
const shownOffers = 5

// offerRows tell which jobs of others may run here, and which do not.
func offerRows(row func(label, format string, args ...any), all []api.Offered) {
	label := "on offer"
	for i, o := range all {
		if i == shownOffers {
			row(label, "and %s more: shoal status --output json", words.Count(len(all)-i, "job"))
			break
		}
		text := fmt.Sprintf("%s  %s for %s", words.Short(o.Job), oneLine(cmp.Or(o.Name, "-")), who(o.SubmitterName, o.Submitter))
		if o.Description != "" {
			text += ": " + cut(oneLine(o.Description))
		}
		if o.Refused != "" {
			text += " · not run: " + o.Refused
		}
		row(label, "%s", text)
		label = ""
	}
}

// cut is the beginning of a long text.
func cut(text string) string {
	const most = 80
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}
