package environments

import (
	"fmt"
	"strings"
	"time"
)

// Markdown is a table of figures.
func Markdown(all []Figures) string {
	var b strings.Builder
	b.WriteString("| environments | load | ready s | all can sign s | start CPU s | idle CPU % | RSS MB | kB each | most MB | reload s | reload CPU s | withdrawal s | stop s | check-config s (CPU) | its most MB |\n")
	b.WriteString("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, f := range all {
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %.1f | %.0f | %.0f | %.0f | %s | %s | %s | %s | %s (%s) | %.0f |\n",
			f.Environments, f.Load, seconds(f.Ready), seconds(f.Complete), seconds(f.StartCPU), 100*f.IdleCPU,
			megabytes(f.RSS), 1000*megabytes(f.RSS)/float64(f.Environments), megabytes(f.Highest),
			seconds(f.Reload), seconds(f.ReloadCPU), seconds(f.Withdraw), seconds(f.Stop), seconds(f.Check), seconds(f.CheckCPU), megabytes(f.CheckRSS))
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }
