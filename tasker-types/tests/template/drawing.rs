//! Drawings of templates: nothing overlaps, every arrow points to the right, and any template can be drawn.

use std::fmt::Write;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tasker_types::template::layout::{Layout, Size};
use tasker_types::template::{Template, parse};
use tasker_types::{Graph, StepNumber};

/// A template whose steps have these names and dependencies.
fn template(steps: &[(&str, &[&str])]) -> Template {
    let mut source = "name: t\nsteps:\n".to_owned();
    for (name, of) in steps {
        let _ = writeln!(source, "  - {{ name: {name}, dependencies: [{}] }}", of.join(", "));
    }
    parse("t.yaml", &source).unwrap_or_else(|findings| panic!("{findings}")).template
}

/// What must hold of every layout of a graph without cycles.
fn check(graph: &Graph, sizes: &[Size]) -> Result<(), TestCaseError> {
    let layout = Layout::of(graph, sizes);
    prop_assert_eq!(layout.places.len(), graph.len());
    for (step, place) in graph.steps().zip(&layout.places) {
        let (left, top) = (place.corner.x, place.corner.y);
        let (right, bottom) = (left + place.size.width, top + place.size.height);
        prop_assert!(left >= 0 && top >= 0 && right <= layout.size.width && bottom <= layout.size.height);
        for other in layout.places.iter().skip(step.index() + 1) {
            let apart_x = other.corner.x >= right || other.corner.x + other.size.width <= left;
            let apart_y = other.corner.y >= bottom || other.corner.y + other.size.height <= top;
            prop_assert!(apart_x || apart_y, "{place:?} and {other:?} overlap");
        }
    }
    let edges: usize = graph.steps().map(|step| graph.parents(step).len()).sum();
    prop_assert_eq!(layout.arrows.len(), edges);
    for arrow in &layout.arrows {
        prop_assert!(arrow.points.len() >= 2 && arrow.points.len() % 2 == 0);
        prop_assert!(arrow.points.is_sorted_by_key(|point| point.x), "{arrow:?}");
        let (from, to) = (&layout.places[arrow.from.index()], &layout.places[arrow.to.index()]);
        prop_assert_eq!(arrow.points[0].x, from.corner.x + from.size.width);
        prop_assert_eq!(arrow.points[arrow.points.len() - 1].x, to.corner.x);
    }
    Ok(())
}

#[test]
fn a_diamond_is_drawn_as_one() {
    let diamond =
        template(&[("first", &[]), ("left", &["first"]), ("right", &["first"]), ("last", &["left", "right"])]);
    let layout = diamond.layout();
    let middle = |at: usize| layout.places[at].corner.y + layout.places[at].size.height / 2;
    assert_eq!(middle(0), middle(3));
    assert!(middle(1) < middle(0) && middle(0) < middle(2));
    assert_eq!(layout.places[1].corner.x, layout.places[2].corner.x + 4);
}

#[test]
fn the_same_template_is_drawn_the_same_each_time() {
    let source = include_str!("files/mathematical_sequence.yaml");
    let draw = || parse("t.yaml", source).unwrap().template.to_svg();
    assert_eq!(draw(), draw());
    let svg = draw();
    assert!(svg.contains(">linear_step_1</text>"));
    assert!(svg.contains(">rust::linear_work…inearStep1Handler</text>"), "{svg}");
    assert!(svg.contains("prefers-color-scheme:dark"));
}

