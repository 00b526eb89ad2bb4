//! Templates as drawings: an SVG of our own, and Mermaid for those who have its renderer.

use std::fmt::Write;

use super::layout::{Arrow, Layout, Point, Size};
use super::{StepTemplate, StepType, Template};

/// A letter of the names' font, in pixels.
const LETTER: i64 = 8;
/// The space left and right of a name.
const PADDING: i64 = 14;
/// Names are shown up to this many letters; the full one is in the box's title.
const LONGEST: usize = 36;
/// How far the points of a decision's box stand out.
const POINT: i64 = 12;
/// The size of an arrow's head.
const HEAD: i64 = 7;

const STYLE: &str = "\
.tasker-graph text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;text-anchor:middle;fill:#1f2328}
.tasker-graph .handler{font-size:11px;fill:#59636e}
.tasker-graph .box{fill:#f6f8fa;stroke:#818b98}
.tasker-graph .line{fill:none;stroke:#818b98;stroke-width:1.4}
.tasker-graph .head{fill:#818b98}
@media (prefers-color-scheme:dark){
.tasker-graph text{fill:#f0f6fc}
.tasker-graph .handler{fill:#9198a1}
.tasker-graph .box{fill:#151b23;stroke:#656c76}
.tasker-graph .line{stroke:#656c76}
.tasker-graph .head{fill:#656c76}
}";

impl Template {
    /// Where each step stands in a drawing, with boxes that have room for the steps' names and, where they differ, the
    /// handlers'.
    #[must_use]
    pub fn layout(&self) -> Layout {
        let sizes: Vec<Size> = self.steps.iter().map(box_size).collect();
        Layout::of(&self.graph(), &sizes)
    }

    /// The workflow as an SVG image. It has no script and refers to nothing outside, and it follows the reader's choice
    /// of light or dark. A decision is a hexagon, and a convergence a box with round ends.
    ///
    /// ```
    /// use tasker_types::template::parse;
    ///
    /// let template = parse("t.yaml", "name: t\nsteps:\n  - name: a\n  - name: b\n    dependencies: [a]\n").unwrap().template;
    /// let svg = template.to_svg();
    /// assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    /// assert_eq!(svg.matches("<rect ").count(), 2);
    /// assert_eq!(svg.matches("class=\"line\"").count(), 1);
    /// ```
    #[must_use]
    pub fn to_svg(&self) -> String {
        let layout = self.layout();
        let Size { width, height } = layout.size;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tasker-graph\" role=\"img\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
             <title>{}</title>\n<style>\n{STYLE}\n</style>\n",
            xml(&self.name),
        );
        for arrow in &layout.arrows {
            write_arrow(&mut svg, arrow);
        }
        for (step, place) in self.steps.iter().zip(&layout.places) {
            let Point { x, y } = place.corner;
            let Size { width, height } = place.size;
            let middle = x + width / 2;
            let _ = write!(svg, "<g><title>{}</title>", xml(&title(step)));
            write_box(&mut svg, step.step_type, place.corner, place.size);
            let name_y = y + if has_own_handler(step) { 20 } else { height / 2 + 4 };
            let _ = write!(svg, "<text x=\"{middle}\" y=\"{name_y}\">{}</text>", xml(&shown(&step.name)));
            if has_own_handler(step) {
                let handler = xml(&shown(&step.handler.callable));
                let _ = write!(svg, "<text class=\"handler\" x=\"{middle}\" y=\"{}\">{handler}</text>", y + 37);
            }
            svg.push_str("</g>\n");
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// The workflow as a Mermaid flowchart. A decision is a hexagon, and a convergence a box with round ends.
    ///
    /// ```
    /// use tasker_types::template::parse;
    ///
    /// let source = "name: t\nsteps:\n  - name: a\n  - { name: b, handler: shop.b, dependencies: [a] }\n";
    /// assert_eq!(parse("t.yaml", source).unwrap().template.to_mermaid(), "\
    /// flowchart LR
    ///     s0[\"a\"]
    ///     s1[\"b<br/>shop.b\"]
    ///     s0 --> s1
    /// ");
    /// ```
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut chart = "flowchart LR\n".to_owned();
        for (number, step) in self.steps.iter().enumerate() {
            let mut text = mermaid(&step.name);
            if has_own_handler(step) {
                let _ = write!(text, "<br/>{}", mermaid(&step.handler.callable));
            }
            let (open, close) = match step.step_type {
                StepType::Standard | StepType::Batchable | StepType::BatchWorker => ("[", "]"),
                StepType::Decision => ("{{", "}}"),
                StepType::DeferredConvergence => ("([", "])"),
            };
            let _ = writeln!(chart, "    s{number}{open}\"{text}\"{close}");
        }
        for (number, step) in self.steps.iter().enumerate() {
            for dependency in &step.dependencies {
                let _ = writeln!(chart, "    s{dependency} --> s{number}");
            }
        }
        chart
    }
}

fn has_own_handler(step: &StepTemplate) -> bool {
    step.handler.callable != step.name
}

fn box_size(step: &StepTemplate) -> Size {
    let name = shown(&step.name).chars().count();
    let handler = if has_own_handler(step) { shown(&step.handler.callable).chars().count() } else { 0 };
    // A handler's letters are smaller: seven of them take the room of six.
    let letters = name.max((handler * 6).div_ceil(7)).max(4);
    let letters = i64::try_from(letters).unwrap_or(0);
    let points = if step.step_type == StepType::Decision { 2 * POINT } else { 0 };
    Size { width: letters * LETTER + 2 * PADDING + points, height: if has_own_handler(step) { 48 } else { 36 } }
}

/// The name as it is shown: its middle is left out where it is long, because names differ at both ends.
fn shown(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= LONGEST {
        return name.to_owned();
    }
    let half = (LONGEST - 1) / 2;
    letters[..half].iter().chain(&['…']).chain(&letters[letters.len() - half..]).collect()
}

/// The outline of a step: arrows meet it in the middle of its left and right ends.
fn write_box(svg: &mut String, step_type: StepType, corner: Point, size: Size) {
    let Point { x, y } = corner;
    let Size { width, height } = size;
    let round = match step_type {
        StepType::Decision => {
            let (right, middle, bottom) = (x + width, y + height / 2, y + height);
            let (inner_left, inner_right) = (x + POINT, right - POINT);
            let _ = write!(
                svg,
                "<path class=\"box\" d=\"M{x} {middle}L{inner_left} {y}H{inner_right}L{right} {middle}L{inner_right} {bottom}H{inner_left}Z\"/>"
            );
            return;
        }
        StepType::DeferredConvergence => height / 2,
        StepType::Standard | StepType::Batchable | StepType::BatchWorker => 6,
    };
    let _ =
        write!(svg, "<rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"/>");
}

fn title(step: &StepTemplate) -> String {
    let mut title = step.name.clone();
    if step.step_type != StepType::Standard {
        title = format!("{title}, {}", step.step_type.as_str().replace('_', " "));
    }
    if has_own_handler(step) {
        title = format!("{title} ({})", step.handler.callable);
    }
    if let Some(description) = &step.description {
        title = format!("{title}: {}", description.trim());
    }
    title
}

fn write_arrow(svg: &mut String, arrow: &Arrow) {
    let (Some(start), Some(&end)) = (arrow.points.first(), arrow.points.last()) else {
        return;
    };
    let Point { x, y } = end;
    let neck = x - HEAD;
    let _ = write!(svg, "<path class=\"line\" d=\"M{} {}", start.x, start.y);
    let mut at = *start;
    for (number, pair) in arrow.points.chunks_exact(2).enumerate() {
        let bend_end = Point { x: pair[0].x.min(neck), y: pair[0].y };
        if number > 0 {
            let bend = (at.x + bend_end.x) / 2;
            let _ = write!(svg, "C{bend} {} {bend} {} {} {}", at.y, bend_end.y, bend_end.x, bend_end.y);
        }
        at = Point { x: pair[1].x.min(neck), y: pair[1].y };
        let _ = write!(svg, "H{}", at.x);
    }
    let (back, half) = (neck - 1, HEAD / 2 + 1);
    let _ = writeln!(svg, "\"/><path class=\"head\" d=\"M{x} {y}L{back} {}L{back} {}Z\"/>", y - half, y + half);
}

/// Text as XML takes it; what XML cannot hold is left out.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            '\u{fffe}' | '\u{ffff}' => {}
            _ if c.is_control() => {}
            _ => out.push(c),
        }
    }
    out
}

/// Text as Mermaid takes it in quotes: whatever is not a plain letter by its number.
fn mermaid(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ' ' | ':') {
            out.push(c);
        } else {
            let _ = write!(out, "#{};", u32::from(c));
        }
    }
    out
}
