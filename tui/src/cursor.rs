//! A place in a list whose rows come, go and change places: it is held by the row's name, and by its position only
//! when the row is gone.

/// What a row is known by while everything else about it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Name(String),
    Number(u64),
}

/// The selected row and the part of the list that is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The row that was chosen; `None` stands for the first row, whichever that is.
    pub key: Option<Key>,
    pub index: usize,
    /// Index of the first row shown.
    pub top: usize,
}

impl Cursor {
    /// Finds its row again after the list changed, and shows it on a page of `page` rows.
    pub fn settle(&mut self, length: usize, page: usize, key_at: impl Fn(usize) -> Option<Key>) {
        match &self.key {
            None => self.index = 0,
            Some(key) => {
                if let Some(found) = (0..length).find(|index| key_at(*index).as_ref() == Some(key)) {
                    self.index = found;
                } else {
                    self.index = self.index.min(length.saturating_sub(1));
                    self.key = key_at(self.index);
                }
            }
        }
        let page = page.max(1);
        self.top = self.top.min(length.saturating_sub(page));
        self.top = self.top.clamp(self.index.saturating_sub(page - 1), self.index);
    }

    /// Goes to a row, or to the last one.
    pub fn choose_index(&mut self, index: usize, length: usize, key_at: impl Fn(usize) -> Option<Key>) {
        self.index = index.min(length.saturating_sub(1));
        self.key = key_at(self.index);
    }

    /// Goes to the row of this name as soon as it is there.
    pub fn choose(&mut self, name: &str) {
        self.key = Some(Key::Name(name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys<'a>(names: &'a [&'a str]) -> impl Fn(usize) -> Option<Key> + 'a {
        |index| names.get(index).map(|name| Key::Name((*name).to_owned()))
    }

    #[test]
    fn stays_on_its_row_when_rows_change_places() {
        let mut cursor = Cursor::default();
        cursor.choose_index(1, 3, keys(&["a", "b", "c"]));
        cursor.settle(3, 10, keys(&["c", "a", "b"]));
        assert_eq!((cursor.index, &cursor.key), (2, &Some(Key::Name("b".to_owned()))));
    }

    #[test]
    fn takes_the_neighbour_when_its_row_is_gone() {
        let mut cursor = Cursor::default();
        cursor.choose_index(2, 3, keys(&["a", "b", "c"]));
        cursor.settle(2, 10, keys(&["a", "b"]));
        assert_eq!((cursor.index, &cursor.key), (1, &Some(Key::Name("b".to_owned()))));
        cursor.settle(0, 10, keys(&[]));
        assert_eq!((cursor.index, cursor.top, &cursor.key), (0, 0, &None));
    }

    #[test]
    fn scrolls_no_more_than_needed() {
        let names: Vec<String> = (0..20).map(|index| index.to_string()).collect();
        let key_at = |index: usize| names.get(index).map(|name| Key::Name(name.clone()));
        let mut cursor = Cursor::default();
        let mut go = |index| {
            cursor.choose_index(index, 20, key_at);
            cursor.settle(20, 5, key_at);
            (cursor.index, cursor.top)
        };
        assert_eq!(go(4), (4, 0));
        assert_eq!(go(5), (5, 1));
        assert_eq!(go(2), (2, 1));
        assert_eq!(go(0), (0, 0));
        assert_eq!(go(100), (19, 15));
    }
}
