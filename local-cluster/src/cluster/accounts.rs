//! Tokens of service accounts, for the pods of the node.

use std::sync::Arc;

use crate::credentials::{AUDIENCE, Account, Credentials};
use crate::failure::Failure;
use crate::kinds;
use crate::node::{self, Token, TokenRequest};
use crate::objects::Objects;

/// A token is renewed when so much of its life is over.
const RENEWED_AFTER: f64 = 0.8;

pub(super) struct Accounts {
    pub(super) objects: Objects,
    pub(super) credentials: Arc<Credentials>,
}

impl node::Credentials for Accounts {
    fn token(&self, request: &TokenRequest) -> Result<Token, Failure> {
        let resource = kinds::service_accounts();
        let account = self.objects.get(&resource, &request.namespace, &request.service_account);
        let account = account.ok_or_else(|| Failure::not_found(&resource, &request.service_account))?;
        let audience = request.audience.clone().unwrap_or_else(|| AUDIENCE.to_owned());
        let account = Account {
            namespace: request.namespace.clone(),
            name: request.service_account.clone(),
            uid: kinds::uid(&account).to_owned(),
            pod: Some((request.pod_name.clone(), request.pod_uid.clone())),
        };
        let (token, end) = self.credentials.account_token(&account, &[audience], request.life);
        let left = request.life.mul_f64(1.0 - RENEWED_AFTER);
        Ok(Token { token, renew_at: end - jiff::SignedDuration::from_secs(left.as_secs() as i64) })
    }
}
