package scheduler

// Judge is what votes on a unit of so many inputs amount to where an answer needs so many of them:
// what a Ledger says of the votes that count. Votes are judged by their tuples alone.
func Judge(votes []Vote, inputs, need int) Verdict { return judge(votes, inputs, need) }
