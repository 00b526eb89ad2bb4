//! The figures as a drawing: rates beside their ceilings, and what a growing backlog changes.

use std::fmt::Write as _;

use crate::database::Kind;
use crate::report::Report;

const KINDS: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];
const COLOURS: [&str; 2] = ["#2f6f9f", "#b0562b"];
/// Of one panel, in pixels: where its axes are, and how far they go.
const WIDTH: f64 = 250.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 44.0;
const STRIDE: f64 = WIDTH + LEFT + 18.0;

/// Three panels side by side.
pub(crate) fn draw(report: &Report) -> String {
    let (width, height) = (3.0 * STRIDE + 10.0, TOP + HEIGHT + 74.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    bars(&mut svg, report);
    lines(&mut svg, report, 1.0, "Steps a second over the backlog", "throughput, backlog of ", "steps/s");
    lines(&mut svg, report, 2.0, "A claim of 100 over the backlog", "claim of 100, backlog of ", "ms");
    legend(&mut svg, height - 14.0);
    svg.push_str("</svg>\n");
    svg
}

/// Chains of four steps, each beside the bare loop of the same run.
fn bars(svg: &mut String, report: &Report) {
    let value = |kind, what| report.summary(kind, what).map_or(0.0, |summary| summary.median);
    let rates = KINDS.map(|kind| (value(kind, "4-step chains, 256 in flight"), value(kind, crate::ceiling::CEILING)));
    let top = nice(rates.iter().flat_map(|(ours, ceiling)| [*ours, *ceiling]).fold(0.0, f64::max));
    frame(svg, 0.0, "Steps a second, 4-step chains", top, "steps/s");
    for ((kind, (ours, ceiling)), (slot, colour)) in KINDS.iter().zip(rates).zip([0.0, 1.0].into_iter().zip(COLOURS)) {
        let left = LEFT + 22.0 + slot * 118.0;
        for (at, value, opacity, name) in [(0.0, ours, 1.0, "engine"), (46.0, ceiling, 0.4, "loop")] {
            let tall = HEIGHT * value / top;
            let (x, y) = (left + at, TOP + HEIGHT - tall);
            _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"38\" height=\"{tall:.1}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>"
            );
            text(svg, x + 19.0, y - 4.0, "middle", &short(value));
            text(svg, x + 19.0, TOP + HEIGHT + 14.0, "middle", name);
        }
        text(svg, left + 42.0, TOP + HEIGHT + 29.0, "middle", kind.name());
    }
}

/// One line a database over the length of the backlog, which grows tenfold from mark to mark.
fn lines(svg: &mut String, report: &Report, panel: f64, title: &str, prefix: &str, unit: &str) {
    let series = KINDS.map(|kind| report.series(kind, prefix));
    let all = || series.iter().flatten();
    let top = nice(all().map(|(_, value)| *value).fold(0.0, f64::max));
    frame(svg, panel, title, top, unit);
    let first = all().map(|(at, _)| at.log10()).fold(f64::INFINITY, f64::min);
    let last = all().map(|(at, _)| at.log10()).fold(0.0, f64::max);
    let x = |at: f64| {
        let share = if last > first { (at.log10() - first) / (last - first) } else { 0.5 };
        panel * STRIDE + LEFT + 20.0 + share * (WIDTH - 40.0)
    };
    let y = |value: f64| TOP + HEIGHT - HEIGHT * value / top;
    for (points, colour) in series.iter().zip(COLOURS) {
        let path: Vec<String> = points.iter().map(|&(at, value)| format!("{:.1},{:.1}", x(at), y(value))).collect();
        _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for &(at, value) in points {
            _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"/>", x(at), y(value));
            text(svg, x(at), y(value) - 7.0, "middle", &short(value));
        }
    }
    if let Some(longest) = series.iter().max_by_key(|points| points.len()) {
        for &(at, _) in longest {
            text(svg, x(at), TOP + HEIGHT + 14.0, "middle", &short(at));
        }
    }
    text(
        svg,
        panel * STRIDE + LEFT + WIDTH / 2.0,
        TOP + HEIGHT + 29.0,
        "middle",
        "ready steps, and as many finished and scheduled",
    );
}

/// Title, axes, and four marks on the upright one.
fn frame(svg: &mut String, panel: f64, title: &str, top: f64, unit: &str) {
    let left = panel * STRIDE + LEFT;
    _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"18\" text-anchor=\"middle\" font-weight=\"bold\">{title}</text>",
        left + WIDTH / 2.0
    );
    text(svg, left - 6.0, TOP - 12.0, "end", unit);
    for mark in 0..=4 {
        let value = top * f64::from(mark) / 4.0;
        let y = TOP + HEIGHT - HEIGHT * f64::from(mark) / 4.0;
        let colour = if mark == 0 { "#222" } else { "#ddd" };
        _ = writeln!(
            svg,
            "<line x1=\"{left:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\"/>",
            left + WIDTH
        );
        text(svg, left - 6.0, y + 4.0, "end", &short(value));
    }
}

fn legend(svg: &mut String, y: f64) {
    for (kind, (colour, x)) in KINDS.iter().zip(COLOURS.into_iter().zip([LEFT, LEFT + 90.0])) {
        _ = writeln!(svg, "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>", y - 9.0);
        text(svg, x + 14.0, y, "start", kind.name());
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

/// The next round number above.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let ten = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * ten)
        .find(|step| *step >= value * 1.05)
        .unwrap_or(20.0 * ten)
}

/// A number as short as it can be read.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.0}M", v / 1e6),
        v if v >= 1e4 => format!("{:.0}k", v / 1e3),
        v if v >= 1e3 => format!("{:.1}k", v / 1e3),
        v if v >= 10.0 || v == 0.0 => format!("{v:.0}"),
        v => format!("{v:.2}"),
    }
}
