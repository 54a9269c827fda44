//! Sizes in bytes, as people write them.

/// Bytes of a number with a unit: B, KiB, MiB, GiB or TiB; K, M, G and T mean the same.
pub(super) fn parse(text: &str) -> Result<u64, String> {
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
}
