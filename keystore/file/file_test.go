package file_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/file"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/playback"
)

const acme playback.EnvironmentID = "acme"

func TestConformance(t *testing.T) {
	t.Parallel()
	keystoretest.Run(t, func(t *testing.T) *keystoretest.Harness {
		t.Helper()
		d := newDirectory(t)
		return &keystoretest.Harness{
			Source: d.source,
			Put: func(t testing.TB, env playback.EnvironmentID, id playback.KeyID, entry keystoretest.Entry) {
				t.Helper()
				base := filepath.Join(string(env), string(id))
				d.write(base+".pem", string(entry.Material))
				if state := document(t, entry); state != "" {
					d.write(base+".json", state)
				} else {
					d.remove(base + ".json")
				}
			},
			Remove: func(t testing.TB, env playback.EnvironmentID, id playback.KeyID) {
				t.Helper()
				d.remove(filepath.Join(string(env), string(id)) + ".pem")
				d.remove(filepath.Join(string(env), string(id)) + ".json")
			},
		}
	})
}

// document returns the state document of an entry, "" if it has no state.
func document(t testing.TB, entry keystoretest.Entry) string {
	t.Helper()
	members := map[string]any{}
	if entry.State != keystore.Stateless {
		members["state"] = entry.State
	}
	for name, at := range map[string]time.Time{"created_at": entry.CreatedAt, "activated_at": entry.ActivatedAt, "retired_at": entry.RetiredAt} {
		if !at.IsZero() {
			members[name] = at.Unix()
		}
	}
	if len(members) == 0 {
		return ""
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// directory is a key directory and a source that reads it.
type directory struct {
	t      *testing.T
	path   string
	source *file.Source
}

func newDirectory(t *testing.T) *directory {
	t.Helper()
	d := &directory{t: t, path: filepath.Join(t.TempDir(), "keys")}
	if err := os.Mkdir(d.path, 0o700); err != nil {
		t.Fatal(err)
	}
	d.source = file.New(file.Config{Dir: d.path})
	t.Cleanup(func() {
		if err := d.source.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *directory) write(name, content string) {
	d.t.Helper()
	path := filepath.Join(d.path, name)
	d.check(os.MkdirAll(filepath.Dir(path), 0o700))
	d.check(os.WriteFile(path, []byte(content), 0o600))
}

func (d *directory) remove(name string) {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.path, name)); !os.IsNotExist(err) {
		d.check(err)
	}
}

func (d *directory) link(target, name string) {
	d.t.Helper()
	path := filepath.Join(d.path, name)
	d.check(os.MkdirAll(filepath.Dir(path), 0o700))
	d.check(os.Symlink(target, path+".new"))
	d.check(os.Rename(path+".new", path)) // replaces at once, as kubelet does
}

func (d *directory) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// load returns the IDs of the environment's keys and the problems, in text.
func (d *directory) load() (ids, problems string) {
	d.t.Helper()
	set, list, err := keystore.Load(d.t.Context(), d.source, acme)
	if err != nil {
		d.t.Fatalf("Load = %v", err)
	}
	var names, texts []string
	for _, key := range set.Keys {
		names = append(names, string(key.ID))
	}
	for _, p := range list {
		text := p.String()
		if p.Warning {
			text = "warning: " + text
		}
		texts = append(texts, text)
	}
	return strings.Join(names, " "), strings.Join(texts, "\n")
}

func (d *directory) want(ids string, problems ...string) {
	d.t.Helper()
	got, texts := d.load()
	if got != ids {
		d.t.Errorf("keys %q, want %q; problems: %s", got, ids, texts)
	}
	if texts == "" && len(problems) > 0 || texts != "" && len(problems) == 0 {
		d.t.Errorf("problems %q, want %q", texts, problems)
	}
	for _, problem := range problems {
		if !strings.Contains(texts, problem) {
			d.t.Errorf("problems %q, want %q", texts, problem)
		}
	}
}

func TestOnlyKeyFilesCount(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	pem := string(keystoretest.PEM(t, 1))
	d.write("acme/K1.pem", pem)
	d.write("acme/.K2.pem", pem)
	d.write("acme/..2026_11_23/K3.pem", pem)
	d.write("acme/sub/K4.pem", pem)
	d.write("acme/K5.key", pem)
	d.write("acme/K6.PEM", pem)
	d.write("acme/K7.pem.bak", pem)
	d.write("acme/README", "x")
	d.write("K8.pem", pem)
	d.want("K1")
	d.write("acme/K 9.pem", pem)
	d.write("acme/K10.json", `{"state":"active"}`)
	d.check(os.MkdirAll(filepath.Join(d.path, "acme/K11.pem"), 0o700))
	d.write("acme/K12.pem", strings.Repeat("x", keystore.MaxMaterial+1))
	d.write("acme/K13.pem", string(keystoretest.PEM(t, 2)))
	d.write("acme/K13.json", `{"state":`)
	d.want("K1", "K 9.pem: is not named after a key ID", "warning: "+filepath.Join(d.path, "acme/K10.json")+": is the state of a key that is not there: K10.pem",
		"K11.pem: is not a regular file", "K12.pem: is too large", "K13.pem: its state (K13.json) is not a JSON object")
}

// TestAKeyOfTheSameSizeAndTimeIsAnother: `cp -p` and volumes that give every
// file one time keep both.
func TestAKeyOfTheSameSizeAndTimeIsAnother(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	long := time.Unix(1_700_000_000, 0)
	thumbprint := func(n int, name string) playback.Thumbprint {
		t.Helper()
		pem := string(keystoretest.PEM(t, n))
		d.write("acme/"+name, pem+strings.Repeat("\n", 2000-len(pem)))
		path := filepath.Join(d.path, "acme/K1.pem")
		d.check(os.Chtimes(filepath.Join(d.path, "acme", name), long, long))
		d.check(os.Rename(filepath.Join(d.path, "acme", name), path))
		d.check(os.Chtimes(path, long, long))
		set, _, err := keystore.Load(t.Context(), d.source, acme)
		d.check(err)
		if len(set.Keys) != 1 {
			t.Fatalf("keys %v", set.Keys)
		}
		return set.Keys[0].Thumbprint
	}
	first, second, third := thumbprint(1, "K1.pem"), thumbprint(2, "K1.next"), thumbprint(1, "K1.pem")
	if first == second || first != third {
		t.Errorf("the keys in force were %x, %x and %x, want one, another and the first again", first, second, third)
	}
}

func TestAMissingDirectory(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.want("", "acme: does not exist, so the environment has no keys")
	d.write("acme/README", "x")
	d.want("", "holds no key files")

	gone := file.New(file.Config{Dir: filepath.Join(d.path, "gone")})
	if _, _, err := gone.Load(t.Context(), acme); err == nil {
		t.Error("a missing key directory is no error, and so a withdrawal of all keys")
	}
	d.write("globex", "a file")
	if _, _, err := d.source.Load(t.Context(), "globex"); err == nil {
		t.Error("an environment that is a file is no error")
	}
}

// TestKeysThatOthersMayWriteToAreRefused, and those that they may read reported.
func TestKeysThatOthersMayWriteToAreRefused(t *testing.T) {
	t.Parallel()
	for mode, c := range map[os.FileMode]struct{ problem, strict string }{
		0o400: {}, 0o600: {}, 0o700: {},
		0o440: {"warning: may be read by its group (mode 0440)", "may be read by its group (mode 0440); keystore.file.strict_permissions refuses that"},
		0o640: {"warning: may be read by its group (mode 0640)", "may be read by its group (mode 0640); keystore.file.strict_permissions refuses that"},
		0o604: {"warning: may be read by every user of the machine (mode 0604)", "may be read by every user of the machine (mode 0604); keystore.file.strict_permissions refuses that"},
		0o644: {"warning: may be read by every user of the machine (mode 0644)", "may be read by every user of the machine (mode 0644); keystore.file.strict_permissions refuses that"},
		0o660: {"may be written to by its group (mode 0660); want chmod go-w", "may be written to by its group (mode 0660); want chmod go-w"},
		0o602: {"may be written to by every user of the machine (mode 0602); want chmod go-w", "may be written to by every user of the machine (mode 0602); want chmod go-w"},
	} {
		for _, strict := range []bool{false, true} {
			d := newDirectory(t)
			d.write("acme/K1.pem", string(keystoretest.PEM(t, 1)))
			path := filepath.Join(d.path, "acme/K1.pem")
			d.check(os.Chmod(path, mode))
			d.wantProblem(strict, path, c.problem, c.strict)
		}
	}
}

// TestKeysInDirectoriesThatOthersMayWriteToAreRefused: whoever may write there may
// replace the key. Where the sticky bit is set they may add some, as in the tmpfs
// that Kubernetes mounts secrets with.
func TestKeysInDirectoriesThatOthersMayWriteToAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dir             string
		mode            os.FileMode
		problem, strict string // of the key, or a warning of the directory
	}{
		{".", 0o755, "", ""},
		{"acme", 0o755, "", ""},
		{".", 0o775, "lies in DIR, which may be written to by its group (mode 0775); want chmod go-w", "lies in DIR, which may be written to by its group (mode 0775); want chmod go-w"},
		{"acme", 0o777, "lies in DIR, which may be written to by every user of the machine (mode 0777); want chmod go-w", "lies in DIR, which may be written to by every user of the machine (mode 0777); want chmod go-w"},
		{"acme/..v1", 0o777, "lies in DIR, which may be written to by every user of the machine (mode 0777); want chmod go-w", "lies in DIR, which may be written to by every user of the machine (mode 0777); want chmod go-w"},
		{
			"acme", 0o777 | os.ModeSticky, "warning: may be added to by every user of the machine (mode 0777 with the sticky bit)",
			"lies in DIR, which may be added to by every user of the machine (mode 0777 with the sticky bit); keystore.file.strict_permissions refuses that",
		},
	} {
		for _, strict := range []bool{false, true} {
			d := newDirectory(t)
			d.write("acme/..v1/K1.pem", string(keystoretest.PEM(t, 1)))
			d.link("..v1", "acme/..data")
			d.link("..data/K1.pem", "acme/K1.pem")
			dir := filepath.Join(d.path, c.dir)
			d.check(os.Chmod(dir, c.mode))
			path := filepath.Join(d.path, "acme/K1.pem")
			if strings.HasPrefix(c.problem, "warning: ") && !strict {
				path = dir
			}
			name := filepath.Join(d.path, c.dir)
			if c.dir == "acme/..v1" { // it is named by the link's target
				name = filepath.Join(d.path, "acme/..data")
			}
			d.wantProblem(strict, path, strings.ReplaceAll(c.problem, "DIR", name), strings.ReplaceAll(c.strict, "DIR", name))
		}
	}
}

