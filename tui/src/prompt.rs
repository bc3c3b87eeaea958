//! The line in which a filter is typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::filter::Mistake;

/// Earlier filters that can be recalled.
const REMEMBERED: usize = 50;

/// A line being typed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompt {
    chars: Vec<char>,
    /// Position of the cursor, in characters.
    at: usize,
    /// Which of the earlier lines is shown; counted back from the newest.
    recalled: Option<usize>,
    pub mistake: Option<Mistake>,
}

/// What a key did to the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    Nothing,
    Changed,
    Entered,
    Cancelled,
}

impl Prompt {
    pub fn new(text: &str) -> Prompt {
        let chars: Vec<char> = text.chars().collect();
        Prompt { at: chars.len(), chars, ..Prompt::default() }
    }

    pub fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// The text before the cursor and from it on.
    pub fn parts(&self) -> (String, String) {
        (self.chars[..self.at].iter().collect(), self.chars[self.at..].iter().collect())
    }

    /// Inserts what was typed or pasted; control characters are left out.
    pub fn insert(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            self.chars.insert(self.at, c);
            self.at += 1;
        }
    }

    pub fn key(&mut self, event: KeyEvent, earlier: &[String]) -> Typed {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        match event.code {
            KeyCode::Enter => return Typed::Entered,
            KeyCode::Esc => return Typed::Cancelled,
            KeyCode::Char('c') if control => return Typed::Cancelled,
            KeyCode::Char('u') if control => {
                self.chars.drain(..self.at);
                self.at = 0;
            }
            KeyCode::Char('w') if control => self.delete_word(),
            KeyCode::Char('a') if control => self.at = 0,
            KeyCode::Char('e') if control => self.at = self.chars.len(),
            KeyCode::Char(c) if !control => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace if self.at > 0 => {
                self.at -= 1;
                self.chars.remove(self.at);
            }
            KeyCode::Delete if self.at < self.chars.len() => {
                self.chars.remove(self.at);
            }
            KeyCode::Left => self.at = self.at.saturating_sub(1),
            KeyCode::Right => self.at = (self.at + 1).min(self.chars.len()),
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.chars.len(),
            KeyCode::Up => self.recall(earlier, 1),
            KeyCode::Down => self.recall(earlier, -1),
            _ => return Typed::Nothing,
        }
        Typed::Changed
    }

    fn delete_word(&mut self) {
        let blank = |c: &char| c.is_whitespace();
        let end = self.at;
        while self.at > 0 && blank(&self.chars[self.at - 1]) {
            self.at -= 1;
        }
        while self.at > 0 && !blank(&self.chars[self.at - 1]) {
            self.at -= 1;
        }
        self.chars.drain(self.at..end);
    }

    fn recall(&mut self, earlier: &[String], back: isize) {
        let next = self.recalled.map_or(-1, |index| index as isize) + back;
        self.recalled = usize::try_from(next).ok().map(|index| index.min(earlier.len().saturating_sub(1)));
        let text = self.recalled.and_then(|index| earlier.iter().rev().nth(index));
        self.chars = text.map(|text| text.chars().collect()).unwrap_or_default();
        self.at = self.chars.len();
    }
}

/// Remembers a line, newest last, each once.
pub fn remember(earlier: &mut Vec<String>, line: &str) {
    if line.is_empty() {
        return;
    }
    earlier.retain(|known| known != line);
    earlier.push(line.to_owned());
    if earlier.len() > REMEMBERED {
        earlier.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_keys(prompt: &mut Prompt, codes: &[KeyCode]) {
        for code in codes {
            prompt.key(KeyEvent::new(*code, KeyModifiers::NONE), &["one".to_owned(), "two".to_owned()]);
        }
    }

    #[test]
    fn edits_in_the_middle() {
        let mut prompt = Prompt::new("stäus");
        type_keys(&mut prompt, &[KeyCode::Left, KeyCode::Left, KeyCode::Char('t'), KeyCode::End]);
        assert_eq!(prompt.text(), "stätus");
        type_keys(&mut prompt, &[KeyCode::Home, KeyCode::Delete, KeyCode::Right, KeyCode::Backspace]);
        assert_eq!(prompt.parts(), (String::new(), "ätus".to_owned()));
    }

    #[test]
    fn recalls_earlier_lines_and_comes_back_to_an_empty_one() {
        let mut prompt = Prompt::new("");
        type_keys(&mut prompt, &[KeyCode::Up]);
        assert_eq!(prompt.text(), "two");
        type_keys(&mut prompt, &[KeyCode::Up, KeyCode::Up]);
        assert_eq!(prompt.text(), "one");
        type_keys(&mut prompt, &[KeyCode::Down, KeyCode::Down]);
        assert_eq!(prompt.text(), "");
    }

    #[test]
    fn deletes_words_and_lines() {
        let mut prompt = Prompt::new("status>=500 route~x ");
        prompt.key(KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL), &[]);
        assert_eq!(prompt.text(), "status>=500 ");
        prompt.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL), &[]);
        assert_eq!(prompt.text(), "");
    }

    #[test]
    fn remembers_each_line_once() {
        let mut earlier = Vec::new();
        for line in ["a", "b", "a", ""] {
            remember(&mut earlier, line);
        }
        assert_eq!(earlier, ["b", "a"]);
    }
}
