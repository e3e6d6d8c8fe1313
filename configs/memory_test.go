package configs_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/playgate/playgate/configs"
)

// memoryTest loads documents with and without a memory.
type memoryTest struct {
	*testing.T
	memory configs.Memory
	around files
	reads  int
	checks []string          // the environments that were checked, by ID
	kept   map[string]string // by environment, what its check kept
}

func newMemoryTest(t *testing.T) *memoryTest {
	t.Helper()
	return &memoryTest{T: t, around: files{home + "/rules.yaml": "version: 1\nrules: []", home + "/other.yaml": "version: 1\nrules: []", home + "/extra": "1"}}
}

func (m *memoryTest) source(text string, memory *configs.Memory) configs.Source {
	m.checks, m.kept, m.reads = nil, map[string]string{}, 0
	return configs.Source{
		Path: home + "/playgate.yaml", Data: []byte(text), Memory: memory,
		ReadFile: func(path string) ([]byte, error) { m.reads++; return m.around.read(path) },
		Check: func(path string, e *configs.Environment, read configs.ReadFunc) configs.Checked {
			m.checks = append(m.checks, string(e.ID))
			extra, err := read(home + "/extra")
			if err != nil {
				return configs.Checked{Problems: []configs.Problem{{Path: path, Message: "extra is missing"}}}
			}
			m.kept[string(e.ID)] = e.Name + string(extra)
			return configs.Checked{Warnings: []configs.Problem{{Path: path + ".hosts", Message: "extra is " + string(extra)}}, Kept: e.Name + string(extra)}
		},
		Sum: func(path string) ([sha256.Size]byte, error) {
			text, err := m.around.read(path)
			return sha256.Sum256(text), err
		},
		Take: func(_ string, e *configs.Environment, kept any) { m.kept[string(e.ID)], _ = kept.(string) },
	}
}

// both loads a document afresh and with what is remembered, and compares.
func (m *memoryTest) both(text string) (accepted bool) {
	m.Helper()
	want, wantErr := m.source(text, nil).Load()
	wantKept := m.kept
	got, gotErr := m.source(text, &m.memory).Load()
	if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
		m.Fatalf("with a memory Load says\n%v\nwant\n%v\nof\n%s", gotErr, wantErr, text)
	}
	if wantErr != nil {
		return false
	}
	slices.Sort(want.Files[1:])
	slices.Sort(got.Files[1:])
	if !reflect.DeepEqual(want, got) {
		m.Fatalf("with a memory Load gives\n%+v\nwant\n%+v\nof\n%s", got, want, text)
	}
	if !reflect.DeepEqual(wantKept, m.kept) {
		m.Fatalf("kept %v, want %v", m.kept, wantKept)
	}
	return true
}

func memoryDocument(environments ...string) string {
	return "server: {listen: ':8080'} # head\norganizations:\n  - id: acme\n    environments:\n" + strings.Join(environments, "")
}

func vaultDocument(interval string) string {
	return "keystore: {driver: vault, vault: {address: 'https://vault.example', auth: {method: token, token_file: extra}, refresh_interval: " + interval + "}}\n"
}

func memoryEnvironment(id, more string) string {
	return fmt.Sprintf("      - id: %s\n        hosts: [%s.example]\n%s", id, id, more)
}

// TestUnchangedEnvironmentsAreTakenOver counts: of 2,000 environments only the one
// that changed is checked, and no file is read for the others.
func TestUnchangedEnvironmentsAreTakenOver(t *testing.T) {
	t.Parallel()
	m := newMemoryTest(t)
	const many = 2000
	var list []string
	for n := range many {
		file := fmt.Sprintf("%s/rules-%d.yaml", home, n)
		m.around[file] = "version: 1\nrules: []"
		list = append(list, memoryEnvironment(fmt.Sprintf("e%d", n), "        policy_file: "+file+"\n"))
	}
	load := func() *configs.Loaded {
		loaded, err := m.source(memoryDocument(list...), &m.memory).Load()
		if err != nil {
			t.Fatal(err)
		}
		return loaded
	}
	load()
	if len(m.checks) != many || m.memory.Taken() != 0 || m.reads < many {
		t.Fatalf("at first %d were checked, %d taken over, and %d files read", len(m.checks), m.memory.Taken(), m.reads)
	}
	list[1234] = memoryEnvironment("e1234", "        name: Changed\n")
	loaded := load()
	if !slices.Equal(m.checks, []string{"e1234"}) || m.memory.Taken() != many-1 || m.reads > 2 {
		t.Errorf("%d were checked, %d taken over, and %d files read; want the one that changed, and its files", len(m.checks), m.memory.Taken(), m.reads)
	}
	environments := loaded.Config.Organizations[0].Environments
	if len(environments) != many || environments[1234].Name != "Changed" || environments[1235].Policy.Document == nil {
		t.Errorf("%d environments, of which one is called %q", len(environments), environments[1234].Name)
	}
	if len(m.kept) != many {
		t.Errorf("%d environments were given what their check kept", len(m.kept))
	}
}

