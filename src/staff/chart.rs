//! Charts as numbers: where each bar and line of a small drawing goes. A template turns them into SVG.
//!
//! Bars stand on zero, whatever the values; lines are broken where there is no value. Everything is whole numbers, so
//! there is nothing a drawing could not show. Colours are classes: light and dark follow the page. Behind every chart
//! stands its table, for those who want the numbers or cannot see the drawing.

/// The drawing's size, in its own units.
pub const WIDTH: i64 = 640;
/// See [`WIDTH`].
pub const HEIGHT: i64 = 200;
/// Where values are drawn: below two labels above each other, above the names of the days.
const TOP: i64 = 46;
/// As much as a letter of a label takes at most, and a line of it. On small screens letters are larger.
const LETTER: i64 = 11;
const LETTERS_HIGH: i64 = 20;
const BOTTOM: i64 = HEIGHT - 24;
/// Where the first place begins; the last one ends as far from the other edge.
const LEFT: i64 = 4;
const RIGHT: i64 = WIDTH - 4;

/// One row of values over the places of a chart.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its name, as people read it.
    pub name: String,
    /// Its class: what it looks like.
    pub class: &'static str,
    /// Its values, one a place; none where there is none.
    pub values: Vec<Option<Value>>,
}

/// A value and how people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// How large it is.
    pub size: i64,
    /// Its text.
    pub text: String,
}

/// How values are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As bars from zero.
    Bars,
    /// As a line, from zero to at least this.
    Line(i64),
}

/// A chart with everything a template draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// A name for it, unique in its page.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// What it says, in words.
    pub summary: String,
    /// The names of its places, for its table.
    pub places: Vec<String>,
    /// The names of its series, with their classes.
    pub legend: Vec<(String, &'static str)>,
    /// Where zero is.
    pub zero_y: i64,
    /// The bars.
    pub bars: Vec<Bar>,
    /// What there is to read when no line can be drawn, because each has one point only.
    pub single: Vec<String>,
    /// The lines, each without a gap.
    pub lines: Vec<Line>,
    /// The points of lines.
    pub dots: Vec<Dot>,
    /// The texts in the drawing.
    pub labels: Vec<Label>,
    /// The cells of its table, a row a place; empty where there is no value.
    pub rows: Vec<Vec<String>>,
}

/// A bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What it looks like.
    pub class: &'static str,
    /// Its left edge.
    pub x: i64,
    /// Its upper edge.
    pub y: i64,
    /// Its width.
    pub width: i64,
    /// Its height.
    pub height: i64,
    /// What it stands for.
    pub text: String,
}

/// A line through points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it looks like.
    pub class: &'static str,
    /// Its points, as SVG writes them.
    pub points: String,
}

/// A point of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dot {
    /// What it looks like.
    pub class: &'static str,
    /// Where it is.
    pub x: i64,
    /// Where it is.
    pub y: i64,
    /// What it stands for.
    pub text: String,
}

/// A text in the drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What it looks like.
    pub class: &'static str,
    /// Where it is.
    pub x: i64,
    /// Where it is.
    pub y: i64,
    /// Which end of it is there: `start`, `middle` or `end`.
    pub anchor: &'static str,
    /// The text.
    pub text: String,
}

/// What a chart is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A name for it, unique in its page.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// What it says, in words.
    pub summary: String,
    /// The names of its places, from left to right.
    pub places: Vec<String>,
    /// Its values.
    pub series: Vec<Series>,
    /// How they are drawn.
    pub shape: Shape,
}

/// From values to heights.
#[derive(Debug, Clone, Copy)]
struct Scale {
    low: i128,
    high: i128,
}

impl Scale {
    /// Over all values, with zero in it.
    fn of(plan: &Plan) -> Scale {
        let sizes = plan.series.iter().flat_map(|series| &series.values);
        let sizes = sizes.flatten().map(|value| i128::from(value.size));
        let least = match plan.shape {
            Shape::Bars => 0,
            Shape::Line(least) => i128::from(least.max(0)),
        };
        let (low, high) = sizes.fold((0, least), |(low, high), size| {
            (low.min(size), high.max(size))
        });
        Scale { low, high }
    }

    fn y(self, size: i64) -> i64 {
        let room = i128::from(BOTTOM - TOP);
        let range = (self.high - self.low).max(1);
        let up = (i128::from(size) - self.low) * room / range;
        BOTTOM - i64::try_from(up).unwrap_or(0)
    }
}

