//! Writes a scene of kuva as SVG that a style sheet colours.
//!
//! kuva's own backend writes fixed colours, a clip path with an id, and for calendars a script. A picture of ours takes its
//! colours from the page, light or dark, and stands beside others on a page that allows neither style attributes nor
//! scripts. So each colour is a word: `f-fail` is a class that fills, `s-fail` one that strokes. Neighbours of one
//! look share one path, which also keeps a year of days small.

use std::fmt::Write;

use kuva::render::color::Color;
use kuva::render::render::{Primitive, Scene, TextAnchor};
use maud::{Markup, PreEscaped, html};

use super::coordinates::{short, shortened};
use super::ink;
use super::look::{Look, class, is_ink};

/// The scene as `<svg class="pic" role="img">` with its title and its description.
pub(super) fn write(scene: &Scene, title: &str, about: &str) -> String {
    let mut pen = Pen::default();
    for element in &scene.elements {
        pen.draw(element);
    }
    pen.finish_path();
    // kuva keeps room for more than is there.
    let (top, bottom) = pen.ends.unwrap_or((0.0, scene.height));
    let (top, bottom) = ((top - MARGIN).max(0.0), (bottom + MARGIN).min(scene.height));
    let view = format!("0 {} {} {}", short(top), short(scene.width), short(bottom - top));
    html! {
        svg.pic xmlns="http://www.w3.org/2000/svg" viewBox=(view) width="100%" role="img" {
            title { (title) }
            desc { (about) }
            (PreEscaped(pen.body))
        }
    }
    .into_string()
}

/// The class of a text that stands over lines. Others have the one colour of all texts.
fn over_lines(color: Option<&Color>) -> Option<&'static str> {
    matches!(color, Some(Color::Css(word)) if &**word == ink::LIMIT).then_some("t-limit")
}

/// The room around what is drawn.
const MARGIN: f64 = 4.0;

/// How a text stands.
struct Letters {
    size: u32,
    anchor: TextAnchor,
    /// In degrees.
    rotate: Option<f64>,
    bold: bool,
}

#[derive(Default)]
struct Pen {
    body: String,
    look: Look,
    path: String,
    /// The highest and the lowest place that is drawn at. Marks and areas lie within their axes.
    ends: Option<(f64, f64)>,
    /// The title of what is drawn next: that of the group it is in.
    title: Option<String>,
}

impl Pen {
    fn draw(&mut self, element: &Primitive) {
        match element {
            Primitive::Circle { cx, cy, r, fill, .. } => self.dots(&[*cx], &[*cy], *r, fill),
            Primitive::CircleBatch { cx, cy, r, fill, .. } => self.dots(cx, cy, *r, fill),
            Primitive::Line { x1, y1, x2, y2, stroke, stroke_width, stroke_dasharray } => {
                self.line(&[(*x1, *y1), (*x2, *y2)], stroke, *stroke_width, stroke_dasharray.as_ref());
            }
            Primitive::PolyLine { points, stroke, stroke_width, stroke_dasharray } => {
                self.line(points, stroke, *stroke_width, stroke_dasharray.as_ref());
            }
            Primitive::Rect { x, y, width, height, fill, stroke, stroke_width, opacity } => {
                let look = Look {
                    class: class(Some(fill), stroke.as_ref()),
                    width: stroke.as_ref().and(*stroke_width),
                    dash: None,
                    opacity: *opacity,
                };
                self.rect(look, [*x, *y, *width, *height]);
            }
            Primitive::RectBatch { x, y, w, h, fills } => {
                for ((((x, y), w), h), fill) in x.iter().zip(y).zip(w).zip(h).zip(fills) {
                    self.rect(Look { class: class(Some(fill), None), ..Look::default() }, [*x, *y, *w, *h]);
                }
            }
            Primitive::Path(path) => {
                let look = Look {
                    class: class(path.fill.as_ref(), Some(&path.stroke)),
                    width: is_ink(&path.stroke).then_some(path.stroke_width),
                    dash: path.stroke_dasharray.clone(),
                    opacity: path.opacity,
                };
                if let Some(d) = shortened(&path.d) {
                    self.add(look, &d);
                }
            }
            Primitive::Text { x, y, content, size, anchor, rotate, bold, color } => {
                let letters = Letters { size: *size, anchor: *anchor, rotate: *rotate, bold: *bold };
                self.text((*x, *y), content, &letters, color.as_ref());
            }
            Primitive::RichText { x, y, spans, size, anchor, .. } => {
                let content: String = spans.iter().map(|span| span.text.as_str()).collect();
                let letters = Letters { size: *size, anchor: *anchor, rotate: None, bold: false };
                self.text((*x, *y), &content, &letters, None);
            }
            Primitive::GroupStart { title, .. } => {
                if title.is_some() {
                    self.finish_path();
                    self.title.clone_from(title);
                }
            }
            Primitive::GroupEnd => {
                if self.title.is_some() {
                    self.finish_path();
                    self.title = None;
                }
            }
            // Every point lies within the axes, and a marker at the edge is better seen whole.
            Primitive::ClipStart { .. } | Primitive::ClipEnd => {}
        }
    }

    fn reach(&mut self, top: f64, bottom: f64) {
        let (old_top, old_bottom) = self.ends.unwrap_or((top, bottom));
        self.ends = Some((old_top.min(top), old_bottom.max(bottom)));
    }

