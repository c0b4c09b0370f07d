//! What is there when.

use kuva::plot::ScatterPlot;
use kuva::plot::legend::{LegendEntry, LegendShape};
use kuva::render::color::Color;
use kuva::render::layout::ComputedLayout;
use kuva::render::plots::Plot;
use kuva::render::render::Primitive;

use super::frame::{Frame, entry, label, range, with_legend};
use super::ink;
use super::time_axis::{minute, seconds, spread, with_times};
use crate::numbers::{counted, percent};

/// More rows are a table.
const MAX_ROWS: usize = 60;

/// Pieces that a row is cut into: about the pixels of the picture.
const PIECES: usize = 400;
/// Pieces of all rows: each takes up to 50 bytes.
const PIECES_OF_ALL_MAX: usize = 12_000;

/// The units between two rows.
const ROW_UNITS: u32 = 27;
/// Where bars stand in a row, below its middle.
const FLOOR_UNITS: f64 = 5.0;
/// Where the line below a bar is.
const REST_UNITS: f64 = 8.0;

/// What became of the readings that are expected in a stretch of time: counts, or shares of any whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    /// Observed, and no test failed.
    pub valid: f64,
    /// Filled.
    pub filled: f64,
    /// Observed, and a test failed; or a test emptied the cell.
    pub failed: f64,
    /// Something stood there that is no number.
    pub unreadable: f64,
    /// Nothing stood there, or there is no record.
    pub missing: f64,
}

impl Held {
    fn parts(&self) -> [f64; 5] {
        [self.valid, self.filled, self.failed, self.unreadable, self.missing].map(|part| part.max(0.0))
    }
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Its begin in milliseconds since 1970, UTC.
    pub from_ms: i64,
    /// Its end, not part of it.
    pub to_ms: i64,
    /// What it holds; nothing at all where no reading is expected, and then it stays empty.
    pub held: Held,
}

/// The row of a station or of a field.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its stretches; time in none of them is neither there nor missing, and stays empty.
    pub spans: &'a [Span],
}

/// The height and the colour of a bar by the share of the valid readings, and its words.
struct Grade {
    from: f64,
    height: f64,
    color: &'static str,
    name: &'static str,
}

/// By the shares of data capture that agencies ask for. The last one is that of any valid reading at all.
const GRADES: [Grade; 4] = [
    Grade { from: 0.9, height: 13.0, color: "better7", name: "valid: 90 % and more" },
    Grade { from: 0.85, height: 10.0, color: "better6", name: "85 to 90 %" },
    Grade { from: 0.75, height: 7.0, color: "better5", name: "75 to 85 %" },
    Grade { from: 0.0, height: 4.0, color: "better2", name: "below 75 %" },
];

/// What stands in the place of valid readings: the width, the dashes and the colour of a line below the bar, and its words.
struct Rest {
    width: f64,
    dashes: Option<&'static str>,
    color: &'static str,
    name: &'static str,
}

/// In the order of [`Held::parts`], without the first.
const RESTS: [Rest; 4] = [
    Rest { width: 4.0, dashes: None, color: ink::FILLED, name: "else filled" },
    Rest { width: 4.0, dashes: Some("2 2"), color: ink::FAIL, name: "else failed" },
    Rest { width: 4.0, dashes: Some("6 2"), color: ink::UNREADABLE, name: "else unreadable" },
    Rest { width: 1.2, dashes: None, color: ink::AXIS, name: "else missing" },
];

/// What a piece of time shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Piece {
    grade: Option<usize>,
    /// Most of what is not valid, where that is more than a tenth.
    rest: Option<usize>,
}

/// Bars of time, the higher the more of the expected readings are valid; below a bar that is not of the full height a line that
/// says what most of the others are. The picture is as tall as its rows need.
#[must_use]
pub fn availability(frame: Frame<'_>, rows: &[Row<'_>]) -> String {
    let left_out = rows.len().saturating_sub(MAX_ROWS);
    // The first row is drawn at the top, which is the end of an axis.
    let rows: Vec<Stretches<'_>> =
        rows.iter().take(MAX_ROWS).rev().map(|row| (row.name, spans_of(row.spans))).collect();
    let ends = rows.iter().flat_map(|(_, spans)| spans).flat_map(|(from, to, _)| [*from, *to]);
    let Some(times) = range(ends).map(spread) else {
        return frame.empty("no readings");
    };
    let number = PIECES.min(PIECES_OF_ALL_MAX / rows.len().max(1));
    let cut: Vec<Vec<Piece>> = rows.iter().map(|(_, spans)| pieces(spans, times, number)).collect();
    let frame = frame.tall(ROW_UNITS * rows.len() as u32 + 125);
    let layout = frame
        .layout(times, (0.5, rows.len() as f64 + 0.5))
        .with_y_categories(rows.iter().map(|(name, _)| label(name)).collect());
    let layout = with_legend(with_times(layout, times), legend(&cut));
    // Axes are there for the sake of a plot.
    let unseen = ScatterPlot::new().with_data([(times.0, 1.0)]).with_color("none");
    frame.draw_over(vec![Plot::Scatter(unseen)], layout, &about(&rows, times, left_out), |places| {
        cut.iter().enumerate().flat_map(|(row, pieces)| row_of(row, pieces, times, places)).collect()
    })
}

