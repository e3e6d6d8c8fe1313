package configs_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/configs"
)

func TestTheStoreIsOneThatTheDriverCanOpen(t *testing.T) {
	t.Parallel()
	around := files{home + "/dsn": "postgres://u:p@db/playgate\n", home + "/secret": "s"}
	for text, want := range map[string]string{
		"store: {dsn: data/x.db}":                                    home + "/data/x.db",
		"store: {dsn: /var/lib/x.db}":                                "/var/lib/x.db",
		"store: {driver: postgres, dsn: 'host=db user=u'}":           "host=db user=u",
		"store: {driver: postgres, dsn_file: dsn}":                   "postgres://u:p@db/playgate",
		"store: {driver: postgres, dsn: 'postgres://u@db/p?pool=1'}": "postgres://u@db/p?pool=1",
	} {
		if got := mustLoad(t, text, around).Config.Store.Source.Reveal(); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	refused(t, "store: {driver: postgres}", "store.dsn", "postgres://", around)
	refused(t, "store: {driver: postgres, dsn_file: secret}", "store.dsn_file", "postgres://", around)
	refused(t, "store: {driver: postgres, dsn_file: gone}", "store.dsn_file", "", around)
	refused(t, "store: {dsn: 'postgres://u@db/p'}", "store.dsn", "path of a file", around)
	refused(t, "store: {dsn: ''}", "store.dsn", "is required", around)
	refused(t, "store: {driver: redis}", "store.driver", "memory, sqlite, postgres", around)
}

func TestADSNIsShownWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://u:hunter2@db/p", "postgres://db/p?user=u&password=hunter2", "host=db password=hunter2 user=u", "host=db password = 'hunter2 x' user=u",
	} {
		shown, err := configs.Redacted(mustLoad(t, "store: {driver: postgres, dsn: \""+dsn+"\"}", nil).Config)
		if err != nil || strings.Contains(string(shown), "hunter2") || !strings.Contains(string(shown), "db") {
			t.Errorf("%s is shown as %s, %v", dsn, shown, err)
		}
	}
}

func TestLookingUpNeedsMux(t *testing.T) {
	t.Parallel()
	around := files{home + "/secret": "s", home + "/hook1": "w1\n", home + "/hook2": "w2"}
	refused(t, environment("catalog: {unknown: lookup}"), inEnvironment+"catalog.unknown", "mux.token_id", around)
	mustLoad(t, environment("catalog: {unknown: lookup}\nmux: {token_id: t, token_secret_file: secret}"), around)
	refused(t, environment("catalog: {max_age: 0}"), inEnvironment+"catalog.max_age", "longer than zero", around)
	e := mustLoad(t, environment("webhooks: {secret_files: [hook1, hook2]}"), around)
	secrets := e.Config.Organizations[0].Environments[0].Webhooks.Secrets
	if len(secrets) != 2 || secrets[0].Reveal() != "w1" || secrets[1].Reveal() != "w2" {
		t.Errorf("secrets %d", len(secrets))
	}
	refused(t, environment("webhooks: {secret_files: [gone]}"), inEnvironment+"webhooks.secret_files[0]", "", around)
}