/// The left edge of a place and its width.
fn place(at: usize, of: usize) -> (i64, i64) {
    let (at, of) = (count(at), count(of).max(1));
    let left = LEFT + (RIGHT - LEFT) * at / of;
    let right = LEFT + (RIGHT - LEFT) * (at + 1) / of;
    (left, right - left)
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX / WIDTH / 2)
}

/// Draws a chart.
#[must_use]
pub fn draw(plan: Plan) -> Chart {
    let scale = Scale::of(&plan);
    let (mut bars, mut lines, mut dots) = (Vec::new(), Vec::new(), Vec::new());
    match plan.shape {
        Shape::Bars => bars = bars_of(&plan, scale),
        Shape::Line(_) => (lines, dots) = lines_of(&plan, scale),
    }
    let labels = labels_of(&plan, scale, &bars);
    let single = match plan.shape {
        Shape::Line(_) if lines.is_empty() => dots.iter().map(|dot| dot.text.clone()).collect(),
        _ => Vec::new(),
    };
    let rows = (0..plan.places.len()).map(|at| {
        let cells = plan.series.iter().map(|series| text_at(series, at));
        cells.collect()
    });
    Chart {
        rows: rows.collect(),
        legend: plan
            .series
            .iter()
            .map(|series| (series.name.clone(), series.class))
            .collect(),
        id: plan.id,
        title: plan.title,
        summary: plan.summary,
        places: plan.places,
        zero_y: scale.y(0),
        single,
        bars,
        lines,
        dots,
        labels,
    }
}

fn value_at(series: &Series, at: usize) -> Option<&Value> {
    series.values.get(at)?.as_ref()
}

fn text_at(series: &Series, at: usize) -> String {
    value_at(series, at)
        .map(|value| value.text.clone())
        .unwrap_or_default()
}

fn bars_of(plan: &Plan, scale: Scale) -> Vec<Bar> {
    let mut bars = Vec::new();
    let zero = scale.y(0);
    for (at, name) in plan.places.iter().enumerate() {
        let (left, width) = place(at, plan.places.len());
        // A fifth of the place is left free between places.
        let free = width / 5;
        let each = ((width - free) / count(plan.series.len()).max(1)).max(1);
        for (nth, series) in plan.series.iter().enumerate() {
            let Some(value) = value_at(series, at) else {
                continue;
            };
            let y = scale.y(value.size);
            // What is not nothing is seen, however little it is.
            let height = (zero - y).abs().max(i64::from(value.size != 0));
            bars.push(Bar {
                class: series.class,
                x: left + free / 2 + each * count(nth),
                y: if value.size < 0 { zero } else { zero - height },
                width: each,
                height,
                text: format!("{name}: {} {}", series.name, value.text),
            });
        }
    }
    bars
}

fn lines_of(plan: &Plan, scale: Scale) -> (Vec<Line>, Vec<Dot>) {
    let (mut lines, mut dots) = (Vec::new(), Vec::new());
    for series in &plan.series {
        let mut points: Vec<String> = Vec::new();
        for (at, name) in plan.places.iter().enumerate() {
            let Some(value) = value_at(series, at) else {
                push_line(&mut lines, series.class, &mut points);
                continue;
            };
            let (left, width) = place(at, plan.places.len());
            let (x, y) = (left + width / 2, scale.y(value.size));
            points.push(format!("{x},{y}"));
            dots.push(Dot {
                class: series.class,
                x,
                y,
                text: format!("{name}: {} {}", series.name, value.text),
            });
        }
        push_line(&mut lines, series.class, &mut points);
    }
    (lines, dots)
}

/// A line needs two points; a single one is shown by its dot.
fn push_line(lines: &mut Vec<Line>, class: &'static str, points: &mut Vec<String>) {
    if points.len() > 1 {
        let points = points.join(" ");
        lines.push(Line { class, points });
    }
    points.clear();
}

