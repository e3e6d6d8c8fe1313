package issuer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/playgate/playgate/playback"
)

// maxCustom is the size of a token's custom claims in bytes (contract §5).
const maxCustom = 1024

// mergeCustom joins the rule's custom claims (a canonical JSON object, "" none)
// and a backend's (name → canonical JSON); the rule beats the backend per key,
// because it is what binds a token to its viewer.
func mergeCustom(rule string, backend map[string]string) (string, error) {
	if len(backend) == 0 {
		return rule, nil
	}
	merged := maps.Clone(backend)
	if rule != "" {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(rule), &fields); err != nil {
			return "", fmt.Errorf("reading a rule's custom claims: %w", err)
		}
		for name, value := range fields {
			merged[name] = string(value)
		}
	}
	var b strings.Builder
	for n, name := range slices.Sorted(maps.Keys(merged)) {
		b.WriteByte("{,"[min(n, 1)])
		quoted, err := json.Marshal(name)
		if err != nil {
			return "", fmt.Errorf("writing custom claim %s: %w", strconv.Quote(name), err)
		}
		b.Write(quoted)
		b.WriteByte(':')
		b.WriteString(merged[name])
	}
	b.WriteByte('}')
	if b.Len() > maxCustom {
		return "", playback.Errorf(playback.CodeInvalidField, "custom: is larger than %d bytes", maxCustom)
	}
	return b.String(), nil
}
