package main

import "github.com/spf13/cobra"

// moreAnnotation names the text of a command that its man page has, and its help, which should
// fit on a screen, has not.
const moreAnnotation = "more"

func donatingTopic() *cobra.Command {
	return &cobra.Command{Use: "donating", Short: "What donors ask.", Long: donorsAsk}
}

// donorsAsk answers what people who lend their machines to other grids complain of
// (TestDonorsAreAnswered holds it to the commands and settings that it names).
const donorsAsk = `Why does it do nothing?
  shoal status says so, with since when and until when; shoal doctor tries everything that could
  keep this machine from working, and says what to do.

Does it notice that I use the machine?
  Keyboard, mouse and terminals, on X11, Wayland and the consoles. Where a desktop cannot be asked,
  that counts as "in use", never as "idle", and status says so: then set the hours, or when = always.

Does it go on and off all the time?
  Input stops it within a second; other programs stop it above 25 % of the processor (others-cpu),
  and it goes on only after 30 s without. It lends whole cores and does not throttle by stopping
  and starting. Guests have the idle class: they get cycles that nobody else wants.

What of my battery, my heat, my disk, my traffic?
  On battery it pauses (on-battery). Fewer programs run from 90 °C on (temperature). Disk, memory
  and cores have limits (disk, disk-free, memory, cores). Where the disk fills, nothing new is taken
  or kept; where memory runs short, guests go first. All of it: shoal config show.

What moves where bytes cost?
  On a metered connection nothing large, unless you allow it (metered); else as much a second and a
  month as you say (transfer-rate, transfer-monthly). Large is above 64 KiB; what is smaller moves.
  Jobs of your own are spared but for the rate: their files move, and count for the month.

Does it keep the machine awake? Does it start again after a reboot?
  It never hinders sleep; after it, units that somebody else has by then are let go. It starts again
  at each login after: shoal service install. Without a login, where loginctl enable-linger was said.

Is what was done lost when I need the machine, or switch it off?
  Units are short, about a minute. Programs stand still in memory and go on where they were; each
  input that was finished is kept, also over a crash. A unit that stands still for longer than its
  lease, some minutes, goes back to the grid, where somebody else ends it.

Whose programs run here?
  Those of anybody on the grid that you joined, every submitter with the same share of the time. To
  choose: shoal follow, shoal block (only-followed). A job whose programs only crash here is left
  alone, ever longer.

Does it fetch more than it can finish? Are there deadlines?
  It holds what runs and about two seconds of work beyond. There are no deadlines: a lease is a
  few minutes and is renewed while you work, and a result that comes late still counts.

Why is my work waiting for a partner?
  Most answers need the same result from two donors. Programs give the same on every system and
  processor, so any other donor is a partner: status counts what waits, and nothing is lost by it.

Are the times and percentages true?
  A time left is told when there is evidence for it, and as a range; until then there is none. What
  is done is counted in inputs whose answers were agreed, not guessed from the clock.

Who says what I gave?
  The results that were accepted, counted in instructions, which are the same on every machine: a
  faster clock or more threads do not make more. Anyone can count them again: shoal credit.

Can I lose what I did because a server is down or full?
  There is no server, and no certificate that could run out. What you worked out is kept by you and
  by up to five other nodes until it is collected, and what somebody else cannot take does not keep
  you from taking new work.

What can a stranger's program do here?
  Compute. It has no files, no network, no clock and no other program; it is WebAssembly in a
  process of its own with the locks of this system around it, and no container, virtual machine or
  second user is needed. Nothing native is ever downloaded. SECURITY.md lists what was tried.

Is my machine harmful if it is broken?
  Its answers are compared with others'. What does not agree is not accepted, and who often
  disagrees is asked less.

How do I stop?
  Now: Ctrl-C, or shoal pause, for a time: shoal pause 1h. After what is running: shoal finish.
  What is not finished is given back as it ends, so that nobody waits for you. There is no account
  to make or to close; shoal id is a key in the home, and deleting the home ends it.`
