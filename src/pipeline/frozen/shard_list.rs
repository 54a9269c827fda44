//! Several shards as text.

use std::fmt;
use std::str::FromStr;

/// Shards of a stage, ascending, each once. As text they are numbers and ranges, `0-3,7`, the form of `sbatch --array`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardList(Vec<usize>);

/// Most shards of a list: more than any cohort has.
const MOST: usize = 10_000_000;

impl ShardList {
    /// The shards at these positions.
    pub fn new(shards: &[usize]) -> Self {
        let mut shards = shards.to_vec();
        shards.sort_unstable();
        shards.dedup();
        Self(shards)
    }

    /// The positions.
    pub fn shards(&self) -> &[usize] {
        &self.0
    }

    /// Numbers and ranges.
    pub fn ranges(&self) -> Vec<String> {
        let mut ranges: Vec<[usize; 2]> = Vec::new();
        for &number in &self.0 {
            match ranges.last_mut() {
                Some([_, last]) if *last + 1 == number => *last = number,
                _ => ranges.push([number; 2]),
            }
        }
        let text = |[first, last]: [usize; 2]| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        ranges.into_iter().map(text).collect()
    }
}

impl fmt::Display for ShardList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.ranges().join(","))
    }
}

impl FromStr for ShardList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("\"{text}\", expected numbers of shards and ranges, as in `3` or `0-3,7`");
        let mut shards = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let [first, last] = [first, last].map(|number| number.trim().parse::<usize>());
            let (Ok(first), Ok(last)) = (first, last) else { return Err(expected()) };
            if last < first || last - first >= MOST || shards.len() > MOST {
                return Err(expected());
            }
            shards.extend(first..=last);
        }
        Ok(Self::new(&shards))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_numbers_and_ranges() {
        assert_eq!(ShardList::new(&[8, 0, 1, 2, 5, 7, 7]).to_string(), "0-2,5,7-8");
        assert_eq!(ShardList::new(&[]).to_string(), "");
        for text in ["0-2,5,7-8", "3", "0"] {
            assert_eq!(text.parse::<ShardList>().unwrap().to_string(), text);
        }
        for text in ["", "a", "3-1", "1,,2", "-1", "0-99999999999"] {
            assert!(text.parse::<ShardList>().unwrap_err().contains("as in `3` or"), "{text}");
        }
    }
}
