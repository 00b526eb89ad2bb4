//! Columns of text.

use anstyle::Style;

use super::screen::DIM;

/// A cell: text, and how it looks.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: Style::new() }
    }
}

/// Rows under a header; columns are as wide as their widest cell, the last one as it comes.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row<const N: usize>(&mut self, row: [Cell; N]) {
        self.rows.push(row.into());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
            cells.chain(self.header.get(column).map(|title| title.len())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width_of).collect();
        let header: Vec<Cell> = self.header.iter().map(|title| Cell::styled(*title, DIM)).collect();
        for (at, row) in std::iter::once(&header).chain(&self.rows).enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            let last = row.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or(0);
            for (column, cell) in row.iter().take(last + 1).enumerate() {
                let style = cell.style;
                write!(f, "{style}{}{style:#}", cell.text)?;
                if column < last {
                    let gap = widths.get(column).copied().unwrap_or(0).saturating_sub(cell.text.chars().count()) + 2;
                    write!(f, "{:gap$}", "")?;
                }
            }
        }
        Ok(())
    }
}
