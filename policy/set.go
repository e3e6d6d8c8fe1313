package policy

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxSets      = 200     // of a document
	maxSetFile   = 8 << 20 // bytes
	maxSetMember = 255     // bytes
)

var setName = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\z`)

// comment begins where the rest of a line of a set's file is one.
var comment = regexp.MustCompile(`(?:\A|\s)#`)

// set is a named set: texts, or, if every member is an address or a network,
// what lies in any of them. Immutable; nil is the empty set.
type set struct {
	texts    map[string]struct{}
	networks map[netip.Prefix]struct{}
	bits     [2][]int // the lengths of the prefixes, of IPv4 and of IPv6
	doubts   []string // what is legal, but probably not meant
}

// has reports whether a text is a member. Of a set of networks that is any
// address in one of them, however it is written.
func (s *set) has(text string) bool {
	if s == nil {
		return false
	}
	if s.networks == nil {
		_, ok := s.texts[text]
		return ok
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	family := 0
	if addr.Is6() {
		family = 1
	}
	for _, bits := range s.bits[family] {
		if prefix, err := addr.Prefix(bits); err == nil {
			if _, ok := s.networks[prefix]; ok {
				return true
			}
		}
	}
	return false
}

// almostNetwork is how networks begin that are none: ranges, wildcards, a
// prefix that is too long, two on a line.
var almostNetwork = regexp.MustCompile(`\A(?:[0-9]+(?:\.(?:[0-9]+|\*)){3}(?:[^0-9A-Za-z.].*)?|[0-9]+\.[0-9.*]*/.*|[0-9A-Fa-f:]*::[0-9A-Fa-f:.]*(?:[^0-9A-Za-z].*)?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*/.*)\z`)

// newSet makes a set of its members. They are networks or texts, not both: one
// mistyped line of a block list would make it a set of texts, in which no
// address is. The problem is that of the member at bad.
func newSet(members []string) (s *set, bad int, problem string) {
	s = &set{texts: make(map[string]struct{}, len(members))}
	networks := make(map[netip.Prefix]struct{})
	for i, m := range members {
		s.texts[m] = struct{}{}
		prefix, ok := network(m)
		switch {
		case !ok && almostNetwork.MatchString(m):
			return nil, i, fmt.Sprintf("%.80q is neither an address nor a network: want 203.0.113.7 or 203.0.113.0/24", m)
		case i > 0 && ok != (len(networks) > 0):
			return nil, i, fmt.Sprintf("%.80q stands beside %.80q: want networks and addresses only, or none at all", m, members[0])
		case ok:
			networks[prefix] = struct{}{}
		}
	}
	if len(networks) == 0 {
		return s, 0, ""
	}
	s.networks, s.texts = networks, nil
	for prefix := range networks {
		family := 0
		if prefix.Addr().Is6() {
			family = 1
		}
		if !slices.Contains(s.bits[family], prefix.Bits()) {
			s.bits[family] = append(s.bits[family], prefix.Bits())
		}
	}
	slices.Sort(s.bits[0])
	slices.Sort(s.bits[1])
	return s, 0, ""
}

// network reads an address or a network, IPv4 mapped into IPv6 as IPv4.
func network(text string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return prefix, false
	}
	if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), true
}

// setText is a named set as it was written: a file, or its members in place.
type setText struct {
	at      node
	from    *decoder
	name    string
	file    string
	members []string
	items   []node // of members
}

func (d *decoder) sets(n node) []setText {
	var list []setText
	d.members(n, func(name string, v node) {
		if !setName.MatchString(name) {
			d.problem(v, "%.80q is no name for a set: want letters, digits, - and _, at most 64", name)
			return
		}
		s := setText{at: v, from: d, name: name}
		if v.Kind == yaml.SequenceNode {
			d.items(v, func(item node) {
				if text, ok := d.scalar(item); ok && d.isMember(item, text) {
					s.members, s.items = append(s.members, text), append(s.items, item)
				}
			})
		} else if file, ok := d.text(v); ok {
			if s.file = file; file == "" {
				d.problem(v, "want the name of a file, or a list")
			}
		}
		list = append(list, s)
	})
	if len(list) > maxSets {
		d.problem(n, "has more than %d sets", maxSets)
	}
	return list
}

func (d *decoder) isMember(n node, text string) bool {
	if text == "" || len(text) > maxSetMember {
		d.problem(n, "want 1 to %d bytes", maxSetMember)
		return false
	}
	return true
}

