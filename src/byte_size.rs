//! Sizes in bytes, as people write them.

/// Bytes of a number with a unit: B, KiB, MiB, GiB or TiB; K, M, G and T mean the same.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let expected = || "expected a size as in 8GiB or 900MiB".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "the size is too large, expected one as in 8GiB".to_owned())
}

/// A size as people read it: `845 KiB`, `1.2 GiB`.
pub(crate) fn text(bytes: u64) -> String {
    let (mut size, mut unit) = (bytes as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        // What rounds to 1024 is one of the next unit.
        if size < 1023.5 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    if unit == "B" {
        return format!("{bytes} B");
    }
    if size < 9.95 { format!("{size:.1} {unit}") } else { format!("{size:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(parse("4GiB"), Ok(4 << 30));
        assert_eq!(parse("900M"), Ok(900 << 20));
        assert_eq!(parse("12"), Ok(12));
        assert!(parse("GiB").is_err() && parse("4GB").is_err() && parse("99999999T").is_err());
    }

    #[test]
    fn sizes_are_written_with_two_digits_or_more() {
        let sizes = [0, 1023, 1024, 1536, 10 << 10, 1 << 20, (1 << 20) - 1, 5 << 40, 5000 << 40];
        let expected = [
            "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10 KiB", "1.0 MiB", "1.0 MiB", "5.0 TiB",
            "5000 TiB",
        ];
        assert_eq!(sizes.map(text), expected);
    }
}
