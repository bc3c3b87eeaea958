//! What scenarios may need of an environment, in words for people: what it is called, and what has it.

use super::document::Ability;

impl Ability {
    /// As it stands in `requires`.
    pub fn word(self) -> String {
        serde_json::to_value(self).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
    }

    /// What would give it.
    pub fn given_by(self) -> &'static str {
        match self {
            Ability::LoadBalancer => {
                "`--env local`, or a cluster whose load balancers are reached from here and keep clients' addresses"
            }
            Ability::ClientAddresses => {
                "`--env local` on Linux, where every address in 127.0.0.0/8 may be sent from, or `--env kind`"
            }
            Ability::Crash => "an environment that runs containers itself: `--env local`, kind or k3d",
            Ability::Mesh => "a cluster with Istio: `--env kind` or `--env k3d`, which install it",
            Ability::Jaeger => {
                "`--env local`, or a cluster with Jaeger: `--env kind` or `--env k3d`; or yours, by `--jaeger URL`"
            }
            Ability::Prometheus => {
                "a cluster with Istio and its add-ons: `--env kind` or `--env k3d`; or yours, by `--prometheus URL`"
            }
            Ability::Kiali => {
                "a cluster with Istio and its add-ons: `--env kind` or `--env k3d`; or yours, by `--kiali URL`"
            }
        }
    }

    /// What would give the ability of this word; nothing for a word that is none.
    pub fn hint(word: &str) -> Option<&'static str> {
        let ability: Ability = serde_json::from_value(word.into()).ok()?;
        Some(ability.given_by())
    }
}

/// What is lacking and what would give it, in a line each.
pub fn lacking(needs: &[String]) -> Vec<String> {
    let told = |word: &String| match Ability::hint(word) {
        Some(hint) => format!("needs {word}: {hint}"),
        None => format!("needs {word}, which this environment can't do"),
    };
    needs.iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_scenario_files_and_lead_to_hints() {
        assert_eq!(Ability::ClientAddresses.word(), "client-addresses");
        let needs = ["mesh".to_owned(), "wings".to_owned()];
        assert_eq!(
            lacking(&needs),
            [
                "needs mesh: a cluster with Istio: `--env kind` or `--env k3d`, which install it",
                "needs wings, which this environment can't do"
            ]
        );
    }
}