/// From when to when, in seconds.
type Stretch = (f64, f64, Held);
type Stretches<'a> = (&'a str, Vec<Stretch>);

fn spans_of(spans: &[Span]) -> Vec<Stretch> {
    let spans = spans.iter().filter_map(|span| Some((seconds(span.from_ms)?, seconds(span.to_ms)?, span.held)));
    spans.filter(|(from, to, held)| from < to && held.parts().iter().all(|part| part.is_finite())).collect()
}

fn pieces(spans: &[Stretch], (start, end): (f64, f64), number: usize) -> Vec<Piece> {
    let width = (end - start) / number as f64;
    let mut held = vec![[0.0_f64; 5]; number];
    for (from, to, of_span) in spans {
        let first = (((from - start) / width) as usize).min(number - 1);
        let last = (((to - start) / width) as usize).min(number - 1);
        for (at, held) in held.iter_mut().enumerate().take(last + 1).skip(first) {
            let piece = start + at as f64 * width;
            let share = (to.min(piece + width) - from.max(piece)).max(0.0) / (to - from);
            held.iter_mut().zip(of_span.parts()).for_each(|(sum, part)| *sum += part * share);
        }
    }
    held.iter().map(piece).collect()
}

fn piece(held: &[f64; 5]) -> Piece {
    let whole: f64 = held.iter().sum();
    if whole < 1e-9 {
        return Piece::default();
    }
    // What is cut into pieces adds up to a little more or less.
    let valid = held[0] / whole + 1e-9;
    let grade = GRADES.iter().position(|grade| valid >= grade.from).filter(|_| held[0] > whole * 1e-9);
    let most = (0..RESTS.len()).rev().max_by(|a, b| held[a + 1].total_cmp(&held[b + 1]));
    Piece { grade, rest: most.filter(|_| grade != Some(0)) }
}

fn legend(cut: &[Vec<Piece>]) -> Vec<LegendEntry> {
    let is_there = |is: &dyn Fn(&Piece) -> bool| cut.iter().flatten().any(is);
    let grades = GRADES.iter().enumerate().filter(|(at, _)| is_there(&|piece| piece.grade == Some(*at)));
    let rests = RESTS.iter().enumerate().filter(|(at, _)| is_there(&|piece| piece.rest == Some(*at)));
    let grades = grades.map(|(_, grade)| entry(grade.name, grade.color, LegendShape::Rect));
    grades
        .chain(rests.map(|(_, rest)| {
            let mut entry = entry(rest.name, rest.color, LegendShape::Line);
            entry.dasharray = rest.dashes.map(str::to_owned);
            entry
        }))
        .collect()
}

/// The bars of a row, and the lines below them.
fn row_of(row: usize, pieces: &[Piece], (start, end): (f64, f64), places: &ComputedLayout) -> Vec<Primitive> {
    let middle = places.map_y(row as f64 + 1.0);
    let width = (end - start) / pieces.len() as f64;
    let place = |piece: usize| places.map_x(start + piece as f64 * width);
    let mut drawn = Vec::new();
    let mut at = 0;
    for run in pieces.chunk_by(|a, b| a.grade == b.grade) {
        if let Some(grade) = run[0].grade.map(|grade| &GRADES[grade]) {
            let (left, right) = (place(at), place(at + run.len()));
            drawn.push(Primitive::Rect {
                x: left,
                y: middle + FLOOR_UNITS - grade.height,
                width: right - left,
                height: grade.height,
                fill: Color::from(grade.color),
                stroke: None,
                stroke_width: None,
                opacity: None,
            });
        }
        at += run.len();
    }
    at = 0;
    for run in pieces.chunk_by(|a, b| a.rest == b.rest) {
        if let Some(rest) = run[0].rest.map(|rest| &RESTS[rest]) {
            let y = middle + REST_UNITS;
            drawn.push(Primitive::Line {
                x1: place(at),
                y1: y,
                x2: place(at + run.len()),
                y2: y,
                stroke: Color::from(rest.color),
                stroke_width: rest.width,
                stroke_dasharray: rest.dashes.map(str::to_owned),
            });
        }
        at += run.len();
    }
    // What looks alike shares a path.
    drawn.sort_by_cached_key(|one| match one {
        Primitive::Rect { fill, .. } => fill.to_svg_string(),
        Primitive::Line { stroke, .. } => stroke.to_svg_string(),
        _ => String::new(),
    });
    drawn
}