// TestEveryLinkToAKeyIsFollowed: who may write to a directory that one of them lies
// in may let it lead to another key.
func TestEveryLinkToAKeyIsFollowed(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"", "acme/first", "acme/second", "acme/last"} {
		d := newDirectory(t)
		d.write("acme/last/K1.pem", string(keystoretest.PEM(t, 1)))
		d.write("acme/first/none", "")
		d.write("acme/second/none", "")
		d.link("../last/K1.pem", "acme/second/link")
		d.link("../second/link", "acme/first/link")
		d.link("first/link", "acme/K1.pem")
		if dir == "" {
			d.want("K1")
			continue
		}
		d.check(os.Chmod(filepath.Join(d.path, dir), 0o777))
		d.want("", "lies in "+filepath.Join(d.path, dir)+", which may be written to by every user of the machine")
	}
}

// wantProblem loads the directory, whose key K1 has a problem, a warning or
// neither.
func (d *directory) wantProblem(strict bool, path, problem, strictProblem string) {
	d.t.Helper()
	if strict {
		problem = strictProblem
	}
	d.source = file.New(file.Config{Dir: d.path, Strict: strict})
	warning, isWarning := strings.CutPrefix(problem, "warning: ")
	ids, problems := d.load()
	want, wantIDs := path+": "+warning, "K1"
	switch {
	case problem == "":
		want = ""
	case isWarning:
		want = "warning: " + want
	default:
		wantIDs = ""
	}
	if ids != wantIDs || problems != want {
		d.t.Errorf("strict %v: keys %q, problems %q; want %q and %q", strict, ids, problems, wantIDs, want)
	}
}

