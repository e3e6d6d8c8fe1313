package vault

import (
	"crypto/aes"
	"encoding/binary"
	"fmt"
)

// block is half of AES's, in bytes: the unit of RFC 3394.
const block = 8

// wrapKey encrypts a key with another, by AES Key Wrap with Padding (RFC 5649
// §4.1), which the standard library does not have.
func wrapKey(with, key []byte) ([]byte, error) {
	cipher, err := aes.NewCipher(with)
	if err != nil {
		return nil, fmt.Errorf("wrapping key: %w", err)
	}
	if len(key) == 0 || uint64(len(key)) > 1<<31 {
		return nil, fmt.Errorf("wrapping key: %d bytes", len(key))
	}
	padded := (len(key) + block - 1) / block * block
	out := make([]byte, block+padded)
	binary.BigEndian.PutUint32(out, 0xa65959a6)           // RFC 5649 §3: the alternative initial value
	binary.BigEndian.PutUint32(out[4:], uint32(len(key))) //nolint:gosec // bounded above
	copy(out[block:], key)                                // zeros follow
	if padded == block {
		cipher.Encrypt(out, out)
		return out, nil
	}
	// RFC 3394 §2.2.1, with the registers R in place in out and A in buffer.
	n := padded / block
	buffer := make([]byte, aes.BlockSize)
	copy(buffer, out[:block])
	for j := range 6 {
		for i := 1; i <= n; i++ {
			register := out[i*block : (i+1)*block]
			copy(buffer[block:], register)
			cipher.Encrypt(buffer, buffer)
			step := uint64(n*j + i) //nolint:gosec // small
			binary.BigEndian.PutUint64(buffer, binary.BigEndian.Uint64(buffer)^step)
			copy(register, buffer[block:])
		}
	}
	copy(out, buffer[:block])
	return out, nil
}