// TestAMemoryChangesNothingOfWhatIsLoaded: random changes, some of which are
// mistakes, of documents that are hard to take apart.
func TestAMemoryChangesNothingOfWhatIsLoaded(t *testing.T) {
	t.Parallel()
	bodies := []string{
		"", "        name: Two words # and a comment\n", "        policy_file: rules.yaml\n", "        policy_file: other.yaml\n",
		"        policy: {version: 1, rules: [{id: a, effect: allow, when: 'viewer.id == \"x\" && true'}]}\n",
		"        name: |\n          text\n          - id: not-an-environment\n", "        name: \"a\n          - id: nor-this\"\n",
		"        name: 'a\n      - id: nor-that'\n", "        cors_origins: ['*']\n", "        anonymous: true\n\n      # a comment\n",
		"        playback_ids: [{id: P1, asset: {id: A1, duration: 5}}]\n", "        token: {max_ttl: 30d}\n",
		"        rate_limits: {viewer: 1-M}\r\n",
	}
	mistakes := []string{"        viewer_cookie: [broken\n", "        nothing_known: 1\n", "        name: \"open\n", "        hosts: []\n"}
	taken := 0
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		m := newMemoryTest(t)
		var list []string
		add := func() {
			body := bodies[random.IntN(len(bodies))]
			if random.IntN(20) == 0 {
				body = mistakes[random.IntN(len(mistakes))]
			}
			list = slices.Insert(list, random.IntN(len(list)+1), memoryEnvironment(fmt.Sprintf("e%d", random.IntN(40)), body))
		}
		for range 5 {
			add()
		}
		for range 12 {
			if m.both(memoryDocument(list...)) {
				taken += m.memory.Taken()
			}
			switch at := random.IntN(max(1, len(list))); random.IntN(6) {
			case 0, 1:
				add()
			case 2, 3:
				if len(list) > 0 {
					list = slices.Delete(list, at, at+1)
				}
			case 4:
				m.around[home+"/rules.yaml"] = fmt.Sprintf("version: 1\nrules: [] # %d", random.IntN(3))
			case 5:
				if m.around[home+"/extra"] = fmt.Sprint(random.IntN(3)); random.IntN(8) == 0 {
					delete(m.around, home+"/extra")
				}
			}
		}
	}
	if taken < 1000 {
		t.Errorf("only %d environments were taken over: this test compares nothing", taken)
	}
}

// TestWhatAMemoryMustNotBelieve: documents in which an environment's text does not
// say what the environment is.
func TestWhatAMemoryMustNotBelieve(t *testing.T) {
	t.Parallel()
	one, two := memoryEnvironment("one", ""), memoryEnvironment("two", "        name: n\n")
	for _, documents := range map[string][]string{
		"anchors": {
			memoryDocument("      - id: one\n        hosts: &h [a.example]\n", "      - id: two\n        cors_origins: []\n        name: *h\n"),
			"x-a: &d {name: first}\n" + memoryDocument("      - {id: one, <<: *d}\n"), "x-a: &d {name: second}\n" + memoryDocument("      - {id: one, <<: *d}\n"),
		},
		"a quoted text that swallows the next": {
			memoryDocument(one, two), memoryDocument(one+"        name: \"\n", two), memoryDocument(one+"        name: 'a\n", two, two),
			memoryDocument(one+"        name: {a: [\n", two),
		},
		"another key above": {
			memoryDocument(one, two), strings.Replace(memoryDocument(one, two), "environments:", "name:", 1),
			strings.Replace(memoryDocument(one, two), "  - id: acme", "  - id: acme\n    name: |", 1),
		},
		"a quoted text that swallows whole environments": {
			memoryDocument(one, "      - {id: two}\n"),
			memoryDocument("      - id: first\n        name: 'a\n", "      - {id: two}\n", "      - id: third'\n        hosts: [third.example]\n", one),
		},
		"the same twice":       {memoryDocument(one, two), memoryDocument(one, two, two)},
		"another organization": {memoryDocument(one, two), memoryDocument(one) + "  - id: globex\n    environments:\n" + two},
		"nothing left":         {memoryDocument(one, two), memoryDocument(), "organizations: []"},
		"another document":     {memoryDocument(one, two), memoryDocument(one) + "---\n" + memoryDocument(two)},
		"a marker in the text": {memoryDocument(one, two), memoryDocument(one, `      - "playgate: an environment that is taken over, number 0"`+"\n")},
		"tabs and directives":  {memoryDocument(one, two), "%YAML 1.2\n---\n" + memoryDocument(one, two), memoryDocument(one, "\t"+two)},
		"JSON":                 {`{"organizations": [{"id": "a", "environments": [{"id": "one"}]}]}`, `{"organizations": [{"id": "a", "environments": [{"id": "two"}]}]}`},
		"a dash at the key":    {"organizations:\n- id: a\n  environments:\n  - id: one\n  - id: two\n", "organizations:\n- id: a\n  environments:\n  - id: one\n    name: x\n  - id: two\n"},
		"the key comes first":  {"organizations:\n- environments:\n  - id: one\n  - id: two\n  id: a\n", "organizations:\n- environments:\n  - id: one\n  - id: two\n    name: x\n  id: a\n"},
		"another section decides what is right": {
			vaultDocument("10s") + memoryDocument(memoryEnvironment("one", "        keys: {prepare_for: 5m}\n")),
			vaultDocument("4m") + memoryDocument(memoryEnvironment("one", "        keys: {prepare_for: 5m}\n")),
		},
		"hosts that clash then": {memoryDocument(one, two), memoryDocument(one, strings.Replace(two, "two.example", "one.example", 1))},
	} {
		m := newMemoryTest(t)
		for range 2 {
			for _, document := range documents {
				m.both(document)
			}
		}
	}
}

