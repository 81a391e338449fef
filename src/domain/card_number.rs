//! Card numbers in texts: Till must never hold one, and people type them into any field there is.
//!
//! A text that is nothing but such a number is refused if it begins as any card may, whoever issued it. Within other
//! words only numbers that common cards really have are looked for: one number in ten passes the check by chance, and
//! order references, telephone numbers, barcodes and times must not be refused by chance.

/// Lengths of a card number. Cards of 13 digits are issued no more, and barcodes and times in milliseconds have as many.
const LENGTHS: std::ops::RangeInclusive<usize> = 14..=19;

/// Whether a text is a number of 14 to 19 digits that may be a card's and passes the Luhn check, or has a common card's
/// number among its words; spaces and hyphens between digits do not count.
#[must_use]
pub fn holds_card_number(text: &str) -> bool {
    is_number(text) || has_card_within(text)
}

fn is_number(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_digit() || " -".contains(c));
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    plain && LENGTHS.contains(&digits.len()) && may_be_issued(&digits) && luhn_holds(&digits)
}

/// Whether any issuer's cards may begin so. Those of banks begin with 2 to 6, or are local ones of 16 digits; what begins
/// with 1 is a time in microseconds or less, but for air travel cards.
fn may_be_issued(digits: &[u32]) -> bool {
    let start = digits.first().copied().unwrap_or(0);
    match digits.len() {
        15 => matches!(start, 1..=6),
        16 => matches!(start, 2..=6 | 8 | 9),
        _ => matches!(start, 2..=6),
    }
}

fn has_card_within(text: &str) -> bool {
    // Groups of digits, and whether one belongs to the group before it.
    let mut groups: Vec<(bool, Vec<u32>)> = Vec::new();
    let mut between = String::new();
    let mut in_group = false;
    for c in text.chars() {
        match c.to_digit(10) {
            Some(digit) if in_group => {
                if let Some((_, group)) = groups.last_mut() {
                    group.push(digit);
                }
            }
            Some(digit) => {
                groups.push((matches!(between.as_str(), " " | "-"), vec![digit]));
                in_group = true;
            }
            None => {
                if in_group {
                    between.clear();
                }
                between.push(c);
                in_group = false;
            }
        }
    }
    (0..groups.len()).any(|first| {
        let mut digits = Vec::new();
        let rest = groups.iter().skip(first).enumerate();
        let mut joined = rest.take_while(|(at, (joins, _))| *at == 0 || *joins);
        joined.any(|(_, (_, group))| {
            digits.extend(group);
            is_card(&digits)
        })
    })
}

/// Whether a number is one that a card may have: its issuer's beginning, length, and the check.
fn is_card(digits: &[u32]) -> bool {
    if !LENGTHS.contains(&digits.len()) || !luhn_holds(digits) {
        return false;
    }
    let four = digits.iter().take(4);
    let start = four.fold(0_u32, |sum, digit| {
        sum.saturating_mul(10).saturating_add(*digit)
    });
    match digits.len() {
        14 => matches!(start, 3000..=3059 | 3600..=3699 | 3800..=3999),
        15 => matches!(start, 3400..=3499 | 3700..=3799),
        16 => matches!(start, 2221..=2720 | 3528..=3589 | 4000..=4999 | 5000..=5999 | 6000..=6999),
        17..=19 => matches!(start, 3528..=3589 | 4000..=4999 | 6000..=6999),
        _ => false,
    }
}

fn luhn_holds(digits: &[u32]) -> bool {
    let sum = digits
        .iter()
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(
            |(digit, doubled)| match (doubled, digit.saturating_mul(2)) {
                (false, _) => *digit,
                (true, twice) if twice > 9 => twice.saturating_sub(9),
                (true, twice) => twice,
            },
        )
        .fold(0_u32, u32::saturating_add);
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_found_alone_and_among_words() {
        for card in [
            "4242424242424242",
            "4242-4242-4242-4242",
            "378282246310005",
            "my card: 4242 4242 4242 4242, exp 12/30",
            "4242424242424242 12/30 123",
            "no.5555555555554444",
            "order 17: 6011 1111 1111 1117",
            "3782 822463 10005 (amex)",
            "30569309025904 diners",
            "12 4242 4242 4242 4242",
            "ä4000056655665556ä",
            // Local and air travel cards, alone.
            "9792020000000001",
            "8600000000000007",
            "135412345678911",
        ] {
            assert!(holds_card_number(card), "{card}");
        }
    }

    #[test]
    fn other_numbers_are_let_through() {
        for other in [
            "4242424242424241",
            "1234567890",
            "web-1001",
            "49 170 1234567",
            "+49 151 23456789 04",
            "web-1763844712341",
            "4006381333932",
            "9783161484102",
            "at 1763844712349 ms",
            "DE89 3704 0044 0532 0130 00",
            "4242 4242, 4242 4242",
            "4242/4242/4242/4242",
            "12345678901234567890123",
            "42424242424242424242424242",
            "",
        ] {
            assert!(!holds_card_number(other), "{other}");
        }
    }

    /// One in ten would be refused by the check alone.
    #[test]
    fn no_time_in_milliseconds_makes_a_reference_a_card() {
        for ms in 1_763_844_712_000_u64..1_763_844_713_000 {
            for text in [
                format!("web-{ms}"),
                ms.to_string(),
                format!("{ms}000"),
                format!("{ms}000000"),
            ] {
                assert!(!holds_card_number(&text), "{text}");
            }
        }
    }
}