#[test]
fn decisions_and_convergences_have_shapes_of_their_own() {
    let source = "\
name: t
steps:
  - { name: route, type: decision, handler: router }
  - { name: one, dependencies: [route] }
  - { name: other, dependencies: [route] }
  - { name: join, type: deferred_convergence, dependencies: [one, other] }
";
    let template = parse("t.yaml", source).unwrap_or_else(|findings| panic!("{findings}")).template;
    let chart = "\
flowchart LR
    s0{{\"route<br/>router\"}}
    s1[\"one\"]
    s2[\"other\"]
    s3([\"join\"])
    s0 --> s1
    s0 --> s2
    s1 --> s3
    s2 --> s3
";
    assert_eq!(template.to_mermaid(), chart);
    let svg = template.to_svg();
    // The hexagon begins where its arrows do not, and its right point is where they begin.
    let route = template.layout().places[0];
    let (left, middle) = (route.corner.x, route.corner.y + route.size.height / 2);
    assert!(svg.contains(&format!("<path class=\"box\" d=\"M{left} {middle}L")), "{svg}");
    assert!(svg.contains(&format!("L{} {middle}L", left + route.size.width)), "{svg}");
    assert_eq!(svg.matches("<rect ").count(), 3);
    assert_eq!(svg.matches("rx=\"18\"").count(), 1, "{svg}");
    assert!(svg.contains("<title>route, decision (router)</title>"), "{svg}");
    assert!(svg.contains("<title>join, deferred convergence</title>"), "{svg}");
}

#[test]
fn text_of_any_kind_is_escaped() {
    let mut template = template(&[("a", &[])]);
    template.name = "<script>&\"'\u{0}\u{1b}".to_owned();
    template.steps[0].name = "a\"]<b>".to_owned();
    let svg = template.to_svg();
    assert!(svg.contains("<title>&lt;script&gt;&amp;&quot;&#39;</title>"), "{svg}");
    assert!(!svg.contains("<b>") && !svg.contains("<script"));
    assert!(template.to_mermaid().contains("s0[\"a#34;#93;#60;b#62;<br/>a\"]"));
}

#[test]
fn steps_that_wait_for_each_other_are_drawn_all_the_same() {
    let ring = Graph::new(vec![vec![StepNumber(1)], vec![StepNumber(0)]]);
    let layout = Layout::of(&ring, &[]);
    assert_eq!((layout.places.len(), layout.arrows.len()), (2, 2));
    assert_eq!(Layout::of(&Graph::default(), &[]).places, []);
}

#[test]
fn the_largest_templates_are_laid_out_soon() {
    let begun = Instant::now();
    let size = Size { width: 100, height: 36 };
    let fan = |count: u32| {
        let middle: Vec<_> = (1..count - 1).map(StepNumber).collect();
        let parents = (0..count).map(|n| match n {
            0 => Vec::new(),
            _ if n == count - 1 => middle.clone(),
            _ => vec![StepNumber(0)],
        });
        Graph::new(parents.collect())
    };
    let dense = Graph::new((0..1_000).map(|n| (n.max(50) - 50..n).map(StepNumber).collect()).collect());
    let lattice = Graph::new(
        (0..10_000_u32).map(|n| (0..5).filter_map(|k| n.checked_sub(100 + 17 * k)).map(StepNumber).collect()).collect(),
    );
    for graph in [fan(10_000), dense, lattice] {
        assert_eq!(Layout::of(&graph, &vec![size; graph.len()]).places.len(), graph.len());
    }
    // For a build without optimisation on a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

/// Graphs without cycles, and a size for each step.
fn graphs() -> impl Strategy<Value = (Graph, Vec<Size>)> {
    let step = (prop::collection::btree_set(any::<u32>(), 0..4), 1_i64..300, 1_i64..80);
    prop::collection::vec(step, 0..25).prop_map(|steps| {
        let mut parents = Vec::new();
        let mut sizes = Vec::new();
        for (number, (seeds, width, height)) in (0_u32..).zip(steps) {
            let mut of: Vec<_> = seeds.iter().filter_map(|seed| seed.checked_rem(number)).map(StepNumber).collect();
            of.sort_unstable();
            of.dedup();
            parents.push(of);
            sizes.push(Size { width, height });
        }
        (Graph::new(parents), sizes)
    })
}

proptest! {
    #[test]
    fn boxes_never_overlap_and_arrows_point_to_the_right((graph, sizes) in graphs()) {
        check(&graph, &sizes)?;
    }
}
