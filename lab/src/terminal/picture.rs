//! A terminal's screen as SVG, in the colours of a dark terminal.

use core::fmt::Write as _;

use vt100::{Cell, Color, Screen};

/// The screen down to its last line that is not blank.
pub(super) fn svg(screen: &Screen, title: &str) -> String {
    let (lines, columns) = screen.size();
    let (lines, columns) = (lines.get(), columns.get());
    let blank = |line: &u16| (0..columns).all(|column| shown(screen, *line, column).trim().is_empty());
    let used = (0..lines).rev().find(|line| !blank(line)).map_or(1, |last| last + 1);
    let (width, height) = (f32::from(columns) * CELL.0 + 2.0 * EDGE, f32::from(used) * CELL.1 + 2.0 * EDGE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n\
         <title>{}</title>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{PAPER}\"/>\n\
         <g font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n",
        escaped(title)
    );
    for line in 0..used {
        for run in runs(screen, line, columns) {
            run.write(&mut svg, line);
        }
    }
    svg + "</g>\n</svg>\n"
}

/// Neighbours in the same colours.
struct Run {
    column: u16,
    width: u16,
    text: String,
    ink: &'static str,
    paper: Option<&'static str>,
    bold: bool,
}

impl Run {
    /// `textLength` keeps the columns where the reader's font has another width.
    fn write(&self, svg: &mut String, line: u16) {
        let (x, y) = (EDGE + f32::from(self.column) * CELL.0, EDGE + f32::from(line) * CELL.1);
        let width = f32::from(self.width) * CELL.0;
        // Writing to a String cannot fail.
        if let Some(paper) = self.paper {
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{paper}\"/>",
                CELL.1
            );
        }
        let text = self.text.trim_end();
        if text.is_empty() {
            return;
        }
        let width = CELL.0 * f32::from(u16::try_from(text.chars().count()).unwrap_or(self.width));
        let bold = if self.bold { " font-weight=\"bold\"" } else { "" };
        let (base, ink, text) = (y + BASELINE, self.ink, escaped(text));
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{base:.1}\" textLength=\"{width:.1}\" fill=\"{ink}\"{bold}>{text}</text>"
        );
    }
}

fn runs(screen: &Screen, line: u16, columns: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(line, column) else { continue };
        let (ink, paper) = colors(cell);
        let text = shown(screen, line, column);
        match runs.last_mut().filter(|run| (run.ink, run.paper, run.bold) == (ink, paper, cell.bold())) {
            Some(run) => {
                run.text.push_str(&text);
                run.width += 1;
            }
            None => runs.push(Run { column, width: 1, text, ink, paper, bold: cell.bold() }),
        }
    }
    runs
}

fn shown(screen: &Screen, line: u16, column: u16) -> String {
    let text = screen.cell(line, column).map(Cell::contents).unwrap_or_default();
    if text.is_empty() { " ".to_owned() } else { text.to_owned() }
}

fn colors(cell: &Cell) -> (&'static str, Option<&'static str>) {
    let ink = match cell.fgcolor() {
        Color::Default | Color::Rgb(..) => INK,
        Color::Idx(number) => COLORS.get(usize::from(number)).copied().unwrap_or(INK),
    };
    if cell.inverse() { (PAPER, Some(ink)) } else { (ink, None) }
}

/// Blanks that do not break keep their number.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(' ', "\u{a0}")
}

/// Width and height of a character.
const CELL: (f32, f32) = (8.43, 18.0);
const EDGE: f32 = 12.0;
/// From the top of a line to the feet of its letters.
const BASELINE: f32 = 13.5;
const PAPER: &str = "#11161d";
const INK: &str = "#e7ecf2";
/// The sixteen colours, the bright ones behind.
const COLORS: [&str; 16] = [
    "#303a47", "#ff8a80", "#5ecb8c", "#e5b04d", "#6db1ff", "#d7a1ff", "#5fd0d0", "#e7ecf2", "#9aa7b5",
    "#ffb3ac", "#8ee3b3", "#f2cd85", "#a3cdff", "#e6c6ff", "#93e3e3", "#ffffff",
];
