package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
	"github.com/playgate/playgate/server"
)

// compileShadow compiles the rules that an environment asks beside its own, if
// it has any. What its rules do is counted apart.
func compileShadow(path string, e *configs.Environment, compile compileFunc) (*policy.Policy, []configs.Problem) {
	if e.Shadow.Document == nil {
		return nil, nil
	}
	shadow, err := compile(e.Shadow.Document, e.Shadow.File, policyOptions(e))
	if err == nil {
		return shadow, nil
	}
	var list policy.Problems
	if !errors.As(err, &list) {
		list = policy.Problems{{Message: err.Error()}}
	}
	var problems []configs.Problem
	for _, p := range list {
		problems = append(problems, configs.Problem{Path: path + ".policy_shadow_file", Message: p.What(), Place: p.Place(e.Shadow.File)})
	}
	return nil, problems
}

// policyOf returns the rules that an environment was built with.
func policyOf(env *issuer.Environment) *policy.Policy {
	switch rules := env.Rules.(type) {
	case *policy.Policy:
		return rules
	case *policy.Shadowed:
		return rules.Policy
	}
	return nil
}

// putShadows puts the shadows of a state that is about to be in force beside its
// rules. One that says the same as they do is not asked.
func (a *App) putShadows(next *state) {
	for id, shadow := range next.shadows {
		env := next.minting[id]
		rules := policyOf(env)
		if shadow == nil || shadow.Revision() == rules.Revision() {
			continue
		}
		shadowed := policy.NewShadowed(policy.ShadowConfig{Policy: rules, Shadow: shadow, Environment: id, Metrics: a.inherited.metrics, Logger: a.log})
		env.Rules, env.ShadowReadsGrants = shadowed, shadow.ReadsGrants()
		env.ReadsPlace = env.ReadsPlace || shadow.ReadsPlace() // which cannot fail
	}
}

// tellRevisions publishes which rules are in force, before and after a reload.
func (a *App) tellRevisions(before, after *state) {
	if before != nil {
		for _, id := range before.environments {
			if after.minting[id] == nil {
				a.inherited.metrics.InForce(id, policy.RolePolicy, nil)
				a.inherited.metrics.InForce(id, policy.RoleShadow, nil)
			}
		}
	}
	for id, env := range after.minting {
		a.inherited.metrics.InForce(id, policy.RolePolicy, policyOf(env))
		a.inherited.metrics.InForce(id, policy.RoleShadow, after.shadows[id])
	}
}

// policyManager is the app as the server's policy manager.
type policyManager struct{ app *App }

// State returns the rules that an environment has in force.
func (m policyManager) State(env playback.EnvironmentID) server.PolicyState {
	s := m.app.state.Load()
	var state server.PolicyState
	if e := s.minting[env]; e != nil {
		rules := policyOf(e)
		state.Revision, state.Rules = rules.Revision(), rules.Len()
	}
	if shadow := s.shadows[env]; shadow != nil {
		state.Shadow = shadow.Revision()
	}
	return state
}

// Promote writes what the shadow says into policy_file and reloads. If that
// fails, the file is as it was before.
func (m policyManager) Promote(ctx context.Context, o server.PolicyOrder) (server.PolicyState, error) {
	a := m.app
	a.promoting.Lock()
	defer a.promoting.Unlock()
	s := a.state.Load()
	e, shadow := s.configured[o.Environment], s.shadows[o.Environment]
	from := m.State(o.Environment).Revision
	if err := mayPromote(e, shadow, o.Revision, from); err != nil {
		return server.PolicyState{}, err
	}
	if others := sharers(e, s.loaded.Config); len(others) > 0 {
		return server.PolicyState{}, conflict("Other environments have the same policy_file: their rules would be replaced too; nothing was changed.").
			Because(fmt.Errorf("policy_file %s is that of %s too", e.Policy.File, others))
	}
	old, err := configs.ReadFile(e.Policy.File)
	if err == nil {
		err = replaceFile(e.Policy.File, e.Shadow.Document)
	}
	if err != nil {
		return server.PolicyState{}, conflict("policy_file cannot be replaced; revision %s stays in force. The gateway's log says why.", from).Because(err)
	}
	var keys *KeysError
	if err := a.Reload(ctx); err != nil && !errors.As(err, &keys) {
		return server.PolicyState{}, notReloaded(from, shadow.Revision(), err, replaceFile(e.Policy.File, old))
	}
	state := m.State(o.Environment)
	a.log.Info("the shadow policy was promoted", "environment", string(o.Environment), "from", from, "to", state.Revision, "by", o.By, "request_id", o.RequestID)
	return state, nil
}

// notReloaded is the refusal of a promotion whose reload failed with err; undone
// is the error, if any, of putting the old policy_file back.
func notReloaded(from, to string, err, undone error) *playback.Error {
	message := "The configuration cannot be reloaded with the shadow's revision %s; policy_file is as it was before, and revision %s stays in force. The gateway's log says why."
	if undone != nil {
		message = "The configuration cannot be reloaded with the shadow's revision %s, and policy_file could not be put back: it holds the shadow's text, while revision %s stays in force. The gateway's log says why."
	}
	return conflict(message, to, from).Because(errors.Join(err, undone))
}

