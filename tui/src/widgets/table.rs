//! A table: columns with a rank, of which the least important go first when there is no room, a cursor, and the sort
//! mark. Only the rows on the screen are formatted.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text;
use crate::app::{App, Sorting};

/// Columns are this far apart.
const GAP: u16 = 1;
/// The cursor's column.
const MARK: u16 = 2;

/// A column of a table with rows of type `R`.
pub struct Column<R: 'static> {
    pub title: &'static str,
    pub width: u16,
    /// Its share of the room that is left; 0 for a fixed width.
    pub grow: u16,
    /// Its greatest width.
    pub most: u16,
    pub align: Align,
    /// 0 stays; of the others the highest goes first.
    pub rank: u8,
    pub cell: fn(&App, &R, usize) -> Cell,
}

/// Where a cell's text stands, and where it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
    /// On the left, cut in the middle.
    Path,
}

/// What a row shows in a column.
pub struct Cell {
    pub text: String,
    pub style: Style,
}

impl Cell {
    pub fn new(text: impl Into<String>, style: Style) -> Cell {
        Cell { text: text.into(), style }
    }
}

impl<R> Column<R> {
    pub const fn fixed(
        title: &'static str,
        width: u16,
        align: Align,
        rank: u8,
        cell: fn(&App, &R, usize) -> Cell,
    ) -> Column<R> {
        Column { title, width, grow: 0, most: width, align, rank, cell }
    }

    pub const fn growing(
        title: &'static str,
        width: u16,
        most: u16,
        align: Align,
        rank: u8,
        cell: fn(&App, &R, usize) -> Cell,
    ) -> Column<R> {
        Column { title, width, grow: 1, most, align, rank, cell }
    }
}

/// A table to be drawn.
pub struct Table<'a, R: 'static> {
    pub columns: &'a [Column<R>],
    /// The rows on the screen, from the first one shown.
    pub rows: &'a [&'a R],
    /// Which of the rows shown is selected.
    pub selected: Option<usize>,
    /// The title of the column that the rows are sorted by.
    pub sorted: Option<(&'static str, Sorting)>,
    pub focused: bool,
}

/// The columns that have room: index, position and width of each.
fn fit<R>(columns: &[Column<R>], width: u16) -> Vec<(usize, u16, u16)> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let needed = |shown: &[usize]| shown.iter().map(|index| columns[*index].width + GAP).sum::<u16>();
    while shown.len() > 1 && needed(&shown) > width + GAP {
        let Some(least) = shown.iter().copied().max_by_key(|index| (columns[*index].rank, *index)) else {
            break;
        };
        if columns[least].rank == 0 {
            break;
        }
        shown.retain(|index| *index != least);
    }
    let mut widths: Vec<u16> = shown.iter().map(|index| columns[*index].width).collect();
    let mut spare = (width + GAP).saturating_sub(needed(&shown));
    while spare > 0 {
        let mut given = false;
        for (slot, index) in shown.iter().enumerate() {
            let column = &columns[*index];
            if spare > 0 && column.grow > 0 && widths[slot] < column.most {
                widths[slot] += 1;
                spare -= 1;
                given = true;
            }
        }
        if !given {
            break;
        }
    }
    let mut x = 0;
    shown
        .into_iter()
        .zip(widths)
        .map(|(index, width)| {
            let at = x;
            x += width + GAP;
            (index, at, width)
        })
        .collect()
}

impl<R> Table<'_, R> {
    /// Draws titles and rows.
    pub fn draw(&self, app: &App, area: Rect, buf: &mut Buffer) {
        let body = Rect { x: area.x + MARK.min(area.width), width: area.width.saturating_sub(MARK), ..area };
        let columns = fit(self.columns, body.width);
        for (index, x, width) in &columns {
            self.title(app, body, buf, &self.columns[*index], *x, *width);
        }
        for (row, data) in self.rows.iter().take(usize::from(area.height.saturating_sub(1))).enumerate() {
            let y = row as u16 + 1;
            for (index, x, width) in &columns {
                let column = &self.columns[*index];
                let cell = (column.cell)(app, data, usize::from(*width));
                place(app, buf, body, column.align, *x, y, *width, &cell);
            }
            if self.selected == Some(row) {
                self.mark(app, area, buf, y);
            }
        }
    }

    fn title(&self, app: &App, area: Rect, buf: &mut Buffer, column: &Column<R>, x: u16, width: u16) {
        let mut title = column.title.to_owned();
        if let Some((sorted, sorting)) = self.sorted
            && sorted == column.title
        {
            let glyphs = app.theme.glyphs;
            title.push_str(if sorting.reversed { glyphs.ascending } else { glyphs.descending });
        }
        let cell = Cell { text: title, style: app.theme.heading };
        place(app, buf, area, column.align, x, 0, width, &cell);
    }

    fn mark(&self, app: &App, area: Rect, buf: &mut Buffer, y: u16) {
        text::put(buf, area, 0, y, app.theme.glyphs.cursor, app.theme.strong);
        if self.focused {
            let row = Rect { y: area.y + y, height: 1, ..area };
            buf.set_style(row, app.theme.selection);
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "a cell and its rectangle")]
fn place(app: &App, buf: &mut Buffer, area: Rect, align: Align, x: u16, y: u16, width: u16, cell: &Cell) {
    let limit = usize::from(width);
    let ellipsis = app.theme.glyphs.ellipsis;
    match align {
        Align::Left => {
            text::put(buf, area, x, y, &text::cut(&cell.text, limit, ellipsis), cell.style);
        }
        Align::Path => {
            text::put(buf, area, x, y, &text::cut_middle(&cell.text, limit, ellipsis), cell.style);
        }
        Align::Right => {
            text::put_right(buf, area, x + width, y, &text::cut(&cell.text, limit, ellipsis), cell.style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(width: u16, grow: u16, rank: u8) -> Column<()> {
        Column { title: "", width, grow, most: 40, align: Align::Left, rank, cell: |_, (), _| unreachable!() }
    }

    #[test]
    fn the_least_important_columns_go_first() {
        let columns = [column(10, 0, 0), column(5, 0, 2), column(5, 0, 1)];
        let shown = |width| fit(&columns, width).iter().map(|(index, ..)| *index).collect::<Vec<_>>();
        assert_eq!(shown(30), [0, 1, 2]);
        assert_eq!(shown(22), [0, 1, 2]);
        assert_eq!(shown(21), [0, 2]);
        assert_eq!(shown(12), [0]);
        assert_eq!(shown(0), [0], "the most important one stays and is cut");
    }

    #[test]
    fn room_left_is_shared_up_to_the_most() {
        let columns = [column(10, 1, 0), column(5, 0, 0), column(10, 1, 0)];
        let widths = |width| fit(&columns, width).iter().map(|(.., width)| *width).collect::<Vec<_>>();
        assert_eq!(widths(27), [10, 5, 10]);
        assert_eq!(widths(37), [15, 5, 15]);
        assert_eq!(widths(200), [40, 5, 40]);
    }
}
