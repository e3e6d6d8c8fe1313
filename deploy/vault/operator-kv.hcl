# playgate keys in mode kv: reads, creates, changes and deletes signing keys.

path "secret/metadata/playgate/+/signing-keys"   { capabilities = ["list"] }
path "secret/metadata/playgate/+/signing-keys/+" { capabilities = ["read", "delete"] }
path "secret/data/playgate/+/signing-keys/+"     { capabilities = ["create", "read", "update"] }

# One operation at a time in each environment, over all replicas.
path "secret/metadata/playgate/+/journal" { capabilities = ["read"] }
path "secret/data/playgate/+/journal"     { capabilities = ["create", "read", "update"] }

path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
