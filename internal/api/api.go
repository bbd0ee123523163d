// Package api is how commands speak with the node of a home: HTTP with JSON bodies over a
// Unix socket that only its owner can open.
//
// Node says what a node can do. A Server puts a Node on the socket, a Client is a Node at
// the other end of it, so that a command cannot tell whether the node is its own.
//
// The routes are in routes.go and, for other programs, in an OpenAPI document: docs/openapi.json,
// which the node also serves.
//
// An Error crosses as itself: in the body of an answer that failed, in the trailer of a
// stream that broke off. A stream that ends in neither way was cut with its connection.
package api

import (
	"context"
	"io"
	"time"
)

// Node is what a running node does for the commands of its owner. A ref is a full job id or
// the beginning of one. Errors for people are *Error.
type Node interface {
	// Status is everything a person asks for with "how is it going".
	Status(ctx context.Context) (*Status, error)
	// ID is the node's name and where others reach it.
	ID(ctx context.Context) (*ID, error)
	// Peers lists the nodes this one is connected with.
	Peers(ctx context.Context) ([]Peer, error)

	// Submit publishes a job, or finds the one that was published before. lines is read to
	// its end when s.Lines is set, and nil otherwise.
	Submit(ctx context.Context, s Submission, lines io.Reader) (*Submitted, error)
	// Submitting lists the submissions that are under way.
	Submitting(ctx context.Context) ([]Submitting, error)
	// Jobs lists the node's own jobs, the newest first.
	Jobs(ctx context.Context) ([]Job, error)
	// Job reads how far a job is.
	Job(ctx context.Context, ref string) (*Job, error)
	// Detail reads a job as the page shows it, its units in at most so many cells.
	Detail(ctx context.Context, ref string, cells int) (*Detail, error)
	// Explain says why a job is where it is, and what can be done about it.
	Explain(ctx context.Context, ref string) (*Explanation, error)
	// Watch calls f with the reading as it is now, and again whenever it has changed, at
	// most ten times a second, until the job is final, f fails or ctx ends.
	Watch(ctx context.Context, ref string, f func(*Job) error) error
	// Results calls f with each result there is, in input order. What f leaves of an output
	// is skipped.
	Results(ctx context.Context, ref string, o ResultsOptions, f func(Result, io.Reader) error) error
	// Evidence writes the records that prove a job's accepted answers, as a file for shoal verify.
	Evidence(ctx context.Context, ref string, w io.Writer) error
	// Fetch holds a blob of a job here for a while: a program, data or inputs, which the keepers
	// of one of its shards have. The job is named by its full id.
	Fetch(ctx context.Context, job string, b Blob) error
	// Cancel closes a job of this node's own.
	Cancel(ctx context.Context, ref string) error
	// Offer lets the grid work on a job that was submitted with Alone.
	Offer(ctx context.Context, ref string) error

	// Credit is what the node did for others, and what others earned from its own jobs.
	Credit(ctx context.Context) (*Credit, error)

	// Whose is whose work the node runs, and the names that it has heard.
	Whose(ctx context.Context) (*Whose, error)
	// Notify tells those who work for this node's jobs, or follow it, something: of a job, or "".
	Notify(ctx context.Context, ref, text string) error
	// Notices are what submitters say that the node works for, or follows, the newest first.
	Notices(ctx context.Context) ([]Notice, error)

	// Donate turns donating on, or changes what is donated.
	Donate(ctx context.Context, d Donation) error
	// Reload takes up the settings of the home's file that count without a restart.
	Reload(ctx context.Context) error
	// Settings are the node's settings as they count now.
	Settings(ctx context.Context) ([]Setting, error)
	// Set writes settings that are wishes into the home's file, and takes them up at once.
	Set(ctx context.Context, values map[string]string) error
	// Pause stops donating for a time; 0 is until Resume.
	Pause(ctx context.Context, d time.Duration) error
	// Resume ends a pause.
	Resume(ctx context.Context) error
	// Finish ends what is running, takes nothing new, and then turns donating off.
	Finish(ctx context.Context) error
}

// ResultsOptions say which results to wait for.
type ResultsOptions struct {
	Follow bool  // wait for those that are still open, in input order
	Keep   bool  // hold a copy here beyond the closing of the job
	Logs   bool  // also the standard error of inputs that did not fail; not with Follow
	Input  int64 // only this one, from 1; 0: all. Not with Follow
	// Provisional gives answers that are not final too: those of a strong job that goes on.
	Provisional bool
}
