//! A chart of horizontal bars as SVG, and any SVG as PNG.

use core::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// Groups of horizontal bars over one axis that begins at zero.
pub(super) struct Chart {
    pub(super) title: String,
    /// What the bars of a group are, for the legend; none: one bar a group.
    pub(super) series: Vec<&'static str>,
    pub(super) rows: Vec<Bars>,
    pub(super) marks: Vec<Mark>,
    /// Lines below the chart.
    pub(super) caption: Vec<String>,
}

/// One group.
pub(super) struct Bars {
    pub(super) label: String,
    /// Drawn in our colours.
    pub(super) ours: bool,
    /// One a series.
    pub(super) values: Vec<Option<f64>>,
}

/// A line across all groups.
pub(super) struct Mark {
    pub(super) at: f64,
    pub(super) label: &'static str,
}

impl Chart {
    /// As a whole SVG document.
    pub(super) fn svg(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, svg: &mut String) -> core::fmt::Result {
        let top = TOP + self.marks.len() as f64 * LINE + if self.series.is_empty() { 0.0 } else { LINE };
        let bottom = top + self.rows.iter().map(Bars::height).sum::<f64>();
        let height = bottom + AXIS + self.caption.len() as f64 * LINE + MARGIN;
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"13\" fill=\"#222\">"
        )?;
        writeln!(svg, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>")?;
        writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"28\" font-size=\"17\" font-weight=\"bold\">{}</text>",
            escape(&self.title)
        )?;
        self.legend(svg)?;
        self.axis(svg, top, bottom)?;
        let mut y = top;
        for row in &self.rows {
            self.group(svg, row, y)?;
            y += row.height();
        }
        self.marks(svg, top, bottom)?;
        // Above the marks: a figure must be readable where a mark crosses it.
        let mut y = top;
        for row in &self.rows {
            self.figures(svg, row, y)?;
            y += row.height();
        }
        for (index, line) in self.caption.iter().enumerate() {
            let y = bottom + AXIS + (index + 1) as f64 * LINE;
            writeln!(
                svg,
                "<text x=\"{MARGIN}\" y=\"{y}\" font-size=\"11\" fill=\"#666\">{}</text>",
                escape(line)
            )?;
        }
        writeln!(svg, "</svg>")
    }

    fn legend(&self, svg: &mut String) -> core::fmt::Result {
        let mut x = LABELS;
        for (name, shade) in self.series.iter().zip(SHADES) {
            writeln!(
                svg,
                "<rect x=\"{x}\" y=\"43\" width=\"12\" height=\"12\" fill=\"#666\" fill-opacity=\"{shade}\"/>"
            )?;
            writeln!(svg, "<text x=\"{}\" y=\"54\" font-size=\"12\">{}</text>", x + 18.0, escape(name))?;
            x += 40.0 + name.len() as f64 * 7.0;
        }
        Ok(())
    }

    fn axis(&self, svg: &mut String, top: f64, bottom: f64) -> core::fmt::Result {
        let step = tick(self.most());
        let decimals = usize::from(step < 1.0);
        for at in (0..=10).map(|index| f64::from(index) * step).take_while(|at| *at <= self.most()) {
            let x = self.x(at);
            writeln!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"#ddd\"/>"
            )?;
            let y = bottom + 16.0;
            writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y}\" font-size=\"12\" text-anchor=\"middle\" fill=\"#666\">{at:.decimals$}</text>"
            )?;
        }
        Ok(())
    }

    fn group(&self, svg: &mut String, row: &Bars, y: f64) -> core::fmt::Result {
        let middle = y + row.height() / 2.0 + 4.5;
        let weight = if row.ours { " font-weight=\"bold\"" } else { "" };
        let label = escape(&row.label);
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{middle}\" font-size=\"12.5\" text-anchor=\"end\"{weight}>{label}</text>",
            LABELS - 10.0
        )?;
        let colour = if row.ours { OURS } else { THEIRS };
        for (index, (value, shade)) in row.values.iter().zip(SHADES).enumerate() {
            let Some(value) = value else { continue };
            let (y, width) = (bar_top(y, index), self.x(*value) - LABELS);
            writeln!(
                svg,
                "<rect x=\"{LABELS}\" y=\"{y}\" width=\"{width:.1}\" height=\"{THICKNESS}\" fill=\"{colour}\" \
                 fill-opacity=\"{shade}\"/>"
            )?;
        }
        Ok(())
    }

    fn figures(&self, svg: &mut String, row: &Bars, y: f64) -> core::fmt::Result {
        for (index, value) in row.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let (x, y) = (self.x(*value) + 5.0, bar_top(y, index) + THICKNESS - 3.0);
            writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y}\" font-size=\"12\" stroke=\"#fff\" stroke-width=\"3\" \
                 paint-order=\"stroke\">{value:.2}</text>"
            )?;
        }
        Ok(())
    }

    fn marks(&self, svg: &mut String, top: f64, bottom: f64) -> core::fmt::Result {
        for (index, mark) in self.marks.iter().enumerate() {
            let (x, label) = (self.x(mark.at), TOP + index as f64 * LINE);
            writeln!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\" stroke=\"{MARK}\" stroke-width=\"2\" \
                 stroke-dasharray=\"6 4\"/>",
                label.min(top)
            )?;
            let beyond = x > f64::midpoint(LABELS, WIDTH);
            let (x, anchor) = if beyond { (x - 6.0, "end") } else { (x + 6.0, "start") };
            writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{label}\" font-size=\"12\" text-anchor=\"{anchor}\" fill=\"{MARK}\">{}</text>",
                escape(mark.label)
            )?;
        }
        Ok(())
    }

    fn x(&self, value: f64) -> f64 {
        LABELS + value / self.most() * (WIDTH - LABELS - VALUES)
    }

    /// The end of the axis.
    fn most(&self) -> f64 {
        let values = self.rows.iter().flat_map(|row| row.values.iter().flatten().copied());
        values.chain(self.marks.iter().map(|mark| mark.at)).fold(0.1, f64::max)
    }
}

