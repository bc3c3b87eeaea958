//! A token taken apart. Nothing in it is to be believed before its signature has been verified.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

/// With padding or without.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Algorithms there are; a token that names another is no token.
const ALGORITHMS: &[&str] = &[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384",
    "PS512", "EdDSA",
];

/// The parts.
pub(super) struct Token<'a> {
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
    pub algorithm: String,
    /// What the signature is over.
    pub signed: &'a [u8],
    pub signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// The error is what Kong says behind `Bad token; `.
    pub(super) fn decode(token: &'a [u8]) -> Result<Token<'a>, &'static str> {
        let mut parts = token.splitn(3, |byte| *byte == b'.');
        let (header, claims, signature) = (parts.next(), parts.next(), parts.next());
        let (Some(header), Some(claims)) = (header, claims) else { return Err("invalid JSON") };
        let signed = &token[..header.len() + 1 + claims.len()];
        let (header, claims) = (json(header)?, json(claims)?);
        let Value::Object(header) = header else { return Err("invalid alg") };
        let algorithm = header.get("alg").and_then(Value::as_str).filter(|name| ALGORITHMS.contains(name));
        let algorithm = algorithm.ok_or("invalid alg")?.to_owned();
        let Value::Object(claims) = claims else { return Err("invalid claims") };
        let signature = signature.and_then(|signature| BASE64URL.decode(signature).ok());
        Ok(Token { header, claims, algorithm, signed, signature: signature.ok_or("invalid signature")? })
    }
}

fn json(part: &[u8]) -> Result<Value, &'static str> {
    let bytes = BASE64URL.decode(part).map_err(|_| "invalid JSON")?;
    serde_json::from_slice(&bytes).map_err(|_| "invalid JSON")
}
