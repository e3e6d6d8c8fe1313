package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/postgres"
	"github.com/playgate/playgate/store/sqlite"
)

// checkTimeout bounds how long check-config waits for keys: a Vault that is
// out of its reach is a warning, not a wait.
const checkTimeout = 5 * time.Second

// Check does all that New and Start do with a configuration short of serving,
// for check-config: the error is everything that is wrong with it. It returns
// what was loaded, and what is legal but dangerous. Keys that cannot be reached
// from here are the latter: the gateway may run elsewhere.
func Check(path string, environ []string) (*configs.Loaded, []configs.Problem, error) {
	s, _, err := load(path, environ, new(inherited))
	if err != nil {
		return nil, nil, err
	}
	problems, warnings := checkKeys(s.loaded.Config)
	problems = append(checkGeo(s.loaded.Config), problems...)
	problems = append(problems, checkPlaces(path, s.loaded.Config)...)
	unfit, unreachable := checkStore(&s.loaded.Config.Store)
	problems, warnings = append(problems, unfit...), append(warnings, unreachable...)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	warnings = append(warnings, checkSharedRules(s.loaded.Config)...)
	return s.loaded, append(s.loaded.Warnings, warnings...), nil
}

// checkStore looks at the schema of a store that is there.
func checkStore(cfg *configs.Store) (problems configs.Problems, warnings []configs.Problem) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	var err error
	switch cfg.Driver {
	case "sqlite":
		err = sqlite.Check(ctx, cfg.Source.Reveal())
	case "postgres":
		err = postgres.Check(ctx, cfg.Source.Reveal())
	}
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, store.ErrSchema):
		return configs.Problems{{Path: sourcePath(cfg), Message: err.Error()}}, nil
	}
	return nil, []configs.Problem{{Path: sourcePath(cfg), Message: "the store cannot be read from here: " + err.Error()}}
}

// sourcePath returns the member of the configuration that says where the store is.
func sourcePath(cfg *configs.Store) string {
	if cfg.DSNFile != "" {
		return "store.dsn_file"
	}
	return "store.dsn"
}

// checkPlaces looks at where the gateway writes: the folders must be there, and
// who runs the check must be able to write into them, as the gateway must.
func checkPlaces(path string, cfg *configs.Config) (problems configs.Problems) {
	place := func(at, file string) {
		if err := checkPlace(file); err != nil {
			problems = append(problems, configs.Problem{Path: at, Message: err.Error()})
		}
	}
	if cfg.Store.Driver == "sqlite" {
		place(sourcePath(&cfg.Store), cfg.Store.Source.Reveal())
	}
	if cfg.Decisions.Output != "file" {
		return problems
	}
	const at = "decisions.file.path"
	log := string(cfg.Decisions.File.Path)
	place(at, log)
	if realPath(log) == realPath(path) {
		problems = append(problems, configs.Problem{Path: at, Message: "is the configuration itself"})
	}
	return problems
}

// checkPlace reports why a file, and others beside it, cannot be written. It
// tries: neither permissions nor access(2) tell of read-only mounts, quotas and
// what a network file system makes of root.
func checkPlace(file string) error {
	dir := filepath.Dir(file)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no folder %s", dir)
	}
	probe, err := os.CreateTemp(dir, ".playgate-check-*")
	if err != nil {
		return fmt.Errorf("the folder %s cannot be written: %w", dir, causeOf(err))
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return fmt.Errorf("the folder %s cannot be written: %w", dir, err)
	}
	there, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0) //nolint:gosec // the configuration says which file is written
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%s cannot be written: %w", file, causeOf(err))
	}
	return there.Close()
}

