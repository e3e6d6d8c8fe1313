package cli

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/playgate/playgate/tenant"
)

// accessCommands groups what can be done with access tokens.
type accessCommands struct {
	Create accessCreateCommand `cmd:"" help:"Make an access token; the secret is printed once and kept nowhere."`
}

type accessCreateCommand struct {
	Name        string   `required:"" help:"What the token is called; shown in logs."`
	Permissions []string `default:"video:read" help:"What it may do: video:read mints and reads grants, video:write writes grants, system:read explains, lists keys and tells the rules, system:write changes keys and promotes rules; data:read and data:write are taken and give nothing yet."`
}

// Run prints ID and secret, and the YAML entry that holds only the hash.
func (c *accessCreateCommand) Run(p *Process) error {
	for _, r := range c.Name {
		if unicode.IsControl(r) {
			return fmt.Errorf("--name: must not hold control characters")
		}
	}
	for _, name := range c.Permissions {
		if _, err := tenant.ParsePermission(name); err != nil {
			return fmt.Errorf("--permissions: %w", err)
		}
	}
	id, secret, err := tenant.NewAccessToken(nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Stdout, `# Access token ID and secret, for Basic authentication. The secret is shown only now.
id:     %s
secret: %s

# For access_tokens in the configuration, which holds only the secret's hash:
- {id: %s, name: %q, secret_sha256: %s, permissions: [%s]}
`, id, secret.Reveal(), id, c.Name, tenant.HashSecret(secret.Reveal()).Hex(), strings.Join(c.Permissions, ", "))
	return err
}
