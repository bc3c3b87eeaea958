use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::*;
use crate::model::{Consumer, Credential, CredentialKind, Secret};
use crate::plugins::testing::{Bench, NOW, exchange, verdict};

const SECRET: &str = "s3cret";

fn credential(key: &str, algorithm: &str, secret: &str, public_key: Option<String>) -> Credential {
    let kind = CredentialKind::Jwt {
        key: key.to_owned(),
        algorithm: algorithm.to_owned(),
        secret: Secret::new(secret),
        rsa_public_key: public_key,
    };
    Credential { id: Uuid::from_u128(0xc1), kind, tags: None }
}

fn bench_with(credentials: Vec<Credential>) -> Bench {
    Bench::new().with_consumers([Consumer {
        id: Uuid::from_u128(1),
        username: Some("alice".to_owned()),
        custom_id: None,
        tags: None,
        created_at: 0,
        updated_at: 0,
        groups: Vec::new(),
        credentials,
        origin: None,
    }])
}

/// Alice signs as `issa` with HS256 and as `issb` with HS512.
fn bench() -> Bench {
    bench_with(vec![credential("issa", "HS256", SECRET, None), credential("issb", "HS512", "other", None)])
}

fn signed(header: Value, claims: Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(&claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

fn hs256(claims: Value) -> String {
    with_header(json!({"alg": "HS256", "typ": "JWT"}), claims)
}

fn with_header(header: Value, claims: Value) -> String {
    signed(header, claims, |text| sign(hmac::HMAC_SHA256, SECRET.as_bytes(), text))
}

fn sign(algorithm: hmac::Algorithm, secret: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, secret), text).as_ref().to_vec()
}

