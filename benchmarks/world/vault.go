package world

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Vault is a real Vault in dev mode: in memory, unsealed, KV version 2 at secret/.
type Vault struct {
	Address string

	token string
	cmd   *exec.Cmd
	ended chan error
}

// StartVault starts the Vault that tools/vault/build.sh builds (some minutes
// for the first time, then nothing).
func StartVault(ctx context.Context, home string) (*Vault, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(root, "tools", "vault", "build.sh")).Output() //nolint:gosec // a script of the checkout
	if err != nil {
		return nil, fmt.Errorf("building Vault: %w", err)
	}
	var bind net.ListenConfig
	l, err := bind.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("finding a free port: %w", err)
	}
	listen := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, fmt.Errorf("finding a free port: %w", err)
	}
	v := &Vault{Address: "http://" + listen, token: "root", ended: make(chan error, 1)}
	v.cmd = exec.Command(strings.TrimSpace(string(out)), "server", "-dev", "-dev-no-store-token", "-dev-root-token-id="+v.token, "-dev-listen-address="+listen) //nolint:gosec,noctx // Kill ends it
	v.cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := v.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting Vault: %w", err)
	}
	go func() { v.ended <- v.cmd.Wait() }()
	if err := v.await(ctx); err != nil {
		return nil, errors.Join(err, v.Kill())
	}
	return v, nil
}

func (v *Vault) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if status, _, err := Get(ctx, v.Address+"/v1/secret/config", "X-Vault-Token", v.token); err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("Vault is not ready")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// putKey writes a signing key, active, where the gateway reads it.
func (v *Vault) putKey(environment, id string, key []byte) error {
	body, err := json.Marshal(map[string]any{"data": map[string]string{
		"private_key": base64.StdEncoding.EncodeToString(key), "state": "active",
	}})
	if err != nil {
		return fmt.Errorf("writing a Vault entry: %w", err)
	}
	url := fmt.Sprintf("%s/v1/secret/data/playgate/%s/signing-keys/%s", v.Address, environment, id)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("X-Vault-Token", v.token)
	res, err := (&http.Client{}).Do(req)
	if err != nil {
		return fmt.Errorf("writing a key to Vault: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read below
	if answer, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("writing a key to Vault: status %d: %s", res.StatusCode, answer)
	}
	return nil
}

// Kill ends Vault at once, as a crash would. It may be called again.
func (v *Vault) Kill() error {
	if err := v.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing Vault: %w", err)
	}
	ended := <-v.ended // as it does when it is killed
	v.ended <- ended
	return nil
}
