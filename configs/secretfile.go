package configs

import (
	"fmt"
	"reflect"
	"slices"
)

// ExposureFunc says what others than its owner may do to a file that holds a
// secret: what there is to warn of, or why it is refused. Both are nil for a file
// that cannot be looked at: whoever reads it says so.
type ExposureFunc func(path string) (warnings []error, refused error)

// exposure is what an ExposureFunc said, comparable.
type exposure struct{ refused, warnings string }

func exposureOf(judge ExposureFunc, path string) exposure {
	warnings, refused := judge(path)
	return exposure{fmt.Sprint(refused), fmt.Sprint(warnings)}
}

// checkSecretFiles looks at who may reach the files that a section's members with
// the tag secret name. The tag's values are the auth.method that reads the file,
// or true. Environments are not among the members of the whole configuration: each
// is looked at by itself.
func (l *loader) checkSecretFiles(v reflect.Value, at string) {
	if l.source.Exposure == nil {
		return
	}
	for _, m := range membersOf(v.Type()) {
		path, field := join(at, m.name), v.Field(m.i)
		switch {
		case path == "organizations", path == "keystore.vault" && l.config.Keystore.Driver != "vault":
		case len(m.list("secret")) > 0:
			l.checkSecretFile(&m, field, path)
		case sectionOf(m.typ) == nil:
		case field.Kind() == reflect.Slice:
			for i := range field.Len() {
				l.checkSecretFiles(field.Index(i), fmt.Sprintf("%s[%d]", path, i))
			}
		case field.Kind() == reflect.Struct:
			l.checkSecretFiles(field, path)
		}
	}
}

// checkSecretFile looks at the file, or the files, that a member names.
func (l *loader) checkSecretFile(m *member, field reflect.Value, path string) {
	if methods := m.list("secret"); methods[0] != "true" && !slices.Contains(methods, l.config.Keystore.Vault.Auth.Method) {
		return
	}
	if field.Kind() != reflect.Slice {
		l.judge(path, Path(field.String()))
		return
	}
	for i := range field.Len() {
		l.judge(fmt.Sprintf("%s[%d]", path, i), Path(field.Index(i).String()))
	}
}

// judge reports what others may do to a file with a secret.
func (l *loader) judge(at string, file Path) {
	if file == "" {
		return
	}
	warnings, refused := l.source.Exposure(string(file))
	if l.current != nil {
		l.current.exposures[string(file)] = exposure{fmt.Sprint(refused), fmt.Sprint(warnings)}
	}
	switch {
	case refused != nil:
		l.report.add(at, "%s", refused)
	case len(warnings) > 0 && l.config.Keystore.File.StrictPermissions:
		l.report.add(at, "%s; keystore.file.strict_permissions refuses that", warnings[0])
	default:
		for _, w := range warnings {
			l.report.warn(at, "%s", w)
		}
	}
}