// TestAKeyThatIsMadeSafeIsUsedAgain without a restart.
func TestAKeyThatIsMadeSafeIsUsedAgain(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("acme/K1.pem", string(keystoretest.PEM(t, 1)))
	d.check(os.Chmod(filepath.Join(d.path, "acme"), 0o770))
	d.want("", "may be written to by its group")
	d.check(os.Chmod(filepath.Join(d.path, "acme"), 0o750))
	d.want("K1")
}

// A Kubernetes volume is a directory of links to ..data/, which is a link to
// the directory of one version.
func TestKubernetesVolumesAreFollowed(t *testing.T) {
	t.Parallel()
	for name, layout := range map[string]struct{ volume, link, inside string }{
		"a volume per environment": {"acme", "acme/K1.pem", "K1.pem"},
		"one volume for all":       {"", "acme", "acme/K1.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDirectory(t)
			d.write(filepath.Join(layout.volume, "..v1", layout.inside), string(keystoretest.PEM(t, 1)))
			d.link("..v1", filepath.Join(layout.volume, "..data"))
			target, err := filepath.Rel(layout.volume, layout.link)
			d.check(err)
			d.link(filepath.Join("..data", target), layout.link)
			d.want("K1")
			before, _, _ := keystore.Load(t.Context(), d.source, acme)

			d.write(filepath.Join(layout.volume, "..v2", layout.inside), string(keystoretest.PEM(t, 2)))
			d.link("..v2", filepath.Join(layout.volume, "..data"))
			d.want("K1")
			after, _, _ := keystore.Load(t.Context(), d.source, acme)
			if before.Keys[0].Thumbprint == after.Keys[0].Thumbprint {
				t.Error("the swap was not noticed")
			}
		})
	}
}