// TestAChangedFileIsReadAlthoughItsEnvironmentIsTheSame: also one that only the
// check knows of, and one that is gone.
func TestAChangedFileIsReadAlthoughItsEnvironmentIsTheSame(t *testing.T) {
	t.Parallel()
	m := newMemoryTest(t)
	document := memoryDocument(memoryEnvironment("one", "        policy_file: rules.yaml\n"), memoryEnvironment("two", "        policy_file: other.yaml\n"))
	m.both(document)
	m.around[home+"/rules.yaml"] = "version: 1\nrules: [] # changed"
	m.both(document)
	if !slices.Equal(m.checks, []string{"one"}) {
		t.Errorf("checked %v, want the environment whose file changed", m.checks)
	}
	m.around[home+"/extra"] = "2"
	m.both(document)
	if len(m.checks) != 2 {
		t.Errorf("checked %v, want both: what their check read has changed", m.checks)
	}
	delete(m.around, home+"/other.yaml")
	if m.both(document) {
		t.Error("a file that is gone is not missed")
	}
}

// TestAMemoryIsOfOnePlace: paths and variables.
func TestAMemoryIsOfOnePlace(t *testing.T) {
	t.Parallel()
	m := newMemoryTest(t)
	document := memoryDocument(memoryEnvironment("one", "        policy_file: rules.yaml\n"))
	for _, source := range []configs.Source{
		m.source(document, &m.memory),
		{Path: "/elsewhere/playgate.yaml", Data: []byte(document), Memory: &m.memory, ReadFile: func(string) ([]byte, error) { return []byte("version: 1"), nil }},
	} {
		loaded, err := source.Load()
		if err != nil {
			t.Fatal(err)
		}
		if m.memory.Taken() != 0 || !strings.HasPrefix(loaded.Config.Organizations[0].Environments[0].Policy.File, source.Path[:10]) {
			t.Errorf("%s: taken over from elsewhere: %+v", source.Path, loaded.Config.Organizations[0].Environments[0].Policy.File)
		}
	}
}

// TestPlaybackIDsAreHeldOnce: whoever has made something of them keeps that.
func TestPlaybackIDsAreHeldOnce(t *testing.T) {
	t.Parallel()
	document := memoryDocument(memoryEnvironment("e", "        playback_ids: [{id: P1}, {id: P2}]\n"))
	for kept, want := range map[any]int{nil: 2, "something": 0} {
		seen := 0
		loaded, err := configs.Source{
			Path: home + "/playgate.yaml", Data: []byte(document),
			Check: func(_ string, e *configs.Environment, _ configs.ReadFunc) configs.Checked {
				seen = len(e.Entries())
				return configs.Checked{Kept: kept}
			},
		}.Load()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range loaded.Config.Environments() {
			if left := len(e.PlaybackIDs); seen != 2 || left != want {
				t.Errorf("kept %v: Check saw %d playback IDs and %d are left, want 2 and %d", kept, seen, left, want)
			}
		}
	}
}
