// Package vault is the keystore.Source that reads signing keys from a KV
// version 2 secrets engine of HashiCorp Vault or OpenBao. One key is one entry:
//
//	<mount>/data/<prefix>/<environment>/signing-keys/<key id>
//	{"private_key": base64 PEM or PEM, "state", "created_at", "activated_at", "retired_at"}
//
// Keys are found by listing metadata. Their data is read only when the metadata
// has changed in any way: Vault moves neither the version nor the update time
// when a version is deleted, undeleted or destroyed. A version that is to be
// deleted at a set time (delete_version_after) is read every time, because
// nothing in the metadata changes when that time comes. A key that is deleted,
// destroyed or gone is withdrawn.
//
// The policy of the gateway's token needs:
//
//	path "<mount>/metadata/<prefix>/*"  { capabilities = ["read", "list"] }
//	path "<mount>/data/<prefix>/*"      { capabilities = ["read"] }
//	path "auth/token/lookup-self"       { capabilities = ["read"] }    # in Vault's default policy
//	path "auth/token/renew-self"        { capabilities = ["update"] }  # in Vault's default policy
//
// It logs in by token file or AppRole, reading the files anew each time; renews
// what can be renewed; and logs in again when a token nears its end or is
// refused. It never writes to Vault, and it does no I/O but in Load and to renew
// its token: no request of a viewer waits for Vault.
//
// The configuration decides alone: of Vault's environment variables VAULT_ADDR,
// VAULT_TOKEN, VAULT_NAMESPACE and all others are ignored (a malformed one is
// reported by Vault's client library, and stops New). HTTP_PROXY, HTTPS_PROXY
// and NO_PROXY apply, as everywhere in Go, and so do SSL_CERT_FILE and
// SSL_CERT_DIR, through which a private CA can be trusted.
//
// A Source may be used from several goroutines.
//
// If an attacker controls Vault, or the way to it, they own the signatures of
// every environment: use https. If they can only take Vault down or make it
// refuse, Load fails and the last good keys stay in force.
package vault
