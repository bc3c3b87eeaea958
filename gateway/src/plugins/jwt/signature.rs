//! Checking signatures with the algorithm and key of a credential.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;

use super::token::Token;
use crate::model::Secret;

/// A credential's algorithm with its key, ready to be used.
pub(crate) struct Verifier {
    algorithm: String,
    key: Key,
}

enum Key {
    Shared(hmac::Algorithm, Secret),
    Public(ParsedPublicKey),
    /// There is none that fits the algorithm.
    Unusable,
}

impl Verifier {
    /// `public_key` is PEM, for all algorithms but HS.
    pub(crate) fn new(algorithm: &str, secret: &Secret, public_key: Option<&str>) -> Verifier {
        let key = match algorithm {
            "HS256" => Key::Shared(hmac::HMAC_SHA256, secret.clone()),
            "HS384" => Key::Shared(hmac::HMAC_SHA384, secret.clone()),
            "HS512" => Key::Shared(hmac::HMAC_SHA512, secret.clone()),
            _ => public_key.and_then(|pem| parse(algorithm, pem)).map_or(Key::Unusable, Key::Public),
        };
        Verifier { algorithm: algorithm.to_owned(), key }
    }

    pub(super) fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// Whether the signature is right; `None` when there is no key to tell.
    pub(super) fn verify(&self, token: &Token<'_>, secret_is_base64: bool) -> Option<bool> {
        match &self.key {
            Key::Unusable => None,
            Key::Public(key) => Some(key.verify_sig(token.signed, &token.signature).is_ok()),
            Key::Shared(algorithm, secret) => {
                let key = if secret_is_base64 {
                    hmac::Key::new(*algorithm, &BASE64_STANDARD.decode(secret.expose()).ok()?)
                } else {
                    hmac::Key::new(*algorithm, secret.expose().as_bytes())
                };
                Some(hmac::verify(&key, token.signed, &token.signature).is_ok())
            }
        }
    }
}

fn parse(algorithm: &str, pem: &str) -> Option<ParsedPublicKey> {
    let algorithm: &'static dyn VerificationAlgorithm = match algorithm {
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
        "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
        "ES256" => &signature::ECDSA_P256_SHA256_FIXED,
        "ES384" => &signature::ECDSA_P384_SHA384_FIXED,
        "ES512" => &signature::ECDSA_P521_SHA512_FIXED,
        "EdDSA" => &signature::ED25519,
        _ => return None,
    };
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok()?;
    ParsedPublicKey::new(algorithm, der.as_ref()).ok()
}
