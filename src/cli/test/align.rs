//! Which items of two lists belong together: a longest common subsequence.

/// More comparisons than this are not made; items are then paired by their place.
const COMPARISONS_MAX: usize = 250_000;

/// A step through two lists at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Items that are equal.
    Both(usize, usize),
    /// An item that only the first list has.
    First(usize),
    /// An item that only the second list has.
    Second(usize),
}

/// Goes through lists of `first` and `second` items so that as many as possible are equal. Between
/// two equal ones, the items of the first list come before those of the second.
pub fn align(first: usize, second: usize, equal: impl Fn(usize, usize) -> bool) -> Vec<Step> {
    let shorter = first.min(second);
    let head = (0..shorter).take_while(|at| equal(*at, *at)).count();
    let ends = 1..=shorter - head;
    let tail = ends
        .take_while(|back| equal(first - back, second - back))
        .count();
    let (rows, columns) = (first - head - tail, second - head - tail);
    let mut steps: Vec<Step> = (0..head).map(|at| Step::Both(at, at)).collect();
    if rows.saturating_mul(columns) > COMPARISONS_MAX {
        steps.extend((head..head + rows).map(Step::First));
        steps.extend((head..head + columns).map(Step::Second));
    } else {
        middle(rows, columns, head, &equal, &mut steps);
    }
    steps.extend((0..tail).map(|at| Step::Both(first - tail + at, second - tail + at)));
    steps
}

/// The part between the equal ends, which begins at `head` in both lists.
fn middle(
    rows: usize,
    columns: usize,
    head: usize,
    equal: &impl Fn(usize, usize) -> bool,
    steps: &mut Vec<Step>,
) {
    // For each place, how many pairs there are from it on.
    let mut pairs = vec![vec![0u32; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            pairs[row][column] = match equal(head + row, head + column) {
                true => pairs[row + 1][column + 1] + 1,
                false => pairs[row + 1][column].max(pairs[row][column + 1]),
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut second = Vec::new();
    while row < rows || column < columns {
        let (at, to) = (head + row, head + column);
        if row < rows && column < columns && equal(at, to) {
            steps.append(&mut second);
            steps.push(Step::Both(at, to));
            row += 1;
            column += 1;
        } else if row < rows
            && (column == columns || pairs[row + 1][column] >= pairs[row][column + 1])
        {
            steps.push(Step::First(at));
            row += 1;
        } else {
            second.push(Step::Second(to));
            column += 1;
        }
    }
    steps.append(&mut second);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `first` and `second` as a difference: ` a`, `-b`, `+c`.
    fn difference(first: &str, second: &str) -> String {
        let (first, second): (Vec<char>, Vec<char>) =
            (first.chars().collect(), second.chars().collect());
        let steps = align(first.len(), second.len(), |at, to| first[at] == second[to]);
        let shown = steps.into_iter().map(|step| match step {
            Step::Both(at, to) => {
                assert_eq!(first[at], second[to]);
                format!(" {}", first[at])
            }
            Step::First(at) => format!("-{}", first[at]),
            Step::Second(to) => format!("+{}", second[to]),
        });
        shown.collect()
    }

    #[test]
    fn as_many_as_possible_are_equal() {
        for (first, second, expected) in [
            ("", "", ""),
            ("abc", "abc", " a b c"),
            ("abc", "ac", " a-b c"),
            ("ac", "abc", " a+b c"),
            ("abc", "axc", " a-b+x c"),
            ("ab", "xy", "-a-b+x+y"),
            ("abcd", "bcde", "-a b c d+e"),
            ("aa", "aaa", " a a+a"),
            ("", "ab", "+a+b"),
        ] {
            assert_eq!(difference(first, second), expected, "{first} {second}");
        }
    }

    #[test]
    fn lists_too_long_to_compare_are_shown_whole() {
        let steps = align(3_000, 3_000, |_, _| false);
        assert_eq!(steps.len(), 6_000);
        assert_eq!(steps[3_000], Step::Second(0));
    }
}
