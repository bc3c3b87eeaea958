//! Puts objects in place, or removes them, and waits until every gateway serves that.

use admin_api::Problem;

use crate::cluster::settle::{Changed, settle};
use crate::expect::Miss;
use crate::expect::check::judge_text;
use crate::manifest::{self, Object};
use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::scenario::document::{Apply, Delete, ProblemCheck};
use crate::scenario::values::ObjectName;

pub(super) async fn apply(context: &mut Context, apply: &Apply) -> Result<String, Failure> {
    let mut objects = Vec::new();
    for file in &apply.files.0 {
        objects.extend(manifest::read(&context.root.join(file))?);
    }
    for object in &apply.objects {
        objects.push(Object::new(object.clone())?);
    }
    for (name, fields) in &apply.set {
        let named: ObjectName = name.parse()?;
        let object = objects.iter_mut().find(|object| named.means(&object.name()));
        let object = object.ok_or_else(|| format!("{name} is not in these files"))?;
        for (pointer, value) in fields {
            object.set(pointer, value.clone())?;
        }
    }
    let mut changed = Changed::default();
    for object in &objects {
        changed.stored.push(context.environment.cluster().apply(object.value()).await?);
    }
    after(context, &changed, &apply.problems).await
}

pub(super) async fn delete(context: &mut Context, delete: &Delete) -> Result<String, Failure> {
    let mut names: Vec<ObjectName> = delete.objects.0.clone();
    for file in &delete.files.0 {
        let mut objects = manifest::read(&context.root.join(file))?;
        objects.reverse();
        names.extend(objects.iter().map(Object::name));
    }
    let cluster = context.environment.cluster();
    let mut changed = Changed::default();
    for name in &names {
        let Some(object) = cluster.get(name).await? else {
            return Err(Failure::new(format!("{name} can't be deleted: it is not there")));
        };
        cluster.delete(name, false).await?;
        changed.deleted.push(object);
    }
    after(context, &changed, &[]).await
}

/// Waits until the change is live and compares the problems that gateways report with those expected.
pub(super) async fn after(
    context: &Context,
    changed: &Changed,
    expected: &[ProblemCheck],
) -> Result<String, Failure> {
    let settled = settle(&*context.environment, changed).await?;
    let misses = judge_problems(expected, &settled.problems);
    if misses.is_empty() {
        let served = match settled.generation {
            0 | u64::MAX => Vec::new(),
            generation => vec![format!("served as generation {generation}")],
        };
        let problems = expected.iter().map(|problem| format!("problem of {}", problem.object));
        return Ok(served.into_iter().chain(problems).collect::<Vec<_>>().join("; "));
    }
    let message = match settled.problems.iter().find(|problem| !problem.advice) {
        Some(problem) if expected.is_empty() => {
            format!("the gateway reports a problem: {}", told(problem))
        }
        _ => "the gateway reports other problems than expected".to_owned(),
    };
    let hints = settled.problems.iter().map(told).collect();
    Err(Failure { message, misses, hints, ..Failure::default() })
}

/// Each expected problem must be there, and no other; advice may be, as it depends on what else is in a cluster.
fn judge_problems(expected: &[ProblemCheck], found: &[Problem]) -> Vec<Miss> {
    let fits = |wanted: &ProblemCheck, problem: &Problem| {
        problem.object == wanted.object.to_string()
            && judge_text("message", &wanted.message, Some(&problem.message)).is_empty()
            && wanted
                .field
                .as_ref()
                .is_none_or(|field| judge_text("field", field, Some(&problem.field)).is_empty())
    };
    let mut misses = Vec::new();
    for wanted in expected {
        if !found.iter().any(|problem| fits(wanted, problem)) {
            let all: Vec<String> = found.iter().map(told).collect();
            misses.push(Miss {
                expected: format!("a problem of {} as described", wanted.object),
                got: if all.is_empty() { "none".to_owned() } else { all.join(" | ") },
            });
        }
    }
    for problem in found.iter().filter(|problem| !problem.advice) {
        if !expected.iter().any(|wanted| fits(wanted, problem)) {
            misses.push(Miss { expected: "no such problem".to_owned(), got: told(problem) });
        }
    }
    misses
}

/// A problem in one line.
pub(crate) fn told(problem: &Problem) -> String {
    let field = if problem.field.is_empty() { String::new() } else { format!(", {}", problem.field) };
    let effect = if problem.effect.is_empty() { String::new() } else { format!(" ({})", problem.effect) };
    format!("{}{field}: {}{effect}", problem.object, problem.message)
}
