# playgate keys in mode transit: the states as in mode kv; private keys go into
# transit, where nobody can take them out again, and are deleted there.

path "secret/metadata/playgate/+/signing-keys"   { capabilities = ["list"] }
path "secret/metadata/playgate/+/signing-keys/+" { capabilities = ["read", "delete"] }
path "secret/data/playgate/+/signing-keys/+"     { capabilities = ["create", "read", "update"] }

# One operation at a time in each environment, over all replicas.
path "secret/metadata/playgate/+/journal" { capabilities = ["read"] }
path "secret/data/playgate/+/journal"     { capabilities = ["create", "read", "update"] }

path "transit/wrapping_key" { capabilities = ["read"] }
path "transit/keys/+"       { capabilities = ["read", "delete"] }
path "transit/keys/+/import" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "ciphertext"             = []
    "hash_function"          = ["SHA256"]
    "type"                   = ["rsa-2048", "rsa-3072", "rsa-4096"]
    "allow_rotation"         = [false]
    "exportable"             = [false]
    "allow_plaintext_backup" = [false]
  }
}
path "transit/keys/+/config" {
  capabilities       = ["create", "update"]
  allowed_parameters = { "deletion_allowed" = [] }
}

path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
