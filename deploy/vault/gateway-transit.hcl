# A gateway in mode transit: reads the states of the keys from KV and their
# public halves from transit, and has transit make RS256 signatures, no others.

path "secret/metadata/playgate/+/signing-keys"   { capabilities = ["list"] }
path "secret/metadata/playgate/+/signing-keys/+" { capabilities = ["read"] }
path "secret/data/playgate/+/signing-keys/+"     { capabilities = ["read"] }

path "transit/keys/+" { capabilities = ["read"] }
path "transit/sign/+" {
  capabilities = ["update"]
  allowed_parameters = {
    "batch_input"          = []
    "prehashed"            = []
    "key_version"          = []
    "hash_algorithm"       = ["sha2-256"]
    "signature_algorithm"  = ["pkcs1v15"]
    "marshaling_algorithm" = ["jws"]
  }
  required_parameters = ["signature_algorithm"] # without it, transit takes PSS
}

path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
