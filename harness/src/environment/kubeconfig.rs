//! A cluster of the user's: one context of their kubeconfig, copied into a file of our own, which is all that is read later.

use std::path::Path;

use kube::config::Kubeconfig;

use super::write_private;

/// Copies a context and gives its name. Files that it names are named by their whole paths.
///
/// # Errors
/// There is no such context, or no kubeconfig.
pub(super) fn copy(context: Option<&str>, to: &Path) -> Result<String, String> {
    let mut all = Kubeconfig::read().map_err(|error| {
        format!("failed to read your kubeconfig: {error}; name it in KUBECONFIG, or use `--env local`")
    })?;
    let name = context.map(str::to_owned).or_else(|| all.current_context.clone());
    let name = name.ok_or("your kubeconfig has no current context; name one: --context NAME")?;
    let names: Vec<&str> = all.contexts.iter().map(|context| context.name.as_str()).collect();
    if !names.contains(&name.as_str()) {
        let hint = crate::scenario::fault::nearest(&name, names.clone())
            .map_or_else(|| format!("it has {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
        return Err(format!("your kubeconfig has no context `{name}`; {hint}"));
    }
    all.contexts.retain(|context| context.name == name);
    let used = all.contexts.first().and_then(|context| context.context.clone()).unwrap_or_default();
    all.clusters.retain(|cluster| cluster.name == used.cluster);
    all.auth_infos.retain(|user| Some(&user.name) == used.user.as_ref());
    all.current_context = Some(name.clone());
    let text =
        serde_json::to_string_pretty(&all).map_err(|error| format!("failed to copy the context: {error}"))?;
    write_private(to, &text)?;
    Ok(name)
}
