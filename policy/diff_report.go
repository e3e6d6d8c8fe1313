package policy

import (
	"encoding/json"

	"github.com/playgate/playgate/playback"
)

// DiffOptions says which recorded decisions are asked again, and how they are
// told apart.
type DiffOptions struct {
	Environment playback.EnvironmentID // "" all
	PlanClaim   string                 // the claim that names a viewer's plan; "" is plan
}

// DiffReport says what a new document changes, over recorded decisions.
type DiffReport struct {
	Old, New string // revisions
	OfTests  bool   // the documents' own tests were asked, not a log
	Records  int    // lines whose decisions were asked again, or are Unknown
	// Decisions is how many they stand for, being a sample; so is what follows.
	Decisions int
	Skipped   int // lines that hold no inputs
	Bad       int // lines that are no records
	// Unknown counts those of which the log does not have what a document reads,
	// because the rules of that time did not: who gains or loses cannot be told.
	Unknown int
	// Otherwise counts records to which the old document does not give the answer
	// that was recorded: it is not the one that was in force, or the log does not
	// have all that it reads.
	Otherwise int
	Gained    int // refused by the old document, allowed by the new one
	Lost      int
	Changed   int // allowed by both, but with another grant, or refused by both with another reason
	// Moved counts those that another rule answers in the same way.
	Moved  int
	Groups []DiffGroup
	// Changes says what is different about those that are Changed, the most
	// frequent first. One decision may be in several.
	Changes  []DiffChange
	Examples []DiffExample
	Notes    []string // what cannot be told from the log
}

// DiffGroup counts the differences that have something in common.
type DiffGroup struct {
	By     string // rule, country, plan or asset
	Value  string
	Gained int
	Lost   int
}

// DiffChange counts the decisions that are changed in one way.
type DiffChange struct {
	What      string // ttl 1h → 2h
	Decisions int
}

// DiffExample is a record to which the documents give different answers.
type DiffExample struct {
	Line     int
	Where    string           // line 7; test "trailers", line 20 of the new document
	Effect   string           // gained, lost or changed
	Old, New string           // who decided: "premium", "embargo (not_released)"
	Changes  []DecisionChange // of one that is changed
	Inputs   json.RawMessage
}
