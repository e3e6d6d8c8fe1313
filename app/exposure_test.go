package app_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/playgate/playgate/app"
)

// secretsBeside is minimal with secrets in files, of which that of Vault's client
// certificate is read at log-in only.
func secretsBeside(member string) string {
	return strings.Replace(minimal, "      - id: acme\n        access", "      - id: acme\n        "+member+"\n        access", 1)
}

// TestFilesWithSecretsAreCheckedLikeKeys, by check-config and at start, in the same
// words.
func TestFilesWithSecretsAreCheckedLikeKeys(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing on Windows")
	}
	const strict = "keystore: {driver: memory, file: {strict_permissions: true}}\n"
	inEnvironment := secretsBeside("token: {pseudonym_key_file: secrets/key}")
	for _, test := range []struct {
		name, head, text string
		file, dir        os.FileMode
		refused, warned  string // %s: the folder of the secret
	}{
		{name: "alone", text: inEnvironment, file: 0o600, dir: 0o755},
		{name: "as Kubernetes projects it", text: inEnvironment, file: 0o644, dir: 0o755, warned: "%s/key may be read by every user of the machine (mode 0644)"},
		{name: "as a Vault Agent writes it", text: inEnvironment, file: 0o640, dir: 0o700, warned: "%s/key may be read by its group (mode 0640)"},
		{name: "in a folder like /tmp", text: inEnvironment, file: 0o600, dir: 0o777 | os.ModeSticky, warned: "%s may be added to by every user of the machine (mode 0777 with the sticky bit)"},
		{name: "the group writes", text: inEnvironment, file: 0o660, dir: 0o755, refused: "%s/key may be written to by its group (mode 0660); want chmod go-w"},
		{name: "the group replaces", text: inEnvironment, file: 0o600, dir: 0o770, refused: "%s may be written to by its group (mode 0770); want chmod go-w"},
		{name: "strict", head: strict, text: inEnvironment, file: 0o640, dir: 0o700, refused: "%s/key may be read by its group (mode 0640); keystore.file.strict_permissions refuses that"},
		{
			name: "Vault's client key", head: "keystore: {driver: vault, vault: {address: 'https://127.0.0.1:1', auth: {method: cert, cert_file: cert, key_file: secrets/key}}}\n",
			text: minimal, file: 0o606, dir: 0o755, refused: "%s/key may be written to by every user of the machine (mode 0606); want chmod go-w",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			head := test.head
			if head == "" {
				head = "keystore: {driver: memory}\n"
			}
			path := write(t, "")
			put(t, path, head+test.text)
			dir := filepath.Join(filepath.Dir(path), "secrets")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, "key"), "a key of the test's own")
			for name, mode := range map[string]os.FileMode{filepath.Join(dir, "key"): test.file, dir: test.dir} {
				if err := os.Chmod(name, mode); err != nil {
					t.Fatal(err)
				}
			}
			checkAndStart(t, path, wanted(test.refused, dir), wanted(test.warned, dir))
		})
	}
}

func wanted(format, dir string) string {
	if format == "" {
		return ""
	}
	return fmt.Sprintf(format, dir)
}

// checkAndStart checks that check-config and a start refuse a configuration with
// the same message, or warn of it so.
func checkAndStart(t *testing.T, path, refused, warned string) {
	t.Helper()
	loaded, warnings, checkErr := app.Check(path, nil)
	var log bytes.Buffer
	gateway, startErr := app.New(app.Options{Path: path, Log: &log})
	if startErr == nil {
		if err := gateway.Stop(); err != nil {
			t.Error(err)
		}
	}
	if refused != "" {
		for what, err := range map[string]error{"check-config": checkErr, "a start": startErr} {
			if err == nil || !strings.Contains(err.Error(), refused) {
				t.Errorf("%s says %v, want %q", what, err, refused)
			}
		}
		return
	}
	if checkErr != nil || startErr != nil {
		t.Fatalf("Check = %v, %v; New = %v", loaded, checkErr, startErr)
	}
	said := fmt.Sprint(warnings)
	for what, text := range map[string]string{"check-config": said, "the log": log.String()} {
		if n := strings.Count(text, " may be "); n != min(1, len(warned)) || !strings.Contains(text, warned) {
			t.Errorf("%s warns %d times, want %q:\n%s", what, n, warned, text)
		}
	}
}

// TestWhatASecretLinksToIsChecked: Kubernetes links to a directory beside, and
// others to one elsewhere.
func TestWhatASecretLinksToIsChecked(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing on Windows")
	}
	path := write(t, "keystore: {driver: memory}\n"+secretsBeside("token: {pseudonym_key_file: key}"))
	elsewhere := filepath.Join(filepath.Dir(path), "elsewhere")
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(elsewhere, "key"), "a key of the test's own")
	if err := os.Symlink(filepath.Join("elsewhere", "key"), filepath.Join(filepath.Dir(path), "key")); err != nil {
		t.Fatal(err)
	}
	checkAndStart(t, path, "", "")
	if err := os.Chmod(elsewhere, 0o777); err != nil {
		t.Fatal(err)
	}
	checkAndStart(t, path, elsewhere+" may be written to by every user of the machine (mode 0777)", "")
}

// TestEveryLinkToASecretIsFollowed: who may write to a directory that one of them
// lies in may let it lead to a secret of their own.
func TestEveryLinkToASecretIsFollowed(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing on Windows")
	}
	for _, open := range []string{"first", "second", "last"} {
		path := write(t, "keystore: {driver: memory}\n"+secretsBeside("token: {pseudonym_key_file: key}"))
		at := func(parts ...string) string { return filepath.Join(append([]string{filepath.Dir(path)}, parts...)...) }
		for _, dir := range []string{"first", "second", "last"} {
			if err := os.Mkdir(at(dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		put(t, at("last", "key"), "a key of the test's own")
		for link, target := range map[string]string{
			at("key"): filepath.Join("first", "link"), at("first", "link"): at("second", "link"), at("second", "link"): filepath.Join("..", "last", "key"),
		} {
			if err := os.Symlink(target, link); err != nil {
				t.Fatal(err)
			}
		}
		checkAndStart(t, path, "", "")
		if err := os.Chmod(at(open), 0o777); err != nil {
			t.Fatal(err)
		}
		checkAndStart(t, path, at(open)+" may be written to by every user of the machine (mode 0777)", "")
	}
}