/// Where a bar of a group begins.
fn bar_top(group: f64, index: usize) -> f64 {
    group + GAP / 2.0 + index as f64 * BAR
}

impl Bars {
    fn height(&self) -> f64 {
        self.values.len() as f64 * BAR + GAP
    }
}

/// An SVG document as PNG, twice as large. Text needs a font of the system's.
pub(super) fn png(svg: &str) -> Result<Vec<u8>> {
    let mut options = Options::default();
    options.fontdb_mut().load_system_fonts();
    ensure!(!options.fontdb.is_empty(), "PNG pictures need a font (apt-get install fonts-dejavu-core)");
    let tree = Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size().scale_by(SCALE).context("the picture's size")?;
    let mut pixmap = Pixmap::new(size.width(), size.height()).context("the picture's size")?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixmap.as_mut());
    Ok(pixmap.encode_png()?)
}

/// The distance of ticks: 1, 2 or 5 times a power of ten, so that there are at most ten.
fn tick(most: f64) -> f64 {
    let power = 10_f64.powf((most / 10.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| most / step <= 10.0)
        .unwrap_or(most)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const WIDTH: f64 = 960.0;
/// Where the labels end and the axis begins.
const LABELS: f64 = 340.0;
/// Room for the figure behind the longest bar.
const VALUES: f64 = 70.0;
const MARGIN: f64 = 18.0;
const TOP: f64 = 52.0;
const LINE: f64 = 18.0;
const AXIS: f64 = 22.0;
const BAR: f64 = 16.0;
const THICKNESS: f64 = 14.0;
const GAP: f64 = 10.0;
const SCALE: f32 = 2.0;

const SHADES: [&str; 3] = ["1", "0.6", "0.3"];
const OURS: &str = "#0b6e4f";
const THEIRS: &str = "#7a869a";
const MARK: &str = "#c0392b";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        let ticks = [0.9, 1.25, 8.4, 18.5, 100.0].map(|most| format!("{:.1}", tick(most)));
        assert_eq!(ticks, ["0.1", "0.2", "1.0", "2.0", "10.0"]);
    }

    #[test]
    fn a_chart_becomes_a_picture() {
        let row = |label: &str, ours| Bars { label: label.to_owned(), ours, values: vec![Some(3.0), None] };
        let chart = Chart {
            title: "a < b".to_owned(),
            series: vec!["one", "two"],
            rows: vec![row("ours", true), row("theirs & co", false)],
            marks: vec![Mark { at: 5.0, label: "a mark" }],
            caption: vec!["a command".to_owned()],
        };
        let mut options = Options::default();
        options.fontdb_mut().load_system_fonts();
        if options.fontdb.is_empty() {
            return eprintln!("skipped: this machine has no font");
        }
        assert!(png(&chart.svg()).expect("a picture").starts_with(b"\x89PNG"));
    }
}
