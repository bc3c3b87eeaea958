//! Questions about who somebody is and what they may do. Whoever is known may do everything, so the second kind has
//! one answer; it is here because clients ask before they try.

use hyper::body::Incoming;
use serde_json::{Value, json};

use super::Answered;
use super::answer::{Answer, Content};
use super::call::Call;
use super::media;
use super::query::WriteOptions;
use crate::credentials::{AUDIENCE, User};
use crate::ownership;

impl Call {
    pub(super) async fn question(self, body: Incoming) -> Answered {
        let wanted = media::negotiate(self.asked.accept(), true)?;
        let kind = self.kind.kind.clone();
        let options = WriteOptions::read(self.query(), "CreateOptions", self.asked.agent(), false)?;
        let question = self.given(body, &kind).await?;
        let spec = match &question["spec"] {
            Value::Null => json!({}),
            spec => spec.clone(),
        };
        let (spec, status) = match kind.as_str() {
            "SelfSubjectReview" => (Value::Null, json!({"userInfo": self.asked.user.info()})),
            "TokenReview" => {
                let status = self.token_status(&spec);
                (spec, status)
            }
            "SelfSubjectRulesReview" => (spec, everything()),
            "SelfSubjectAccessReview" => (spec, permission(&self.asked.user)),
            _ => {
                let user = spec["user"].as_str().unwrap_or_default();
                let user = User { name: user.to_owned(), ..User::default() };
                (spec, permission(&user))
            }
        };
        let mut metadata = json!({"creationTimestamp": null});
        if let Some(namespace) = &self.target.namespace {
            metadata["namespace"] = json!(namespace);
        }
        let mut answer = json!({"kind": kind, "apiVersion": self.kind.api_version(), "metadata": metadata});
        if !spec.is_null() {
            answer["spec"] = spec;
        }
        ownership::track(&self.kind, None, &mut answer, &Call::author(&options, ""));
        answer["status"] = status;
        let answer =
            crate::schema::decode(&self.kind.schema, answer).map_or_else(|_| json!({}), |(answer, _)| answer);
        Ok((Answer::new(201, Content::Object(answer)), wanted.format))
    }

    fn token_status(&self, spec: &Value) -> Value {
        let asked: Vec<String> = spec["audiences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|audience| audience.as_str().map(str::to_owned))
            .collect();
        let audiences = if asked.is_empty() { vec![AUDIENCE.to_owned()] } else { asked };
        let token = spec["token"].as_str().unwrap_or_default();
        match self.api.credentials.user(token, &audiences) {
            Some(user) => json!({"authenticated": true, "user": user.info(), "audiences": audiences}),
            None => json!({"error": "[invalid bearer token, token lookup failed]"}),
        }
    }
}

fn permission(user: &User) -> Value {
    match user.name.as_str() {
        "system:anonymous" => json!({"allowed": false, "reason": "a token is needed"}),
        _ => json!({"allowed": true}),
    }
}

fn everything() -> Value {
    json!({
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": false,
    })
}
