//! Everything that has a name, found by typing a part of it: what keys do, and the routes, plugins and targets there are.

use crate::keys::{Action, BINDINGS};
use crate::picture::Picture;
use crate::prompt::Prompt;
use crate::theme::Glyphs;

/// More than this nobody reads.
const MOST: usize = 10;

/// The palette while it is open.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Palette {
    pub prompt: Prompt,
    /// Which of the entries found is chosen.
    pub chosen: usize,
}

/// What an entry leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leads {
    Action(Action),
    Route(String),
    Plugin(String),
    Target(String),
}

/// One thing that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// What kind of thing it is, or what it does.
    pub about: String,
    pub leads: Leads,
}

/// The entries that contain all words typed, the best first.
pub fn entries(picture: &Picture, typed: &str, glyphs: &Glyphs) -> Vec<Entry> {
    let typed = typed.to_lowercase();
    let words: Vec<&str> = typed.split_whitespace().collect();
    let mut found: Vec<(u8, Entry)> = all(picture, glyphs)
        .filter_map(|entry| {
            words
                .iter()
                .try_fold(0, |worst, word| Some(worst.max(rank(&entry, word)?)))
                .map(|rank| (rank, entry))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().take(MOST).map(|(_, entry)| entry).collect()
}

fn all(picture: &Picture, glyphs: &Glyphs) -> impl Iterator<Item = Entry> {
    let actions = BINDINGS.iter().map(|binding| {
        let key = binding.keys.first().map(|key| key.name(glyphs.arrows)).unwrap_or_default();
        let about = format!("key {key}: {}", binding.help);
        Entry { name: binding.label.to_owned(), about, leads: Leads::Action(binding.action) }
    });
    let object =
        |name: &str, about: &str, leads| Entry { name: name.to_owned(), about: about.to_owned(), leads };
    let routes = picture.routes.iter().filter(|row| !row.route.is_empty());
    let routes = routes.map(move |row| object(&row.route, "route", Leads::Route(row.route.clone())));
    let plugins = picture.plugins.iter();
    let plugins = plugins.map(move |row| object(&row.plugin, "plugin", Leads::Plugin(row.plugin.clone())));
    let targets = picture.targets.iter();
    let targets = targets.map(move |row| object(&row.address, "target", Leads::Target(row.address.clone())));
    actions.chain(routes).chain(plugins).chain(targets)
}

/// How well a word fits, 0 being best; `None` when it does not.
fn rank(entry: &Entry, word: &str) -> Option<u8> {
    let name = entry.name.to_lowercase();
    let starts_a_part = || name.split(|c: char| !c.is_alphanumeric()).any(|part| part.starts_with(word));
    if name.starts_with(word) {
        Some(0)
    } else if starts_a_part() {
        Some(1)
    } else if name.contains(word) {
        Some(2)
    } else if entry.about.to_lowercase().contains(word) {
        Some(3)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::watching;
    use crate::theme::UNICODE;

    fn names(typed: &str) -> Vec<String> {
        let app = watching(120, 40, 20);
        entries(&app.picture, typed, &UNICODE).into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn finds_actions_and_objects_by_a_part_of_their_name() {
        assert_eq!(names("reco")[0], "record");
        assert_eq!(names("orders")[0], "shop.storefront.orders.shop.example.80");
        assert_eq!(names("10.2.4.11"), ["10.2.4.11:8080"]);
        assert_eq!(names("shop sto stock").len(), 1, "all words must fit");
        assert!(names("zzz").is_empty());
    }

    #[test]
    fn the_beginning_of_a_name_is_the_best_fit() {
        assert_eq!(names("rate")[0], "rate-limiting");
        assert_eq!(names("q")[0], "quit");
        assert_eq!(names("").len(), MOST);
    }
}