/// The highest value of each series by its text, and the first and last place by their names.
fn labels_of(plan: &Plan, scale: Scale, bars: &[Bar]) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    let last = plan.places.len().saturating_sub(1);
    for (at, name) in plan.places.iter().enumerate() {
        let (left, width) = place(at, plan.places.len());
        let (x, anchor) = match at {
            0 => (left, "start"),
            _ if at == last => (left + width, "end"),
            _ if at * 2 == last || at * 2 == last + 1 => (left + width / 2, "middle"),
            _ => continue,
        };
        labels.push(Label {
            class: "chart-place",
            x,
            y: HEIGHT - 6,
            anchor,
            text: name.clone(),
        });
    }
    for series in &plan.series {
        let label = highest(plan, series, scale);
        let cleared = label.map(|label| cleared(label, &series.name, bars, &labels));
        labels.extend(cleared);
    }
    labels
}

/// From where to where a label reaches.
fn reach(label: &Label) -> (i64, i64) {
    let width = LETTER * count(label.text.chars().count());
    match label.anchor {
        "start" => (label.x, label.x + width),
        "end" => (label.x - width, label.x),
        _ => (label.x - width / 2, label.x + width / 2),
    }
}

/// A label lifted above the bars and the labels it would lie on. One that no longer stands on its own value says
/// whose it is.
fn cleared(label: Label, name: &str, bars: &[Bar], labels: &[Label]) -> Label {
    if free(&label, bars, labels) == label.y {
        return label;
    }
    let text = format!("{name} {}", label.text);
    let named = Label { text, ..label };
    Label {
        y: free(&named, bars, labels),
        ..named
    }
}

/// The nearest place for a label, at its own height or above.
fn free(label: &Label, bars: &[Bar], labels: &[Label]) -> i64 {
    let (left, right) = reach(label);
    let below = bars.iter().filter(|bar| bar.height > 0);
    let below = below.filter(|bar| bar.x < right && bar.x + bar.width > left);
    let mut y = below.map(|bar| bar.y - 6).fold(label.y, i64::min);
    while let Some(other) = labels.iter().find(|other| {
        let (from, to) = reach(other);
        from < right && to > left && (other.y - y).abs() < LETTERS_HIGH
    }) {
        y = other.y - LETTERS_HIGH;
    }
    y
}

fn highest(plan: &Plan, series: &Series, scale: Scale) -> Option<Label> {
    let known = series.values.iter().enumerate().take(plan.places.len());
    let known = known.filter_map(|(at, value)| Some((at, value.as_ref()?)));
    let (at, value) = known.max_by_key(|(_, value)| value.size)?;
    if value.size <= 0 {
        return None;
    }
    let (left, width) = place(at, plan.places.len());
    let middle = left + width / 2;
    let (x, anchor) = match middle {
        _ if middle < WIDTH / 4 => (left, "start"),
        _ if middle > WIDTH * 3 / 4 => (left + width, "end"),
        _ => (middle, "middle"),
    };
    Some(Label {
        class: series.class,
        x,
        y: scale.y(value.size) - 6,
        anchor,
        text: value.text.clone(),
    })
}

#[cfg(test)]
mod tests {
    //! Whatever the values, everything drawn is within the drawing, and bars stand on zero.

    use super::*;
    use proptest::prelude::*;

    fn plan(values: Vec<Vec<Option<i64>>>, shape: Shape) -> Plan {
        let places = values.first().map_or(0, Vec::len);
        Plan {
            id: "c".to_owned(),
            title: "T".to_owned(),
            summary: "S".to_owned(),
            places: (0..places).map(|at| format!("d{at}")).collect(),
            series: values
                .into_iter()
                .map(|values| Series {
                    name: "n".to_owned(),
                    class: "a",
                    values: values
                        .into_iter()
                        .map(|size| {
                            size.map(|size| Value {
                                size,
                                text: size.to_string(),
                            })
                        })
                        .collect(),
                })
                .collect(),
            shape,
        }
    }

    fn numbers(points: &str) -> Vec<i64> {
        let numbers = points.split([' ', ',']);
        numbers
            .map(|number| number.parse().expect("a whole number"))
            .collect()
    }

