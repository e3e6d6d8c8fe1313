package tenant

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/playgate/playgate/playback"
)

// mainAlias is the alias of an issuer that is given none, and of viewers where
// no issuer is configured.
const mainAlias = "main"

// maxNamed bounds the aliases that a message lists.
const maxNamed = 10

// Aliases returns the names that viewers' issuers have in the environment, in
// the order of the configuration.
func (e *Environment) Aliases() []string {
	if len(e.Issuers) == 0 {
		return []string{mainAlias}
	}
	var all []string
	for i := range e.Issuers {
		if alias := e.Issuers[i].Alias; !slices.Contains(all, alias) {
			all = append(all, alias)
		}
	}
	return all
}

// AliasOf returns the alias of the issuer that a backend means: by its alias, by
// the URL that a viewer token has in iss, or by "" where it can only be one: the
// only issuer, else the one called main. The error says what to write instead.
func (e *Environment) AliasOf(name string) (string, error) {
	var byURL []string
	for i := range e.Issuers {
		switch issuer := &e.Issuers[i]; {
		case name == "":
			if len(e.Issuers) == 1 || issuer.Alias == mainAlias {
				return issuer.Alias, nil
			}
		case issuer.Alias == name:
			return name, nil
		case issuer.Issuer == name && !slices.Contains(byURL, issuer.Alias):
			byURL = append(byURL, issuer.Alias)
		}
	}
	switch {
	case len(e.Issuers) == 0 && (name == "" || name == mainAlias):
		return mainAlias, nil
	case name == "":
		return "", fmt.Errorf("is required: %s", oneOf(e.Aliases()))
	case len(byURL) == 1:
		return byURL[0], nil
	case len(byURL) > 1:
		return "", fmt.Errorf("is the URL of several issuers: %s", oneOf(byURL))
	}
	return "", errors.New("is no issuer of this environment" + e.suggestAlias(name))
}

// suggestAlias says which issuer was probably meant: the one whose alias or URL
// is nearly what was written, else any.
func (e *Environment) suggestAlias(written string) string {
	if alias := playback.Nearest(written, e.Aliases()); alias != "" {
		return "; did you mean " + alias + "?"
	}
	for i := range e.Issuers {
		if issuer := &e.Issuers[i]; folded(issuer.Issuer) == folded(written) {
			return "; did you mean " + issuer.Alias + ", which is " + issuer.Issuer + "?"
		}
	}
	return ": " + oneOf(e.Aliases())
}

func oneOf(aliases []string) string {
	switch {
	case len(aliases) == 1:
		return "want " + aliases[0]
	case len(aliases) > maxNamed:
		return "want one of " + strings.Join(aliases[:maxNamed], ", ") + " and others"
	}
	return "want one of " + strings.Join(aliases, ", ")
}
