package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// Algorithm is how tokens are signed (RFC 7518 §3, RFC 8037).
type Algorithm string

// The algorithms. HS256 has a secret instead of a key pair: it is for the
// jwtSecret that KubeSphere 3.x shares between clusters.
const (
	ES256 Algorithm = "ES256"
	RS256 Algorithm = "RS256"
	EdDSA Algorithm = "EdDSA"
	HS256 Algorithm = "HS256"
)

// rsaBits is the size of RSA keys (NIST SP 800-57: until 2030 and beyond).
const rsaBits = 3072

func (a Algorithm) method() jwt.SigningMethod {
	switch a {
	case ES256:
		return jwt.SigningMethodES256
	case RS256:
		return jwt.SigningMethodRS256
	case EdDSA:
		return jwt.SigningMethodEdDSA
	}
	return nil
}

// generate makes a private key.
func (a Algorithm) generate(random io.Reader) (crypto.Signer, error) {
	switch a {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), random)
	case RS256:
		// Go itself chooses the primes from its own source.
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(random)
		return private, err
	}
	return nil, fmt.Errorf("algorithm %q is not supported", a)
}

// check reports whether a key is one of the algorithm, and no weaker than ours.
func (a Algorithm) check(private any) (crypto.Signer, error) {
	switch a {
	case ES256:
		if key, is := private.(*ecdsa.PrivateKey); is && key.Curve == elliptic.P256() {
			return key, nil
		}
		return nil, errors.New("not an ECDSA key on P-256")
	case RS256:
		if key, is := private.(*rsa.PrivateKey); is && key.N.BitLen() >= 2048 {
			return key, nil
		}
		return nil, errors.New("not an RSA key of 2048 bits or more")
	case EdDSA:
		if key, is := private.(ed25519.PrivateKey); is {
			return key, nil
		}
		return nil, errors.New("not an Ed25519 key")
	}
	return nil, fmt.Errorf("algorithm %q is not supported", a)
}

// public writes the public half of a key.
func (k *Key) public() (JWK, error) {
	result := JWK{Use: "sig", Algorithm: string(k.Algorithm), ID: k.ID}
	switch public := k.Private.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, x, y
		if err != nil {
			return JWK{}, err
		}
		size := (len(point) - 1) / 2
		result.KeyType, result.Curve = "EC", "P-256"
		result.X, result.Y = encode(point[1:1+size]), encode(point[1+size:])
	case *rsa.PublicKey:
		result.KeyType, result.N = "RSA", encode(public.N.Bytes())
		result.E = encode(big.NewInt(int64(public.E)).Bytes())
	case ed25519.PublicKey:
		result.KeyType, result.Curve, result.X = "OKP", "Ed25519", encode(public)
	default:
		return JWK{}, fmt.Errorf("signing key %q has no public form", k.ID)
	}
	return result, nil
}

// hashHalf is the left half of the hash of a token, as an ID token names the
// access token it came with (OpenID Connect Core §3.1.3.6).
func (a Algorithm) hashHalf(text string) string {
	if a == EdDSA { // Ed25519 hashes with SHA-512
		digest := sha512.Sum512([]byte(text))
		return encode(digest[:32])
	}
	digest := sha256.Sum256([]byte(text))
	return encode(digest[:16])
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
