package policy

import (
	"encoding/xml"
	"io"
	"strings"

	"github.com/playgate/playgate/playback"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	Failure   *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit is a file of test results as continuous integration reads it.
type JUnit struct{ suites junitSuites }

// Add adds a document's report under its name. A rule that is never reached is
// a case that failed.
func (j *JUnit) Add(name string, r *Report) {
	s := junitSuite{Name: name}
	add := func(title, place string, failures []string) {
		c := junitCase{Name: printable(title), ClassName: name}
		if len(failures) > 0 {
			c.Failure = &junitFailure{printable(failures[0]), printable(strings.Join(append([]string{place}, failures...), "\n"))}
			s.Failures++
		}
		s.Tests++
		s.Cases = append(s.Cases, c)
	}
	for _, t := range r.Tests {
		add(t.Name, t.Place, t.Differences)
	}
	for _, u := range r.Unreachable {
		add("rule "+u.Rule+" can be reached", name, []string{u.Text})
	}
	j.suites.Suites = append(j.suites.Suites, s)
}

// AddProblems adds a document that does not compile: one case that failed.
func (j *JUnit) AddProblems(name string, problems Problems) {
	j.suites.Suites = append(j.suites.Suites, junitSuite{Name: name, Tests: 1, Failures: 1, Cases: []junitCase{{
		Name: "the document compiles", ClassName: name,
		Failure: &junitFailure{playback.Count(len(problems), "problem", "problems"), printable(problems.Error())},
	}}})
}

// printable leaves out what XML 1.0 cannot hold.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return '�'
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
}

// Write writes the file.
func (j *JUnit) Write(w io.Writer) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(j.suites); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
