package tenant

import (
	"fmt"
	"strings"

	"github.com/playgate/playgate/playback"
)

// Permission is one thing that an access token may do, as at Mux: read or
// write the video, data or system API (contract §2, §3).
type Permission uint8

// The permissions. Write does not include read: Mux lists both, so do we.
const (
	VideoRead Permission = 1 << iota
	VideoWrite
	DataRead
	DataWrite
	SystemRead
	SystemWrite
)

var permissions = [...]struct { //nolint:gochecknoglobals // a constant table
	permission Permission
	name       string
}{
	{VideoRead, "video:read"},
	{VideoWrite, "video:write"},
	{DataRead, "data:read"},
	{DataWrite, "data:write"},
	{SystemRead, "system:read"},
	{SystemWrite, "system:write"},
}

// ParsePermission reads a permission's name, such as "video:read".
func ParsePermission(name string) (Permission, error) {
	for _, p := range permissions {
		if p.name == name {
			return p.permission, nil
		}
	}
	return 0, fmt.Errorf("%.40q is not a permission: want %s%s", name, strings.Join(PermissionNames(), ", "), playback.DidYouMean(name, PermissionNames()))
}

// PermissionNames returns the names of all permissions, in the order of the
// documentation.
func PermissionNames() []string {
	names := make([]string, 0, len(permissions))
	for _, p := range permissions {
		names = append(names, p.name)
	}
	return names
}

// String returns the permission's name.
func (p Permission) String() string {
	for _, q := range permissions {
		if q.permission == p {
			return q.name
		}
	}
	return "unknown"
}

// Permissions is a set of permissions.
type Permissions uint8

// PermissionsOf returns the set of the given permissions.
func PermissionsOf(list ...Permission) Permissions {
	var set Permissions
	for _, p := range list {
		set |= Permissions(p)
	}
	return set
}

// Has reports whether the set holds p.
func (s Permissions) Has(p Permission) bool { return p != 0 && s&Permissions(p) == Permissions(p) }

// Names returns the names of the permissions in the set, in the order of the
// documentation.
func (s Permissions) Names() []string {
	names := []string{}
	for _, p := range permissions {
		if s.Has(p.permission) {
			names = append(names, p.name)
		}
	}
	return names
}

// String returns the names, joined by commas.
func (s Permissions) String() string { return strings.Join(s.Names(), ",") }
