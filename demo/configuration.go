package demo

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed demo.yaml policies/*.yaml
var files embed.FS

// The addresses in demo.yaml.
const (
	defaultListen  = "127.0.0.1:8080"
	defaultGateway = "http://127.0.0.1:8080"
	defaultMux     = "http://127.0.0.1:8081"
)

// Place says where a demo runs.
type Place struct {
	Gateway string // base URL of the gateway, "" means http://127.0.0.1:8080
	Mux     string // base URL of the simulated Mux, "" means http://127.0.0.1:8081
	Listen  string // server.listen, "" means 127.0.0.1:8080
	// JWKSURL is where the gateway finds the viewers' keys, "" means
	// /idp/jwks.json beside the simulated Mux: the gateway waits for its issuers
	// before it serves, so it cannot be its own.
	JWKSURL string
}

func (p Place) withDefaults() Place {
	if p.Gateway == "" {
		p.Gateway = defaultGateway
	}
	if p.Mux == "" {
		p.Mux = defaultMux
	}
	if p.Listen == "" {
		p.Listen = defaultListen
	}
	if p.JWKSURL == "" {
		p.JWKSURL = p.Mux + "/idp/jwks.json"
	}
	return p
}

// RuleFile is one of the demo's rule files.
type RuleFile struct {
	Name     string `json:"name"` // the value of #policy
	Title    string `json:"title"`
	Document string `json:"document"`
}

// StandardRules is the rule file in force at start.
const StandardRules = "standard"

// RuleFiles returns the demo's rule files, StandardRules first.
func RuleFiles() ([]RuleFile, error) {
	out := []RuleFile{{Name: StandardRules, Title: "Standard"}, {Name: "lockdown", Title: "Lockdown"}}
	for i := range out {
		document, err := files.ReadFile("policies/" + out[i].Name + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("reading rules: %w", err)
		}
		out[i].Document = string(document)
	}
	return out, nil
}

// Configuration returns demo.yaml for a place. Relative paths in it are those
// that Write makes.
func Configuration(place Place) (string, error) {
	document, err := files.ReadFile("demo.yaml")
	if err != nil {
		return "", fmt.Errorf("reading demo.yaml: %w", err)
	}
	place = place.withDefaults()
	return strings.NewReplacer(
		fmt.Sprintf("listen: %q", defaultListen), fmt.Sprintf("listen: %q", place.Listen),
		defaultMux+"/idp/jwks.json", place.JWKSURL,
		defaultGateway, place.Gateway,
		defaultMux, place.Mux,
	).Replace(string(document)), nil
}

// Write writes the configuration for a place and its rules into a folder, and
// returns the configuration's path. The rule file that demo.yaml names then
// holds StandardRules; WriteRules puts another document there.
func Write(dir string, place Place) (string, error) {
	document, err := Configuration(place)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(dir, "policies"), 0o700); err != nil {
		return "", fmt.Errorf("writing the demo's configuration: %w", err)
	}
	path := filepath.Join(dir, "demo.yaml")
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		return "", fmt.Errorf("writing the demo's configuration: %w", err)
	}
	return path, WriteRules(dir, StandardRules)
}

// WriteRules puts a rule file in the place of the one that both environments
// read; the gateway must then reload. The file is replaced in one step, so that
// no reader sees half of it.
func WriteRules(dir, name string) error {
	rules, err := RuleFiles()
	if err != nil {
		return err
	}
	for _, r := range rules {
		if r.Name != name {
			continue
		}
		path := filepath.Join(dir, "policies", StandardRules+".yaml")
		if err := os.WriteFile(path+".new", []byte(r.Document), 0o600); err != nil {
			return fmt.Errorf("writing rules: %w", err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			return fmt.Errorf("writing rules: %w", err)
		}
		return nil
	}
	return fmt.Errorf("no rule file is called %.40q", name)
}