// sets reads the named sets of a document and what it includes.
func (s *sources) sets(texts []setText) map[string]*set {
	sets := make(map[string]*set, len(texts))
	for i := range texts {
		t := &texts[i]
		if _, twice := sets[t.name]; twice {
			t.from.problem(t.at, "there is another set of this name")
			continue
		}
		if t.file == "" {
			members, bad, problem := newSet(t.members)
			if sets[t.name] = cmp.Or(members, &set{}); problem != "" {
				t.from.problem(t.items[bad], "%s", problem)
				continue
			}
			lines := make([]int, len(t.items))
			for i, item := range t.items {
				lines[i] = item.Line
			}
			members.doubts = doubts(t.members, lines, true)
			continue
		}
		sets[t.name] = &set{}
		path, text, err := s.read(t.from.path, t.file)
		if err != nil {
			t.from.problem(t.at, "cannot be read: %s", err)
			continue
		}
		members, line, problem := readSet(text)
		if problem != "" {
			t.from.problems = append(t.from.problems, Problem{Path: t.at.path, File: path, Line: line, Message: problem})
			continue
		}
		for i, doubt := range members.doubts {
			members.doubts[i] = path + ": " + doubt
		}
		sets[t.name] = members
	}
	return sets
}

// readSet reads a set from its file. The problem is that of a line; 0: of the
// file.
func readSet(text []byte) (s *set, line int, problem string) {
	members, numbers, problem := readMembers(text)
	if problem != "" {
		if len(numbers) > 0 {
			line = numbers[len(numbers)-1]
		}
		return nil, line, problem
	}
	s, bad, problem := newSet(members)
	if problem != "" {
		return nil, numbers[bad], problem
	}
	s.doubts = doubts(members, numbers, false)
	return s, 0, ""
}

// notPlain says why a line of a file is no member but something that is meant
// for another format: a set of such lines has none of the members that somebody
// wrote into it, and a block list would block nobody.
func notPlain(member string) string {
	const plain = "a file has one member a line, as it is: without quotes, commas and list marks. A member that has them stands in the document: sets: {NAME: [\"a, b\"]}"
	first, last := member[0], member[len(member)-1]
	switch {
	case strings.HasPrefix(member, "- "):
		return fmt.Sprintf("%.80q begins with a list mark; %s", member, plain)
	case strings.ContainsRune(member, ','):
		return fmt.Sprintf("%.80q has a comma; %s", member, plain)
	case first == '"' || first == '\'' || last == '"' || last == '\'':
		return fmt.Sprintf("%.80q has quotes; %s", member, plain)
	}
	return ""
}

// maxDoubts bounds the lines that a warning names.
const maxDoubts = 3

// doubts says what of a set is legal, but probably not meant. lines are those of
// the members; inPlace: they stand in the document.
func doubts(members []string, lines []int, inPlace bool) []string {
	if len(members) == 0 {
		return []string{"has no members: nothing is in it"}
	}
	var several []string
	n := 0
	for i, m := range members {
		if strings.ContainsFunc(m, unicode.IsSpace) || inPlace && strings.ContainsRune(m, ',') {
			if n++; n <= maxDoubts {
				several = append(several, fmt.Sprintf("line %d, %.80q", lines[i], m))
			}
		}
	}
	if n > maxDoubts {
		several = append(several, fmt.Sprintf("and %d more", n-maxDoubts))
	}
	if n > 0 {
		return []string{"has members with spaces or commas, each of which is one member: " + strings.Join(several, "; ")}
	}
	return nil
}

// readMembers reads one member per line, and says which lines; beside a problem
// the last line is that of the problem. What follows a #
// at the beginning of a line, or after white space, is a comment.
func readMembers(text []byte) (members []string, numbers []int, problem string) {
	if len(text) > maxSetFile {
		return nil, nil, fmt.Sprintf("is larger than %d bytes", maxSetFile)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		member := line
		if at := comment.FindStringIndex(line); at != nil {
			member = line[:at[0]]
		}
		switch member = strings.TrimSpace(member); {
		case member == "":
		case len(member) > maxSetMember || !utf8.ValidString(member):
			return nil, []int{number}, fmt.Sprintf("want at most %d bytes of UTF-8", maxSetMember)
		case notPlain(member) != "":
			return nil, []int{number}, notPlain(member)
		default:
			members, numbers = append(members, member), append(numbers, number)
		}
	}
	return members, numbers, ""
}

// isTexts reports whether the set has members that are no networks: no address
// can be in it.
func (s *set) isTexts() bool { return len(s.texts) > 0 }

func (f *ownFunctions) names() []string { return slices.Sorted(maps.Keys(f.sets)) }