func conflict(format string, args ...any) *playback.Error {
	return playback.Errorf(playback.CodePolicyConflict, format, args...)
}

// mayPromote says what stands in the way of promoting the shadow over the
// revision that is in force.
func mayPromote(e *configs.Environment, shadow *policy.Policy, meant, inForce string) error {
	switch {
	case shadow == nil && meant != "" && meant == inForce:
		return conflict("Revision %.40q is in force already; there is no shadow policy beside it.", meant)
	case shadow == nil && meant != "":
		return conflict("There is no shadow policy, so revision %.40q cannot be promoted; revision %s is in force.", meant, inForce)
	case shadow == nil:
		return conflict("There is no shadow policy; revision %s is in force.", inForce)
	case meant != "" && meant != shadow.Revision():
		return conflict("Revision %.40q was to be promoted, but the shadow's is %s; revision %s is in force.", meant, shadow.Revision(), inForce)
	case e.Policy.File == "":
		return conflict("The rules in force, revision %s, stand in the configuration itself; only a policy_file can be replaced by the shadow's revision %s.", inForce, shadow.Revision())
	case shadow.NamesFiles() && filepath.Dir(e.Policy.File) != filepath.Dir(e.Shadow.File):
		return conflict("The shadow, revision %s, names files relative to its own folder, which is not that of policy_file; revision %s stays in force.", shadow.Revision(), inForce)
	}
	return nil
}

// sharers returns the other environments whose policy_file is the same file.
func sharers(e *configs.Environment, cfg *configs.Config) (others []playback.EnvironmentID) {
	if e.Policy.File == "" {
		return nil
	}
	file := realPath(e.Policy.File)
	for _, other := range cfg.Environments() {
		if other.ID != e.ID && other.Policy.File != "" && realPath(other.Policy.File) == file {
			others = append(others, other.ID)
		}
	}
	slices.Sort(others)
	return others
}

// realPath follows links; a path that leads nowhere is itself.
func realPath(path string) string {
	if at, err := filepath.EvalSymlinks(path); err == nil {
		path = at
	}
	if at, err := filepath.Abs(path); err == nil {
		path = at
	}
	return path
}

// checkSharedRules warns of shadows that cannot be promoted.
func checkSharedRules(cfg *configs.Config) (warnings []configs.Problem) {
	for path, e := range cfg.Environments() {
		if e.Shadow.Document == nil {
			continue
		}
		if others := sharers(e, cfg); len(others) > 0 {
			warnings = append(warnings, configs.Problem{
				Path:    path + ".policy_shadow_file",
				Message: fmt.Sprintf("cannot be promoted: policy_file is that of %s too", others),
			})
		}
	}
	return warnings
}

// replaceFile puts a text in place of a file's, at once: nobody reads half of
// it. Where the file is a link, what it leads to is replaced.
func replaceFile(path string, text []byte) (err error) {
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	next, err := os.CreateTemp(filepath.Dir(path), ".promote-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(next.Name()) // it may be renamed already
		}
	}()
	if _, err := bytes.NewReader(text).WriteTo(next); err != nil {
		return errors.Join(err, next.Close())
	}
	if err := errors.Join(next.Chmod(mode), next.Sync(), next.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", next.Name(), err)
	}
	return os.Rename(next.Name(), path)
}

// EnvironmentRules are the rules of an environment, as its configuration has them.
type EnvironmentRules struct {
	// Name is what messages call them: a file's path, or the configuration's and a
	// YAML path in it.
	Name     string
	Document []byte
	File     string           // policy_file; "": they stand in the configuration itself
	Line     func(string) int // the line of a member in the configuration; nil with File
}

// RulesOf returns the rules of an environment. They may be broken.
func RulesOf(path string, environ []string, env playback.EnvironmentID) (*EnvironmentRules, error) {
	loaded, err := configs.Source{Path: path, Environ: environ, KeepLines: true}.Load()
	if err != nil {
		return nil, err
	}
	for at, e := range loaded.Config.Environments() {
		switch {
		case e.ID != env:
			continue
		case e.Policy.Document == nil:
			return nil, fmt.Errorf("environment %s has no rules: neither policy nor policy_file; everything is denied", env)
		case e.Policy.File != "":
			return &EnvironmentRules{Name: e.Policy.File, Document: e.Policy.Document, File: e.Policy.File}, nil
		}
		at += ".policy"
		return &EnvironmentRules{Name: path + ": " + at, Document: e.Policy.Document, Line: func(member string) int {
			return loaded.Line(at + "." + member)
		}}, nil
	}
	return nil, noEnvironment(loaded.Config, env)
}

// noEnvironment says that there is no such environment, and which there are.
func noEnvironment(cfg *configs.Config, env playback.EnvironmentID) error {
	var names []string
	for _, e := range cfg.Environments() {
		names = append(names, string(e.ID))
	}
	return fmt.Errorf("there is no environment %.80q%s", env, playback.WantOneOf(string(env), names))
}