    /// Dots are the round ends of lines without a length: a tenth of the bytes of circles.
    fn dots(&mut self, cx: &[f64], cy: &[f64], r: f64, fill: &Color) {
        let mut d = String::new();
        for (x, y) in cx.iter().zip(cy).filter(|(x, y)| x.is_finite() && y.is_finite()) {
            self.reach(y - r, y + r);
            let _ = write!(d, "M{} {}h0", short(*x), short(*y));
        }
        let class = format!("{} dot", class(None, Some(fill)));
        self.add(Look { class, width: Some(2.0 * r), dash: None, opacity: None }, &d);
    }

    fn line(&mut self, points: &[(f64, f64)], stroke: &Color, width: f64, dash: Option<&String>) {
        let mut d = String::with_capacity(points.len() * 12);
        let mut last = String::new();
        for (x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            self.reach(*y, *y);
            let (x, y) = (short(*x), short(*y));
            let _ = match d.is_empty() {
                true => write!(d, "M{x} {y}"),
                false if y == last => write!(d, "H{x}"),
                false => write!(d, "L{x} {y}"),
            };
            last = y;
        }
        self.add(Look { class: class(None, Some(stroke)), width: Some(width), dash: dash.cloned(), opacity: None }, &d);
    }

    fn rect(&mut self, look: Look, [x, y, width, height]: [f64; 4]) {
        // A colour that is none has no place either.
        if !look.class.is_empty() && [x, y, width, height].iter().all(|v| v.is_finite()) && width > 0.0 && height > 0.0
        {
            self.reach(y, y + height);
            let (width, height) = (short(width), short(height));
            self.add(look, &format!("M{} {}h{width}v{height}h-{width}z", short(x), short(y)));
        }
    }

    fn text(&mut self, (x, y): (f64, f64), content: &str, letters: &Letters, color: Option<&Color>) {
        let &Letters { size, anchor, rotate, bold } = letters;
        if content.is_empty() || !x.is_finite() || !y.is_finite() {
            return;
        }
        self.finish_path();
        // Turned by some angle, a text may reach as far as it is long.
        let reach = if rotate.is_some_and(|angle| angle.abs() != 90.0) {
            content.chars().count() as f64 * f64::from(size) * 0.45
        } else {
            f64::from(size) * 0.3
        };
        self.reach(y - f64::from(size), y + reach);
        let (x, y) = (short(x), short(y));
        let anchor = match anchor {
            TextAnchor::Start => None,
            TextAnchor::Middle => Some("middle"),
            TextAnchor::End => Some("end"),
        };
        let turn = rotate.filter(|angle| angle.is_finite()).map(|angle| format!("rotate({} {x} {y})", short(angle)));
        let text: Markup = html! {
            text class=[over_lines(color)] x=(x) y=(y) font-size=(size) text-anchor=[anchor] transform=[turn] font-weight=[bold.then_some("600")] {
                (content)
            }
        };
        self.body.push_str(&text.0);
    }

    /// Adds to the path that is being drawn, or begins another.
    fn add(&mut self, look: Look, d: &str) {
        if d.is_empty() || !(look.class.contains("f-") || look.class.contains("s-")) {
            return;
        }
        if look != self.look {
            self.finish_path();
            self.look = look;
        }
        self.path.push_str(d);
    }

    fn finish_path(&mut self) {
        if self.path.is_empty() {
            return;
        }
        let Look { class, width, dash, opacity } = std::mem::take(&mut self.look);
        let d = std::mem::take(&mut self.path);
        let (width, opacity) = (width.map(short), opacity.map(|share| format!("{share:.2}")));
        let path: Markup = html! {
            path class=(class) stroke-width=[width] stroke-dasharray=[dash] opacity=[opacity] d=(d) {
                @if let Some(title) = &self.title { title { (title) } }
            }
        };
        self.body.push_str(&path.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(elements: Vec<Primitive>) -> Scene {
        let mut scene = Scene::new(100.0, 50.0);
        scene.elements = elements;
        scene
    }

    fn rect(x: f64, fill: &str) -> Primitive {
        let fill = Color::from(fill);
        Primitive::Rect { x, y: 0.0, width: 4.0, height: 4.0, fill, stroke: None, stroke_width: None, opacity: None }
    }

    #[test]
    fn neighbours_of_one_look_share_a_path() {
        let svg = write(&scene(vec![rect(0.0, "heat1"), rect(5.0, "heat1"), rect(10.0, "heat2")]), "t", "d");
        assert_eq!(svg.matches("<path").count(), 2, "{svg}");
        assert!(svg.contains(r#"<path class="f-heat1" d="M0 0h4v4h-4zM5 0h4v4h-4z"></path>"#), "{svg}");
    }

    #[test]
    fn what_is_no_number_is_not_drawn() {
        let svg = write(&scene(vec![rect(f64::NAN, "heat1")]), "t", "d");
        assert!(!svg.contains("<path"), "{svg}");
    }

    #[test]
    fn every_text_is_escaped() {
        let hostile = "<script>alert(1)</script>\"'&";
        let text = Primitive::Text {
            x: 1.0,
            y: 2.0,
            content: hostile.into(),
            size: 12,
            anchor: TextAnchor::End,
            rotate: Some(-90.0),
            bold: false,
            color: None,
        };
        let group =
            Primitive::GroupStart { transform: None, title: Some(hostile.into()), extra_attrs: Some(hostile.into()) };
        let svg = write(&scene(vec![group, rect(0.0, "heat1"), Primitive::GroupEnd, text]), hostile, hostile);
        assert!(!svg.contains("<script"), "{svg}");
        assert_eq!(svg.matches("&lt;script&gt;").count(), 4, "{svg}");
    }
}
