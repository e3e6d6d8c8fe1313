package vault

// WrapKey is wrapKey, for its test.
var WrapKey = wrapKey
