// Package vault is the keystore.Keeper that has signing keys in a KV version 2
// secrets engine of HashiCorp Vault or OpenBao. One key is one entry:
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
// In TransitMode the entry holds only the key's life, and the key itself lies in
// a transit engine, which signs and never gives it away:
//
//	<transit mount>/keys/<prefix>.<environment>.<key id>
//
// Its version 1 signs, whatever is done to it inside Vault, because Mux knows
// one public key under one ID. What cannot be signed within a second fails, and
// after a few failures fails at once until Vault answers again; nothing is asked
// twice. deploy/vault holds the policies that each job needs.
//
// It logs in by token file, AppRole (with a wrapped secret ID, too), Kubernetes,
// JWT or TLS certificate, reading the files anew each time, or lets a Vault
// Agent or Proxy do that; renews what can be renewed; and logs in again when a
// token nears its end or is refused. No request of a viewer waits for Vault,
// but in TransitMode for a signature. It writes only as a keystore.Keeper, with
// check-and-set.
//
// Every answer's Date is compared with the clock: a difference of more than a
// minute is a Problem of every environment. A Retry-After is obeyed.
//
// The configuration decides alone: VAULT_ADDR, VAULT_TOKEN, VAULT_CACERT and all
// other variables of that kind are removed from the process's environment before
// Vault's client library could read them. HTTP_PROXY, HTTPS_PROXY and NO_PROXY
// apply, as everywhere in Go (never to a loopback address or a socket), and so do
// SSL_CERT_FILE and SSL_CERT_DIR unless Config.CAFile is set.
//
// A Source may be used from several goroutines.
//
// If an attacker controls Vault, or the way to it, they own the signatures of
// every environment: use https. If they can only take Vault down or make it
// refuse, Load fails and the last good keys stay in force; in TransitMode they
// cannot sign. If they can replace the file of a wrapped secret ID, they are
// found out: what it wraps must come from the role's own path. If they take the
// gateway's token in TransitMode, they can sign as long as it lasts, but the
// keys stay where they are.
package vault
