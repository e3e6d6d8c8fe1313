package configs

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/playgate/playgate/playback"
)

// Decisions configures the decision log: one record per decision.
type Decisions struct {
	Output           string          `yaml:"output" default:"none" enum:"none,file,stdout,otlp" doc:"Where records go; none: nowhere, and nothing is written down. otlp: an OpenTelemetry collector, by OTLP over HTTP."`
	File             DecisionFile    `yaml:"file" doc:"Used by the output file."`
	OTLPEndpoint     string          `yaml:"otlp_endpoint" default:"http://127.0.0.1:4318" doc:"Base URL of the collector, for the output otlp."`
	Allow            Sampling        `yaml:"allow" default:"1/100" doc:"Which decisions to allow are kept: all, none, or one in N as 1/N. Decisions to deny always are."`
	Rules            []RuleSampling  `yaml:"rules" doc:"Other samplings for single rules."`
	Inputs           string          `yaml:"inputs" default:"full" enum:"full,digest" doc:"full: what the rules saw is kept, as policy diff needs it: claims, address, referrer and user agent are personal data, though the viewer's ID is a pseudonym. digest: only a keyed hash of it."`
	Queue            int             `yaml:"queue" default:"8192" min:"1" doc:"Records that may wait to be written; beyond it they are dropped and counted."`
	PseudonymKeyFile Path            `yaml:"pseudonym_key_file" secret:"true" default:"" doc:"File with the key of viewers' pseudonyms; required with an output. All replicas must share it."`
	PseudonymKey     playback.Secret // what pseudonym_key_file holds
}

// DecisionFile says how much of the log is kept in files.
type DecisionFile struct {
	Path    Path `yaml:"path" default:"decisions.log" doc:"The file that is written to, one JSON object a line."`
	MaxSize Size `yaml:"max_size" default:"100MiB" doc:"How large it becomes before it is renamed to <path>.1."`
	Keep    int  `yaml:"keep" default:"5" min:"0" doc:"How many full files are kept."`
}

// RuleSampling is the sampling of one rule.
type RuleSampling struct {
	Environment playback.EnvironmentID `yaml:"environment" default:"" doc:"The environment; \"\" means every one that has such a rule."`
	Rule        string                 `yaml:"rule" required:"true" doc:"The rule's ID."`
	Allow       Sampling               `yaml:"allow" required:"true" doc:"Which of its decisions to allow are kept."`
}

// Sampling says which of many are kept: 0 none of them, 1 all, N one in N.
type Sampling uint32

func (s *Sampling) parse(text string) error {
	switch text {
	case "all":
		*s = 1
		return nil
	case "none":
		*s = 0
		return nil
	}
	digits, ok := strings.CutPrefix(text, "1/")
	n, err := wholeNumber(digits)
	if !ok || err != nil || n < 1 || n > math.MaxUint32 {
		return fmt.Errorf("%.40q: want all, none, or one in N as 1/N", text)
	}
	*s = Sampling(n)
	return nil
}

func (s *Sampling) text() string { return s.String() }

// String returns "all", "none" or "1/N".
func (s Sampling) String() string {
	switch s {
	case 0:
		return "none"
	case 1:
		return "all"
	}
	return "1/" + strconv.FormatUint(uint64(s), 10)
}

func (l *loader) checkDecisions() {
	d := &l.config.Decisions
	if d.Output == "none" {
		return
	}
	d.PseudonymKey = l.secret("decisions.pseudonym_key_file", d.PseudonymKeyFile)
	l.warnPseudonymKey("decisions.pseudonym_key_file", d.PseudonymKey.Reveal())
	if d.Output == "file" && d.File.Path == "" {
		l.report.add("decisions.file.path", "is required by the output file")
	}
	if d.Output == "otlp" {
		l.checkBase("decisions.otlp_endpoint", &d.OTLPEndpoint)
	}
	for i, r := range d.Rules {
		known := r.Environment == ""
		for _, e := range l.config.Environments() {
			known = known || e.ID == r.Environment
		}
		if !known {
			l.report.add(fmt.Sprintf("decisions.rules[%d].environment", i), "there is no environment %q", clipped(string(r.Environment)))
		}
	}
}
