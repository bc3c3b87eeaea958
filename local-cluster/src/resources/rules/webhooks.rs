//! Configurations of admission webhooks.

use serde_json::{Value, json};

use super::super::built_in::Rules;
use super::{each, fill, items, text};
use crate::failure::{Cause, Causes};

pub(in super::super) const VALIDATING: Rules = Rules { default, validate, ..Rules::NONE };
pub(in super::super) const MUTATING: Rules = Rules { default: default_mutating, validate, ..Rules::NONE };

fn default(configuration: &mut Value) {
    for webhook in each(configuration, "webhooks") {
        fill(webhook, "failurePolicy", "Fail");
        fill(webhook, "matchPolicy", "Equivalent");
        fill(webhook, "namespaceSelector", json!({}));
        fill(webhook, "objectSelector", json!({}));
        fill(webhook, "timeoutSeconds", 10);
        each(webhook, "rules").for_each(|rule| fill(rule, "scope", "*"));
        if let Some(service) = webhook.get_mut("clientConfig").and_then(|config| config.get_mut("service")) {
            fill(service, "port", 443);
        }
    }
}

fn default_mutating(configuration: &mut Value) {
    default(configuration);
    each(configuration, "webhooks").for_each(|webhook| fill(webhook, "reinvocationPolicy", "Never"));
}

fn validate(configuration: &Value, causes: &mut Causes) {
    for (index, webhook) in items(configuration, "webhooks").enumerate() {
        let field = format!("webhooks[{index}]");
        let name = text(webhook, "name");
        if name.split('.').count() < 3 {
            let why = "should be a domain with at least three segments separated by dots";
            causes.add(Cause::invalid(format!("{field}.name"), &json!(name), why));
        }
        let effects = &webhook["sideEffects"];
        match effects.as_str() {
            Some("None" | "NoneOnDryRun") => {}
            None | Some("") => causes.add(Cause::required(
                format!("{field}.sideEffects"),
                "must specify one of None, NoneOnDryRun",
            )),
            Some(_) => {
                let supported = &["None", "NoneOnDryRun"];
                causes.add(Cause::unsupported(format!("{field}.sideEffects"), effects, supported));
            }
        }
        if items(webhook, "admissionReviewVersions").next().is_none() {
            let why = "must specify one of v1, v1beta1";
            causes.add(Cause::required(format!("{field}.admissionReviewVersions"), why));
        }
        let seconds = webhook["timeoutSeconds"].as_i64().unwrap_or(0);
        if !(1..=30).contains(&seconds) {
            let why = "the timeout value must be between 1 and 30 seconds";
            causes.add(Cause::invalid(format!("{field}.timeoutSeconds"), &json!(seconds), why));
        }
        let client = &webhook["clientConfig"];
        if client["url"].is_null() == client["service"].is_null() {
            let why = "exactly one of url or service is required";
            causes.add(Cause::required(format!("{field}.clientConfig"), why));
        }
        if let Some(url) = client["url"].as_str()
            && !url.starts_with("https://")
        {
            let why = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
            causes.add(Cause::invalid(format!("{field}.clientConfig.url"), &json!(url), why));
        }
    }
}
