package world

import "slices"

// vice is how a node lies: as a worker, as a keeper, or as a submitter.
type vice uint8

// The vices of workers and keepers. Every liar is both, and does as a worker what a keeper of its kind
// would profit from: nothing. Those of submitters come last: who has one has no other.
const (
	lone         vice = iota // gives wrong answers of its own
	colluding                // gives the wrong answers of its ring
	sniping                  // gives them only where the ring holds every replica
	betraying                // gives them after some honest ones
	hoarding                 // claims all that there is, and ends nothing
	silent                   // seals and never reveals
	blurting                 // reveals, and never sealed
	doubling                 // seals two things
	copying                  // computes nothing: seals and reveals what others did, as its own
	late                     // ends long after its lease
	withholding              // as a keeper: knows nothing
	stale                    // as a keeper: answers as it did before
	generous                 // as a keeper: grants everything to everyone
	fickle                   // as a keeper: knows something for some
	forgetful                // as a keeper: gives its receipt and forgets
	flooding                 // asks and offers without end, much of it garbage
	whitewashing             // lies with the ring, and comes back under another key
	grinding                 // makes keys until one is near to a job, and early in its draw
	renewing                 // never ends what it holds, and renews what it has lost
	splitting                // seals one thing to some keepers and another to the others
	bulky                    // offers what is larger than it may be, and what makes no sense
	forging                  // signs badly, in its own name and in others'
	slow                     // as a keeper: answers when it is nearly too late, or after
	garbling                 // as a keeper: changes what it answers on the way out
	inventing                // as a keeper: tells of units, grants and decisions that are none
	twofaced                 // as a keeper: tells some that all is done and others that nothing is
	redrawing                // as a keeper: gives another receipt, with another secret, each time
	renouncing               // as a keeper: gives its receipt, and knows nothing from then on

	altering   // as a submitter: two manifests under one head, and another head over the second
	twicing    // as a submitter: two secrets for the same units, and placements on whom it likes
	unending   // as a submitter: publishes, and is never seen again
	bombing    // as a submitter: its program does not start, crashes, or never ends
	brief      // as a submitter: its job expires while it runs, or its leases are as short as may be
	spamming   // as a submitter: puts more jobs on the board than one may, and places none
	contrary   // as a submitter: cancels, goes on, and is done, all at once
	insatiable // as a submitter: asks for more votes, from whom it likes, without end
	misjudging // as a submitter: says of units that they are final, with answers that nobody gave
	vices
)

// The menu grew: seeds that once found something keep to what there was.
const (
	firstVices = whitewashing // of the first menu
	cheats     = altering     // of workers and keepers; from here on submitters'
)

var viceNames = [vices]string{
	"lone", "colluding", "sniping", "betraying", "hoarding", "silent", "blurting", "doubling", "copying", "late",
	"withholding", "stale", "generous", "fickle", "forgetful", "flooding",
	"whitewashing", "grinding", "renewing", "splitting", "bulky", "forging",
	"slow", "garbling", "inventing", "twofaced", "redrawing", "renouncing",
	"altering", "twicing", "unending", "bombing", "brief", "spamming", "contrary", "insatiable", "misjudging",
}

// Vices are the names of all vices: what Options.Vice may be.
func Vices() []string { return slices.Clone(viceNames[:]) }

// asked is the vice that the options name, if it is from the first to before the end.
func (w *world) asked(first, end vice) (vice, bool) {
	i := slices.Index(viceNames[:], w.opt.Vice)
	return vice(max(i, 0)), i >= int(first) && i < int(end)
}

// commits counts what a liar does that no honest node would.
func (w *world) commits(v vice) { w.report.Vices[viceNames[v]]++ }