func TestLinksCannotLeaveTheDirectory(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	outside := filepath.Join(t.TempDir(), "K1.pem")
	d.check(os.WriteFile(outside, keystoretest.PEM(t, 1), 0o600))
	d.write("acme/K0.pem", string(keystoretest.PEM(t, 2)))
	d.link(outside, "acme/K1.pem")
	relative, err := filepath.Rel(filepath.Join(d.path, "acme"), outside)
	d.check(err)
	d.link(relative, "acme/K2.pem")
	d.link("K3.pem", "acme/K3.pem")      // to itself
	d.link("nowhere.pem", "acme/K4.pem") // dangling
	d.write("acme/K5.pem", string(keystoretest.PEM(t, 3)))
	d.link("nowhere.json", "acme/K5.json") // must not count as "no state"
	const hint = "let keystore.file.dir itself be the link"
	d.want("K0", "K1.pem: cannot be read: path escapes from parent: ", "K2.pem: cannot be read: path escapes from parent: ", "K3.pem: cannot be read", "K4.pem: cannot be read", "K5.pem: its state (K5.json) cannot be read")

	d.link(filepath.Dir(outside), "globex")
	if records, _, err := d.source.Load(t.Context(), "globex"); err == nil || !strings.HasSuffix(err.Error(), hint) {
		t.Errorf("an environment outside the directory gave %v, %v, want what to do", records, err)
	}
	records, _, err := d.source.Load(t.Context(), acme)
	if d.check(err); records[1].Refused == nil || !strings.HasSuffix(records[1].Refused.Error(), hint) {
		t.Errorf("a key outside the directory gave %v, want what to do", records[1].Refused)
	}
}

func TestTheDirectoryItselfMayBeALink(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("v1/acme/K1.pem", string(keystoretest.PEM(t, 1)))
	d.write("v2/acme/K2.pem", string(keystoretest.PEM(t, 1)))
	d.link("v1", "current")
	d.source = file.New(file.Config{Dir: filepath.Join(d.path, "current")})
	d.want("K1")
	d.link("v2", "current")
	d.want("K2")
}

func TestAKeyFileInTheMiddleOfBeingWrittenKeepsItsLastGoodContentOnce(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	pem := string(keystoretest.PEM(t, 1))
	d.write("acme/K1.pem", pem)
	d.write("acme/K1.json", `{"state":"active"}`)
	d.want("K1")

	const grace = "its last good content stays in force for one more look"
	d.write("acme/K1.pem", pem[:500])
	d.want("K1", grace)
	d.want("", "K1.pem: is truncated")
	d.write("acme/K1.pem", pem)
	d.want("K1")

	d.write("acme/K1.json", `{"sta`)
	d.want("K1", grace)
	d.write("acme/K1.json", `{"state":"active"}`)
	d.want("K1")

	d.write("acme/K1.pem", "")
	d.want("K1", grace)
	d.write("acme/K1.pem", "x") // another kind of broken: no second grace
	d.want("", "neither PEM")

	d.write("acme/K1.pem", pem)
	d.want("K1")
	d.remove("acme/K1.pem") // removed is not broken: gone at once
	d.want("", "is the state of a key that is not there", "holds no key files")
}

func TestUnreadableFilesAreRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Log("root may read every file, so only the reader's own refusals are seen in the other tests")
		return
	}
	d := newDirectory(t)
	d.write("acme/K1.pem", string(keystoretest.PEM(t, 1)))
	d.write("acme/K2.pem", string(keystoretest.PEM(t, 2)))
	d.check(os.Chmod(filepath.Join(d.path, "acme/K2.pem"), 0))
	d.want("K1", "K2.pem: cannot be read: permission denied")
}

// TestAStateWithMembersThatNothingReadsIsWarnedOf: the key is used all the same.
func TestAStateWithMembersThatNothingReadsIsWarnedOf(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("acme/K1.pem", string(keystoretest.PEM(t, 1)))
	d.write("acme/K1.json", `{"state":"active","activatd_at":1795425054}`)
	d.write("acme/K2.pem", string(keystoretest.PEM(t, 2)))
	d.write("acme/K2.json", `{"state":"prepared","x-note":"by hand"}`)
	warning := "warning: " + filepath.Join(d.path, "acme/K1.json") + `: has members that nothing reads: "activatd_at"; did you mean activated_at?`
	d.want("K1 K2", warning)
	d.want("K1 K2", warning) // the second time nothing has changed
}