fn request(target: &str, lines: &str) -> Exchange {
    exchange(&format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"))
}

/// What a plugin says to a token in the header: `None` when it lets it pass, else body and challenge.
fn ask(plugin: &dyn Plugin, token: &str) -> Option<(String, String)> {
    ask_with(plugin, request("/", &format!("Authorization: Bearer {token}\r\n")))
}

fn ask_with(plugin: &dyn Plugin, mut exchange: Exchange) -> Option<(String, String)> {
    let (status, body) = verdict(plugin.access(&mut exchange))?;
    assert_eq!(status, 401);
    Some((body, exchange.on_response.get_str(Name::WwwAuthenticate).unwrap().to_owned()))
}

fn message(text: &str) -> (String, String) {
    (format!("{{\"message\":\"{}\"}}", text.replace('/', "\\/")), "Bearer error=\"invalid_token\"".to_owned())
}

#[test]
fn a_signed_token_identifies() {
    let plugin = bench().build("jwt", json!({}));
    let token = hs256(json!({"iss": "issa"}));
    let padded = {
        let part = |value: Value| BASE64_URL_SAFE.encode(value.to_string());
        let text = format!("{}.{}", part(json!({"alg": "HS256"})), part(json!({"iss": "issa"})));
        format!(
            "{text}.{}",
            BASE64_URL_SAFE.encode(sign(hmac::HMAC_SHA256, SECRET.as_bytes(), text.as_bytes()))
        )
    };
    for (target, line) in [
        ("/".to_owned(), format!("Authorization: Bearer {token}\r\n")),
        ("/".to_owned(), format!("Authorization: bearer   {token} \r\n")),
        ("/".to_owned(), format!("Authorization: Bearer {padded}\r\n")),
        (format!("/?jwt={token}"), String::new()),
        (format!("/?jwt={token}"), format!("Authorization: Bearer {token}\r\n")),
    ] {
        let mut exchange = request(&target, &format!("X-Consumer-ID: forged\r\n{line}"));
        assert_eq!(verdict(plugin.access(&mut exchange)), None, "{target} {line}");
        let header = |name| exchange.request.fields.get_str(name);
        assert_eq!(header(Name::XConsumerId), Some("00000000-0000-0000-0000-000000000001"));
        assert_eq!(header(Name::XCredentialIdentifier), Some("issa"));
    }
    let by_header = with_header(json!({"alg": "HS256", "iss": "issa"}), json!({}));
    assert_eq!(ask(&*plugin, &by_header), None);
}

#[test]
fn tokens_are_refused_in_kongs_words() {
    let plugin = bench().build("jwt", json!({}));
    let none = Some(("{\"message\":\"Unauthorized\"}".to_owned(), "Bearer".to_owned()));
    assert_eq!(ask_with(&*plugin, request("/", "")), none);
    let token = hs256(json!({"iss": "issa"}));
    assert_eq!(ask_with(&*plugin, request("/", &format!("Authorization: BEARER {token}\r\n"))), none);

    let two = request(
        &format!("/?jwt={}", hs256(json!({"iss": "issb"}))),
        &format!("Authorization: Bearer {token}\r\n"),
    );
    assert_eq!(ask_with(&*plugin, two), Some(message("Multiple tokens provided")));

    let cases = [
        ("a.b.c".to_owned(), "Bad token; invalid JSON"),
        ("abc".to_owned(), "Bad token; invalid JSON"),
        (signed(json!({"alg": "none"}), json!({"iss": "issa"}), |_| Vec::new()), "Bad token; invalid alg"),
        (signed(json!({"alg": 5}), json!({"iss": "issa"}), |_| Vec::new()), "Bad token; invalid alg"),
        (with_header(json!({"alg": "HS256"}), json!(["iss"])), "Bad token; invalid claims"),
        (format!("{token}!"), "Bad token; invalid signature"),
        (token.rsplit_once('.').unwrap().0.to_owned(), "Bad token; invalid signature"),
        (hs256(json!({"a": 1})), "No mandatory 'iss' in claims"),
        (hs256(json!({"iss": ""})), "Invalid 'iss' in claims"),
        (hs256(json!({"iss": "zz"})), "No credentials found for given 'iss'"),
        (hs256(json!({"iss": 5})), "No credentials found for given 'iss'"),
        (hs256(json!({"iss": "issb"})), "Invalid algorithm"),
        (with_header(json!({"alg": "HS512"}), json!({"iss": "issb"})), "Invalid signature"),
        (
            signed(json!({"alg": "HS256"}), json!({"iss": "issa"}), |text| {
                sign(hmac::HMAC_SHA256, b"no", text)
            }),
            "Invalid signature",
        ),
        (
            format!("{}x.{}", token.split_once('.').unwrap().0, token.split_once('.').unwrap().1),
            "Bad token; invalid JSON",
        ),
    ];
    for (token, text) in cases {
        assert_eq!(ask(&*plugin, &token), Some(message(text)), "{token}");
    }
}

#[test]
fn claims_are_verified_when_they_should() {
    let settings = json!({"claims_to_verify": ["exp", "nbf"], "realm": "R", "maximum_expiration": 600});
    let plugin = bench().build("jwt", settings);
    let now = NOW.as_secs();
    let ask = |claims: Value| {
        let mut whole = json!({"iss": "issa"});
        whole.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        ask(&*plugin, &hs256(whole)).map(|(body, challenge)| {
            assert_eq!(challenge, "Bearer realm=\"R\" error=\"invalid_token\"");
            serde_json::from_str::<Value>(&body).unwrap()
        })
    };
    assert_eq!(ask(json!({"exp": now + 500, "nbf": now - 9})), None);
    assert_eq!(ask(json!({"exp": now - 5, "nbf": now - 9})), Some(json!({"exp": "token expired"})));
    assert_eq!(ask(json!({"exp": now + 500, "nbf": now + 300})), Some(json!({"nbf": "token not valid yet"})));
    assert_eq!(ask(json!({})), Some(json!({"exp": "must be a number", "nbf": "must be a number"})));
    assert_eq!(ask(json!({"exp": "9", "nbf": 1})), Some(json!({"exp": "must be a number"})));
    assert_eq!(
        ask(json!({"exp": now + 700, "nbf": now - 9})),
        Some(json!({"exp": "exceeds maximum allowed expiration"}))
    );
}

#[test]
fn a_token_expires_while_time_passes() {
    let bench = bench();
    let plugin = bench.build("jwt", json!({"claims_to_verify": ["exp"]}));
    let token = hs256(json!({"iss": "issa", "exp": NOW.as_secs() + 10}));
    assert_eq!(ask(&*plugin, &token), None);
    bench.clock.advance(Duration::from_millis(9_749));
    assert_eq!(ask(&*plugin, &token), None);
    bench.clock.advance(Duration::from_millis(1));
    assert!(ask(&*plugin, &token).is_some());
}

#[test]
fn cookies_other_claims_and_other_headers() {
    let settings = json!({"cookie_names": ["tok"], "key_claim_name": "kid", "header_names": ["X-Token"], "secret_is_base64": true});
    let bench = bench_with(vec![credential("k1", "HS256", &BASE64_STANDARD.encode(SECRET), None)]);
    let plugin = bench.build("jwt", settings);
    let token = with_header(json!({"alg": "HS256", "kid": "k1"}), json!({}));
    assert_eq!(ask_with(&*plugin, request("/", &format!("Cookie: a=1; tok={token}; b=2\r\n"))), None);
    assert_eq!(ask_with(&*plugin, request("/", &format!("X-Token: Bearer {token}\r\n"))), None);
    assert!(ask(&*plugin, &token).is_some());
    let not_base64 = bench_with(vec![credential("k1", "HS256", "!", None)]);
    let plugin = not_base64.build("jwt", json!({"key_claim_name": "kid", "secret_is_base64": true}));
    assert_eq!(ask(&*plugin, &token), Some(message("Invalid key/secret")));
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

fn public_pem(key: &impl AsDer<PublicKeyX509Der<'static>>) -> String {
    pem(AsDer::<PublicKeyX509Der<'_>>::as_der(key).unwrap().as_ref())
}

/// An algorithm, its public key as PEM, and signing with the private one.
type Signer = (&'static str, String, Box<dyn Fn(&[u8]) -> Vec<u8>>);

/// One of each algorithm.
fn signers() -> Vec<Signer> {
    let mut signers: Vec<Signer> = Vec::new();
    for (name, algorithm) in [
        ("ES256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        ("ES384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        ("ES512", &signature::ECDSA_P521_SHA512_FIXED_SIGNING),
    ] {
        let key = EcdsaKeyPair::generate(algorithm).unwrap();
        let public = public_pem(key.public_key());
        signers.push((
            name,
            public,
            Box::new(move |text| key.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec()),
        ));
    }
    for (name, padding) in [
        ("RS256", &signature::RSA_PKCS1_SHA256),
        ("RS384", &signature::RSA_PKCS1_SHA384),
        ("RS512", &signature::RSA_PKCS1_SHA512),
        ("PS256", &signature::RSA_PSS_SHA256),
        ("PS384", &signature::RSA_PSS_SHA384),
        ("PS512", &signature::RSA_PSS_SHA512),
    ] {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = public_pem(key.public_key());
        signers.push((
            name,
            public,
            Box::new(move |text| {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &SystemRandom::new(), text, &mut signature).unwrap();
                signature
            }),
        ));
    }
    let key = Ed25519KeyPair::generate().unwrap();
    let public = public_pem(key.public_key());
    signers.push(("EdDSA", public, Box::new(move |text| key.sign(text).as_ref().to_vec())));
    signers
}

#[test]
fn every_algorithm_takes_its_own_signature_and_no_other() {
    let signers = signers();
    for (name, public, sign) in &signers {
        let plugin =
            bench_with(vec![credential("k", name, "", Some(public.clone()))]).build("jwt", json!({}));
        let header = json!({ "alg": name });
        assert_eq!(ask(&*plugin, &signed(header.clone(), json!({"iss": "k"}), sign)), None, "{name}");
        let forged = signed(header, json!({"iss": "k"}), |text| sign(&[text, b"x"].concat()));
        assert_eq!(ask(&*plugin, &forged), Some(message("Invalid signature")), "{name}");
        // The public key is no secret: a token that is "signed" with it as one is refused.
        let confused = signed(json!({"alg": "HS256"}), json!({"iss": "k"}), |text| {
            self::sign(hmac::HMAC_SHA256, public.as_bytes(), text)
        });
        assert_eq!(ask(&*plugin, &confused), Some(message("Invalid algorithm")), "{name}");
    }
}

#[test]
fn a_key_that_fits_no_algorithm_is_no_key() {
    let (_, public, _) = &signers()[0];
    for (algorithm, key) in
        [("RS256", Some(public.clone())), ("ES256", None), ("ES256", Some("nonsense".to_owned()))]
    {
        let plugin = bench_with(vec![credential("k", algorithm, "", key)]).build("jwt", json!({}));
        let token = signed(json!({ "alg": algorithm }), json!({"iss": "k"}), |_| vec![0; 64]);
        assert_eq!(ask(&*plugin, &token), Some(message("Invalid key/secret")), "{algorithm}");
    }
}