// causeOf returns an error without the path that the message already has.
func causeOf(err error) error {
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

// checkKeys reads the signing keys of every environment, once.
func checkKeys(cfg *configs.Config) (problems configs.Problems, warnings []configs.Problem) {
	if cfg.Keystore.Driver == "memory" {
		return nil, nil
	}
	unreachable := func(err error) []configs.Problem {
		return append(warnings, configs.Problem{Path: "keystore", Message: "the signing keys cannot be read from here: " + err.Error()})
	}
	source, err := newKeeper(cfg, slog.New(slog.DiscardHandler), keeperClocks{time.Now, time.Now})
	if err != nil {
		return nil, unreachable(err)
	}
	defer func() { _ = source.Close() }() // nothing was written
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	for path, e := range cfg.Environments() {
		set, refused, err := keystore.Load(ctx, source, e.ID)
		for _, p := range refused {
			what := "signing key refused or overruled: "
			if p.Warning {
				what = "signing key "
			}
			warnings = append(warnings, configs.Problem{Path: path, Message: what + p.String()})
		}
		switch {
		case errors.Is(err, keystore.ErrSeveralStateless):
			problems = append(problems, configs.Problem{Path: path, Message: "signing keys: " + err.Error()})
		case err != nil:
			return problems, unreachable(err)
		default:
			warnings = append(warnings, keysetWarnings(path, e, set)...)
		}
	}
	return problems, warnings
}

func keysetWarnings(path string, e *configs.Environment, set keystore.Keyset) (warnings []configs.Problem) {
	if _, ok := set.Active(); !ok {
		warnings = append(warnings, configs.Problem{Path: path, Message: "there is no active signing key: requests are answered 503 no_active_key"})
	}
	warnings = append(warnings, rotationWarnings(path, e, set)...)
	ended := func(k *keystore.Key) bool {
		at, known := termsOf(e).DeletableAt(k.Life())
		return known && !time.Now().Before(at)
	}
	published := len(slices.DeleteFunc(slices.Clone(set.Keys), ended))
	if published > 1 && e.Token.Kid == playback.KidClaim {
		warnings = append(warnings, configs.Problem{
			Path:    path + ".token.kid",
			Message: fmt.Sprintf("claim, and %d keys are published: verifiers other than Mux look for the key ID in the header; use both", published),
		})
	}
	return warnings
}

// rotationWarnings says where the schedule does not know the age of the key that
// it is to replace, and what to write beside it.
func rotationWarnings(path string, e *configs.Environment, set keystore.Keyset) []configs.Problem {
	active, ok := set.Active()
	if !ok || e.Keys.RotateEvery == 0 || !active.ActivatedAt.IsZero() {
		return nil
	}
	effect := "nothing is rotated"
	if !active.CreatedAt.IsZero() {
		effect = "its age counts from created_at"
	}
	life := active.Life()
	life.ActivatedAt = time.Now()
	for _, known := range []time.Time{active.StoredAt, active.CreatedAt} { // the last one is the best
		if !known.IsZero() {
			life.ActivatedAt = known
		}
	}
	document, err := json.Marshal(life.Document())
	if err != nil { // strings and bools always marshal
		return []configs.Problem{{Path: path, Message: "keys.rotate_every: " + err.Error()}}
	}
	where := strings.TrimSuffix(active.Origin, ".pem") + ".json"
	if where == active.Origin+".json" { // an entry in Vault
		where = active.Origin
	}
	return []configs.Problem{{Path: path + ".keys.rotate_every", Message: fmt.Sprintf(
		"since when the active key %s signs is not known, so %s: write %s to %s", active.ID, effect, document, where)}}
}

// keySetChecker looks at the files with viewers' key sets: at each once, however many
// environments name it.
type keySetChecker struct{ checked map[string]keySetCheck }

func newKeySetChecker() *keySetChecker { return &keySetChecker{map[string]keySetCheck{}} }

// keySetCheck is what there is to say of one file.
type keySetCheck struct {
	problem  string
	warnings []string
}

// check looks at the key sets that an environment's viewers are verified with
// where they are files. One that cannot be opened was reported by configs. Of URLs
// it judges the text alone: they need not be reachable from here.
func (k *keySetChecker) check(path string, e *configs.Environment, read configs.ReadFunc) (problems, warnings []configs.Problem) {
	for i, v := range e.Viewers {
		if wrong := identity.Misdirected(v.JWKSURL); wrong != "" {
			warnings = append(warnings, configs.Problem{Path: fmt.Sprintf("%s.viewers[%d].jwks_url", path, i), Message: wrong})
		}
		if v.JWKSFile == "" {
			continue
		}
		at := fmt.Sprintf("%s.viewers[%d].jwks_file", path, i)
		found := k.of(string(v.JWKSFile), read)
		if found.problem != "" {
			problems = append(problems, configs.Problem{Path: at, Message: found.problem})
		}
		for _, text := range found.warnings {
			warnings = append(warnings, configs.Problem{Path: at, Message: text})
		}
	}
	return problems, warnings
}

func (k *keySetChecker) of(file string, read configs.ReadFunc) keySetCheck {
	if known, ok := k.checked[file]; ok {
		return known
	}
	var found keySetCheck
	if body, err := read(file); err == nil {
		usable, dropped, err := identity.ReadKeySet(body)
		switch {
		case err != nil:
			found.problem = fmt.Sprintf("%s: %s", file, err)
		case usable == 0:
			found.warnings = append(found.warnings, "no key of it can verify a viewer token: everybody is refused")
		}
		for _, reason := range dropped {
			found.warnings = append(found.warnings, "not used: "+reason)
		}
	}
	k.checked[file] = found
	return found
}
