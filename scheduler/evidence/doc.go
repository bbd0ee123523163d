// Package evidence is the records that prove a job's verdicts to someone who trusts nobody, and
// the check of them. It is pure: a file is a reader or a writer to it.
//
// A file is a sequence of CBOR byte strings (RFC 8742), each holding the canonical encoding of
// one section:
//
//	opening                the schema, and the job's head as its submitter signed it
//	shard, for each one    its manifest with the path to the head's root, and who has custody of it:
//	                       placements by the submitter, receipts, hand-overs by custodians; at
//	                       strong and paranoid the submitter's last word on its answers
//	chunk, until the       some consecutive units: for each the reveals that are its votes, the seals
//	shard's units are      that they open or name, the grants those lean on, and the tuples of votes
//	all there              whose payload is a blob
//
// Nothing else is in it, so there is nothing in it that is not signed, or named by the digest of
// something signed, or implied by what comes before: the file needs no checksum, and a bit
// that flips is found where it is. What units amount to is not stated but judged again, by the
// rules of package scheduler.
//
// Reader and writer hold one section and what it decodes to at a time: at most MaxSection bytes,
// about a mebibyte as a rule, however large the job is.
//
// The roots of trust are the submitter's key, which the head names and signed, and the donors'.
// Evidence shows that these keys signed what they signed, and that by the rules of the grid it
// amounts to the verdicts. It cannot show that two keys are two people: somebody with many nodes
// in a grid, or a submitter who makes up keepers and donors, can sign what never ran. Nor can
// it show that nothing was left out: a vote that disagreed and was dropped leaves at most a
// named seal without its reveal. Against both there is one remedy: run units again.
package evidence