    fn within(chart: &Chart) {
        for bar in &chart.bars {
            assert!(
                bar.x >= 0 && bar.width > 0 && bar.x + bar.width <= WIDTH,
                "{bar:?}"
            );
            assert!(
                bar.height >= 0 && bar.y >= 0 && bar.y + bar.height <= HEIGHT,
                "{bar:?}"
            );
            let stands = bar.y + bar.height == chart.zero_y || bar.y == chart.zero_y;
            assert!(stands, "{bar:?} does not stand on {}", chart.zero_y);
        }
        for line in &chart.lines {
            let numbers = numbers(&line.points);
            assert!(
                numbers.len() >= 4 && numbers.len().is_multiple_of(2),
                "{line:?}"
            );
            for pair in numbers.chunks(2) {
                assert!((0..=WIDTH).contains(&pair[0]) && (0..=HEIGHT).contains(&pair[1]));
            }
        }
        for (at, label) in chart.labels.iter().enumerate() {
            for other in &chart.labels[..at] {
                let ((left, right), (from, to)) = (reach(label), reach(other));
                let beside = right <= from || to <= left;
                let far = (label.y - other.y).abs() >= LETTERS_HIGH;
                assert!(beside || far, "{label:?} lies on {other:?}");
            }
            assert!(
                (0..=WIDTH).contains(&label.x) && (0..=HEIGHT).contains(&label.y),
                "{label:?}"
            );
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        for shape in [Shape::Bars, Shape::Line(0)] {
            for values in [vec![], vec![vec![]], vec![vec![None, None]]] {
                let chart = draw(plan(values, shape));
                assert!(chart.bars.is_empty() && chart.lines.is_empty() && chart.dots.is_empty());
                within(&chart);
            }
        }
    }

    #[test]
    fn one_value_is_a_full_bar_or_a_dot() {
        let chart = draw(plan(vec![vec![Some(5)]], Shape::Bars));
        assert_eq!(chart.bars[0].height, BOTTOM - TOP);
        within(&chart);
        let chart = draw(plan(vec![vec![Some(5)]], Shape::Line(0)));
        assert_eq!((chart.lines.len(), chart.dots.len()), (0, 1));
        assert_eq!(chart.single, ["d0: n 5"], "it is told, not drawn");
        within(&chart);
    }

    #[test]
    fn zeros_are_bars_without_height_and_little_is_still_seen() {
        let chart = draw(plan(vec![vec![Some(0), Some(0)]], Shape::Bars));
        assert!(chart.bars.iter().all(|bar| bar.height == 0));
        let chart = draw(plan(vec![vec![Some(1), Some(1_000_000)]], Shape::Bars));
        assert_eq!(chart.bars[0].height, 1);
        within(&chart);
    }

    #[test]
    fn a_small_value_is_not_told_on_the_bar_of_a_large_one() {
        let one_day = |value| {
            let mut days = vec![Some(0); 14];
            days[13] = Some(value);
            days
        };
        let values = vec![one_day(867_099), one_day(178)];
        let chart = draw(plan(values, Shape::Bars));
        let told: Vec<(&str, i64)> = chart.labels[3..]
            .iter()
            .map(|label| (label.text.as_str(), label.y))
            .collect();
        assert_eq!(
            told,
            [("867099", TOP - 6), ("n 178", TOP - 6 - LETTERS_HIGH)]
        );
        within(&chart);
    }

    #[test]
    fn a_line_is_broken_where_there_is_no_value() {
        let values = vec![Some(1), Some(2), None, Some(3), Some(4), None, Some(9)];
        let chart = draw(plan(vec![values], Shape::Line(100)));
        assert_eq!((chart.lines.len(), chart.dots.len()), (2, 5));
        assert!(chart.single.is_empty());
        assert_eq!(chart.rows[2], [String::new()]);
        within(&chart);
    }

    #[test]
    fn the_table_has_every_value() {
        let chart = draw(plan(
            vec![vec![Some(1), None], vec![Some(3), Some(-4)]],
            Shape::Bars,
        ));
        assert_eq!(chart.rows, [["1", "3"], ["", "-4"]]);
        within(&chart);
    }

    proptest! {
        #[test]
        fn everything_is_within_the_drawing(
            values in prop::collection::vec(prop::collection::vec(prop::option::of(any::<i64>()), 14), 1..4),
            least in any::<i64>(),
        ) {
            within(&draw(plan(values.clone(), Shape::Bars)));
            within(&draw(plan(values, Shape::Line(least))));
        }

        #[test]
        fn the_larger_value_is_the_higher_bar(a in 0..i64::MAX, b in 0..i64::MAX) {
            let chart = draw(plan(vec![vec![Some(a), Some(b)]], Shape::Bars));
            let (first, second) = (chart.bars[0].height, chart.bars[1].height);
            let rises = if a < b { first <= second } else { first >= second };
            prop_assert!(rises);
        }
    }
}