fn about(rows: &[Stretches<'_>], (start, end): (f64, f64), left_out: usize) -> String {
    const WORDS: [&str; 5] = ["valid", "filled", "failed", "unreadable", "missing"];
    let mut text = format!("From {} to {} UTC. ", minute(start), minute(end));
    for (name, spans) in rows.iter().rev() {
        let mut sums = [0.0; 5];
        spans.iter().for_each(|(.., held)| sums.iter_mut().zip(held.parts()).for_each(|(sum, part)| *sum += part));
        let whole: f64 = sums.iter().sum();
        let share = |part: f64| percent(if whole > 0.0 { part / whole } else { 0.0 });
        let named = sums.iter().zip(WORDS).enumerate().filter(|(at, (part, _))| *at == 0 || **part > 0.0);
        let named: Vec<String> = named.map(|(_, (part, word))| format!("{} {word}", share(*part))).collect();
        text += &format!("{}: {}. ", label(name), named.join(", "));
    }
    if left_out > 0 {
        text += &format!("Not drawn: {}.", counted(left_out as u64, "more row"));
    }
    text.trim_end().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(valid: f64, filled: f64, failed: f64, unreadable: f64, missing: f64) -> Piece {
        piece(&[valid, filled, failed, unreadable, missing])
    }

    #[test]
    fn a_bar_is_as_high_as_the_share_of_valid_readings_and_the_line_says_what_the_others_are() {
        let is = |grade, rest| Piece { grade, rest };
        assert_eq!(one(24.0, 0.0, 0.0, 0.0, 0.0), is(Some(0), None));
        assert_eq!(one(0.9, 0.0, 0.0, 0.0, 0.1), is(Some(0), None));
        assert_eq!(one(21.0, 3.0, 0.0, 0.0, 0.0), is(Some(1), Some(0)));
        assert_eq!(one(18.0, 0.0, 4.0, 2.0, 0.0), is(Some(2), Some(1)));
        assert_eq!(one(1.0, 0.0, 0.0, 0.0, 23.0), is(Some(3), Some(3)), "one of 24 is not the day");
        assert_eq!(one(0.0, 0.0, 0.0, 24.0, 0.0), is(None, Some(2)));
        assert_eq!(one(0.0, 0.0, 24.0, 0.0, 0.0), is(None, Some(1)));
        assert_eq!(one(0.0, 0.0, 0.0, 0.0, 0.0), Piece::default());
    }

    #[test]
    fn rows_have_their_names_and_times_their_axis_and_bars_stand_on_their_row() {
        const DAY_MS: i64 = 86_400_000;
        let day = |at: i64, held: Held| Span { from_ms: at * DAY_MS, to_ms: (at + 1) * DAY_MS, held };
        let full = Held { valid: 24.0, ..Held::default() };
        let one = Held { valid: 1.0, missing: 23.0, ..Held::default() };
        let spans = [day(0, full), day(1, one)];
        let svg =
            availability(Frame::full("a"), &[Row { name: "NO2", spans: &spans }, Row { name: "O3", spans: &spans }]);
        for text in [">NO2</text>", ">O3</text>", ">02 Jan", "valid: 90 % and more", "below 75 %", "else missing"] {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        assert!(svg.contains("NO2: 52.1 % valid, 47.9 % missing."), "{svg}");
        let heights = |class: &str| -> Vec<String> {
            let begin = format!("<path class=\"{class}\" d=\"");
            let paths = svg.split(&begin).skip(1);
            let rects = paths.flat_map(|d| d.split('"').next().unwrap_or_default().split('M').skip(1));
            rects.filter_map(|rect| Some(rect.split('v').nth(1)?.split('h').next()?.to_owned())).collect()
        };
        assert!(heights("f-better7").iter().filter(|height| *height == "13").count() == 2, "{svg}");
        assert!(heights("f-better2").iter().filter(|height| *height == "4").count() == 2, "{svg}");
    }

    #[test]
    fn kinds_are_told_apart_by_more_than_their_colour() {
        let apart = |looks: &[(u64, Option<&str>)]| {
            let mut looks = looks.to_vec();
            looks.sort_unstable();
            looks.windows(2).all(|pair| pair[0] != pair[1])
        };
        assert!(apart(&GRADES.map(|grade| (grade.height as u64, None))));
        assert!(apart(&RESTS.map(|rest| ((rest.width * 10.0) as u64, rest.dashes))));
    }
}
