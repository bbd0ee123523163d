// Package trust is the rule by which a submitter accepts answers at the levels that only its own
// key can finish (DESIGN §3, Levels): how much each donor's word weighs, from this submitter's
// own record of it; when the votes for a unit are enough; which units are voted on again although
// they are; and what a wrong vote does to its author and to all that leaned on it.
//
// It is pure. An Acceptance is told the votes of a unit and answers with a Decision; whoever
// drives it (jobs/collect, and the simulation of whole policies in this package's tests) asks for
// the votes, runs units, and writes Book and Acceptance to disk together.
//
// Weights are counted in thousandths of a bit, the logarithm of the odds that a voter is right:
// they add up, in any order, to the same sum. An answer of strong needs 19.932 bits: an error of
// one in a million.
package trust
