//go:build cgo && linux

package signer

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
//
// typedef unsigned int (*number)(void);
// static unsigned int call(void *f) { return ((number)f)(); }
// // Go itself cannot call through a pointer of C.
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"
)

// libcryptoNames are what dlopen is asked for, in this order: the library
// that OpenSSL 3 has on every distribution, then the name that only
// development packages have, and which may be another version.
const libcryptoNames = "libcrypto.so.3 libcrypto.so"

// probeLibcrypto returns the first name under which a whole libcrypto of
// version 3 can be loaded.
func probeLibcrypto() (string, error) {
	var problems []string
	for name := range strings.FieldsSeq(libcryptoNames) {
		err := probe(name)
		if err == nil {
			return name, nil
		}
		problems = append(problems, err.Error())
	}
	return "", errors.New(strings.Join(problems, "; "))
}

// probe looks whether a library is version 3 and has every symbol that
// golang-fips/openssl will ask it for.
func probe(name string) error {
	file := C.CString(name)
	defer C.free(unsafe.Pointer(file))
	handle := C.dlopen(file, C.RTLD_LAZY|C.RTLD_LOCAL)
	if handle == nil {
		return fmt.Errorf("loading %s: not found or unreadable", name)
	}
	defer C.dlclose(handle)
	version := symbol(handle, "OPENSSL_version_major")
	if version == nil {
		return fmt.Errorf("loading %s: older than version 3", name)
	}
	if major := uint(C.call(version)); major != 3 {
		return fmt.Errorf("loading %s: version %d, want 3", name, major)
	}
	for s := range strings.FieldsSeq(libcryptoSymbols) {
		if symbol(handle, s) == nil {
			return fmt.Errorf("loading %s: it was built without %s", name, s)
		}
	}
	return nil
}

func symbol(handle unsafe.Pointer, name string) unsafe.Pointer {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return C.dlsym(handle, text)
}

// libcryptoSymbols are those that golang-fips/openssl v2.0.3 needs of OpenSSL
// 3 (its shims.h); TestLibcryptoSymbolsAreThoseOfTheModule holds them equal.
const libcryptoSymbols = `
	BN_bin2bn BN_bn2binpad BN_bn2lebinpad BN_clear BN_clear_free BN_free BN_lebin2bn BN_new BN_num_bits
	CRYPTO_free CRYPTO_malloc EC_GROUP_free EC_GROUP_new_by_curve_name EC_POINT_free EC_POINT_mul EC_POINT_new
	EC_POINT_oct2point EC_POINT_point2oct EC_POINT_set_affine_coordinates ERR_error_string_n ERR_get_error_all
	EVP_CIPHER_CTX_ctrl EVP_CIPHER_CTX_free EVP_CIPHER_CTX_new EVP_CIPHER_CTX_set_key_length
	EVP_CIPHER_CTX_set_padding EVP_CIPHER_fetch EVP_CIPHER_get0_name EVP_CIPHER_get_block_size EVP_CipherInit_ex
	EVP_CipherUpdate EVP_DecryptFinal_ex EVP_DecryptInit_ex EVP_DecryptUpdate EVP_Digest EVP_DigestFinal
	EVP_DigestInit EVP_DigestInit_ex EVP_DigestSign EVP_DigestSignFinal EVP_DigestSignInit EVP_DigestUpdate
	EVP_DigestVerify EVP_DigestVerifyFinal EVP_DigestVerifyInit EVP_EncryptFinal_ex EVP_EncryptInit_ex
	EVP_EncryptUpdate EVP_MAC_CTX_dup EVP_MAC_CTX_free EVP_MAC_CTX_new EVP_MAC_fetch EVP_MAC_final EVP_MAC_init
	EVP_MAC_update EVP_MD_CTX_copy EVP_MD_CTX_free EVP_MD_CTX_new EVP_MD_fetch EVP_MD_free EVP_MD_get0_name
	EVP_PKEY_CTX_add1_hkdf_info EVP_PKEY_CTX_add1_tls1_prf_seed EVP_PKEY_CTX_ctrl EVP_PKEY_CTX_free
	EVP_PKEY_CTX_new EVP_PKEY_CTX_new_id EVP_PKEY_CTX_set0_rsa_oaep_label EVP_PKEY_CTX_set1_hkdf_key
	EVP_PKEY_CTX_set1_hkdf_salt EVP_PKEY_CTX_set1_tls1_prf_secret EVP_PKEY_CTX_set_hkdf_md
	EVP_PKEY_CTX_set_hkdf_mode EVP_PKEY_CTX_set_tls1_prf_md EVP_PKEY_decrypt EVP_PKEY_decrypt_init
	EVP_PKEY_derive EVP_PKEY_derive_init EVP_PKEY_derive_set_peer EVP_PKEY_encrypt EVP_PKEY_encrypt_init
	EVP_PKEY_free EVP_PKEY_fromdata EVP_PKEY_fromdata_init EVP_PKEY_get1_encoded_public_key EVP_PKEY_get_bits
	EVP_PKEY_get_bn_param EVP_PKEY_get_raw_private_key EVP_PKEY_get_raw_public_key EVP_PKEY_get_size
	EVP_PKEY_keygen EVP_PKEY_keygen_init EVP_PKEY_new EVP_PKEY_new_raw_private_key EVP_PKEY_new_raw_public_key
	EVP_PKEY_set1_encoded_public_key EVP_PKEY_sign EVP_PKEY_sign_init EVP_PKEY_up_ref EVP_PKEY_verify
	EVP_PKEY_verify_init EVP_SIGNATURE_fetch EVP_SIGNATURE_free EVP_aes_128_cbc EVP_aes_128_ctr EVP_aes_128_ecb
	EVP_aes_128_gcm EVP_aes_192_cbc EVP_aes_192_ctr EVP_aes_192_ecb EVP_aes_192_gcm EVP_aes_256_cbc
	EVP_aes_256_ctr EVP_aes_256_ecb EVP_aes_256_gcm EVP_default_properties_enable_fips
	EVP_default_properties_is_fips_enabled EVP_des_cbc EVP_des_ecb EVP_des_ede3_cbc EVP_des_ede3_ecb EVP_md4
	EVP_md5 EVP_md5_sha1 EVP_rc4 EVP_sha1 EVP_sha224 EVP_sha256 EVP_sha384 EVP_sha3_224 EVP_sha3_256 EVP_sha3_384
	EVP_sha3_512 EVP_sha512 OBJ_nid2sn OPENSSL_init OPENSSL_init_crypto OSSL_PARAM_BLD_free OSSL_PARAM_BLD_new
	OSSL_PARAM_BLD_push_BN OSSL_PARAM_BLD_push_octet_string OSSL_PARAM_BLD_push_utf8_string
	OSSL_PARAM_BLD_to_param OSSL_PARAM_free OSSL_PROVIDER_available OSSL_PROVIDER_load OpenSSL_version
	PKCS5_PBKDF2_HMAC RAND_bytes
`
