# A gateway in mode kv: reads the signing keys of every environment.

path "secret/metadata/playgate/+/signing-keys"   { capabilities = ["list"] }
path "secret/metadata/playgate/+/signing-keys/+" { capabilities = ["read"] }
path "secret/data/playgate/+/signing-keys/+"     { capabilities = ["read"] }

# In Vault's policy "default", too, which a role may leave out.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
