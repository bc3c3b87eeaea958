//! Certificates by server name, checked and indexed once per generation.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::model::Certificate;

/// Certificates by server name.
#[derive(Debug, Default)]
pub struct Certificates {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// `*.example.com` under `example.com`.
    suffixes: HashMap<String, Arc<CertifiedKey>>,
    /// `example.*` under `example`.
    prefixes: HashMap<String, Arc<CertifiedKey>>,
    /// For clients that name no server, or one that nothing else fits.
    default: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Indexes certificates; the first to claim a name has it. Gives what can't be used, with the reason.
    pub fn new<'a>(
        certificates: impl Iterator<Item = &'a Certificate>,
    ) -> (Certificates, Vec<(&'a Certificate, String)>) {
        let (mut all, mut refused) = (Certificates::default(), Vec::new());
        for certificate in certificates {
            match certified(certificate) {
                Ok(key) => all.add(&certificate.snis, &Arc::new(key)),
                Err(cause) => refused.push((certificate, cause)),
            }
        }
        (all, refused)
    }

    fn add(&mut self, names: &[String], key: &Arc<CertifiedKey>) {
        for name in names {
            let name = name.to_ascii_lowercase();
            if name == "*" {
                self.default.get_or_insert_with(|| Arc::clone(key));
            } else if let Some(rest) = name.strip_prefix("*.") {
                self.suffixes.entry(rest.to_owned()).or_insert_with(|| Arc::clone(key));
            } else if let Some(rest) = name.strip_suffix(".*") {
                self.prefixes.entry(rest.to_owned()).or_insert_with(|| Arc::clone(key));
            } else {
                self.exact.entry(name).or_insert_with(|| Arc::clone(key));
            }
        }
    }

    /// The certificate for a server name: exact, then with its first label as `*`, then with its last, then the
    /// default. A `*` stands for one label.
    pub fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let Some(name) = name else { return self.default.as_ref() };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.exact
            .get(&name)
            .or_else(|| name.split_once('.').and_then(|(_, rest)| self.suffixes.get(rest)))
            .or_else(|| name.rsplit_once('.').and_then(|(rest, _)| self.prefixes.get(rest)))
            .or(self.default.as_ref())
    }
}

fn certified(certificate: &Certificate) -> Result<CertifiedKey, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.cert.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the certificate is not PEM: {error}"))?;
    if chain.is_empty() {
        return Err("there is no certificate in the PEM text".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(certificate.key.expose().as_bytes())
        .map_err(|error| format!("the private key is not PEM: {error}"))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => "the private key does not belong to the certificate".to_owned(),
        error => format!("the private key can't be used: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::Secret;

    fn certificate(names: &[&str]) -> Certificate {
        let made = rcgen::generate_simple_self_signed(
            names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        )
        .unwrap();
        Certificate {
            id: Uuid::new_v4(),
            cert: made.cert.pem(),
            key: Secret::new(made.signing_key.serialize_pem()),
            snis: names.iter().map(|name| (*name).to_owned()).collect(),
            origin: None,
        }
    }

    #[test]
    fn the_narrowest_name_wins_and_the_first_to_claim_it() {
        let given =
            [certificate(&["a.test", "*"]), certificate(&["*.test"]), certificate(&["a.test", "b.*"])];
        let (all, refused) = Certificates::new(given.iter());
        assert!(refused.is_empty());
        let key = |at: usize| certified(&given[at]).unwrap().cert;
        for (name, at) in [
            (Some("a.test"), 0),
            (Some("A.TEST."), 0),
            (Some("y.test"), 1),
            // A star stands for one label: the rest belongs to whoever claims it.
            (Some("x.y.test"), 0),
            (Some("b.example"), 2),
            (Some("else.where"), 0),
            (None, 0),
        ] {
            assert_eq!(all.find(name).unwrap().cert, key(at), "{name:?}");
        }
    }

    #[test]
    fn a_key_that_does_not_fit_is_refused() {
        let mut mixed = certificate(&["a.test"]);
        mixed.key = certificate(&["b.test"]).key;
        let given = [mixed, Certificate { cert: "no PEM".to_owned(), ..certificate(&["c.test"]) }];
        let (_, refused) = Certificates::new(given.iter());
        assert_eq!(refused.len(), 2);
        assert!(refused[0].1.contains("does not belong"), "{}", refused[0].1);
    }
}
