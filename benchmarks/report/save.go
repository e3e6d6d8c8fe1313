package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Save writes raw.json, report.md, report.html and benchmarks.txt into a new
// folder <date>-<commit> of dir, and returns its path.
func (r *Run) Save(dir string) (string, error) {
	dir = filepath.Join(dir, r.Date.UTC().Format(time.DateOnly)+"-"+r.Commit)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("making the result folder: %w", err)
	}
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", fmt.Errorf("writing raw results: %w", err)
	}
	for name, content := range map[string]string{
		"raw.json": string(raw) + "\n", "report.md": r.Markdown(), "report.html": r.HTML(), "benchmarks.txt": r.Benchstat(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return "", fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return dir, nil
}
