//! Card numbers in texts: Till must never hold one, and people type them into any field there is.
//!
//! A text that is nothing but such a number is refused if it begins as any card may, whoever issued it. Within other
//! words only numbers that common cards really have are looked for: one number in ten passes the check by chance, and
//! order references, telephone numbers, barcodes and times must not be refused by chance.

/// Lengths of a card number. Cards of 13 digits are issued no more, and barcodes and times in milliseconds have as many.
const LENGTHS: std::ops::RangeInclusive<usize> = 14..=19;

/// Whether a text is a number of 14 to 19 digits that may be a card's and passes the Luhn check, or has a common card's
/// number among its words; what people write between the groups of such a number does not count.
#[must_use]
pub fn holds_card_number(text: &str) -> bool {
    is_number(text) || has_card_within(text)
}

fn is_number(text: &str) -> bool {
    let plain = text
        .chars()
        .all(|c| digit(c).is_some() || c == '-' || is_blank(c));
    let digits: Vec<u32> = text.chars().filter_map(digit).collect();
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

/// What a digit counts, in the scripts whose keyboards have their own.
fn digit(c: char) -> Option<u32> {
    let zero = match c {
        '0'..='9' => '0',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        '\u{966}'..='\u{96f}' => '\u{966}',
        '\u{ff10}'..='\u{ff19}' => '\u{ff10}',
        _ => return None,
    };
    u32::from(c).checked_sub(u32::from(zero))
}

/// Blanks of every width, those without any included.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\u{2000}'
            ..='\u{200d}' | '\u{202f}' | '\u{205f}' | '\u{2060}' | '\u{3000}' | '\u{feff}'
    )
}

/// What may stand between two groups of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// Blanks: whatever the groups are.
    Blank,
    /// Another sign. Many things are written so, ids among them; a card's number only in a card's groups, which no
    /// letters go on.
    Sign,
    /// None: another number begins.
    None,
}

impl Joint {
    fn of(between: &str) -> Joint {
        let bare = between.trim_matches(|c| is_blank(c) || "\t\r\n".contains(c));
        let mut signs = bare.chars();
        match (signs.next(), signs.next()) {
            (None, _) => Joint::Blank,
            (Some(','), None) if between.len() > 1 => Joint::None,
            (Some(c), None)
                if "-._/,:+*|\u{ad}\u{b7}\u{2022}\u{2212}".contains(c)
                    || ('\u{2010}'..='\u{2015}').contains(&c) =>
            {
                Joint::Sign
            }
            _ => Joint::None,
        }
    }
}

/// A group of digits.
struct Group {
    /// What joins it to the group before it.
    joint: Joint,
    digits: Vec<u32>,
    /// Whether a letter stands before it, or behind it.
    beside_letters: [bool; 2],
}

/// Whether groups of digits are as long as those that are embossed on cards.
fn are_embossed(lengths: &[usize]) -> bool {
    matches!(lengths, [4, 6, 4 | 5] | [4, 4, 4, 4] | [4, 4, 4, 4, 1..=3])
}

/// Whether one of the common cards' numbers stands anywhere in a text.
#[must_use]
pub fn has_card_within(text: &str) -> bool {
    let enough = LENGTHS.start().saturating_sub(1);
    if text.chars().filter_map(digit).nth(enough).is_none() {
        return false;
    }
    let is_sign = |c: char| !c.is_ascii_alphanumeric();
    let pieces = text.split_inclusive(is_sign);
    let words = pieces.map(|piece| match is_hex_id(piece.trim_end_matches(is_sign)) {
        true => "x",
        false => piece,
    });
    among_words(&words.collect::<String>())
}

/// Whether a word is a long number in hexadecimal digits, as ids and checksums are: now and then it has, by chance, as
/// many decimal ones in a row as a card's number.
fn is_hex_id(word: &str) -> bool {
    let word = word.strip_prefix("0x").unwrap_or(word);
    word.len() >= 20
        && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        && word.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn among_words(text: &str) -> bool {
    let mut groups: Vec<Group> = Vec::new();
    let mut between = String::new();
    let mut in_group = false;
    for c in text.chars() {
        match (digit(c), groups.last_mut()) {
            (Some(digit), Some(group)) if in_group => group.digits.push(digit),
            (Some(digit), _) => {
                groups.push(Group {
                    joint: Joint::of(&between),
                    digits: vec![digit],
                    beside_letters: [between.ends_with(char::is_alphabetic), false],
                });
                in_group = true;
            }
            (None, group) => {
                if in_group {
                    between.clear();
                    if let Some(group) = group {
                        group.beside_letters[1] = c.is_alphabetic();
                    }
                }
                between.push(c);
                in_group = false;
            }
        }
    }
    (0..groups.len()).any(|first| {
        let (mut digits, mut lengths, mut signs) = (Vec::new(), Vec::new(), false);
        let mut after_letters = false;
        for (at, group) in groups.iter().skip(first).enumerate() {
            if (at > 0 && group.joint == Joint::None) || digits.len() > *LENGTHS.end() {
                return false;
            }
            signs |= at > 0 && group.joint == Joint::Sign;
            let [before, behind] = group.beside_letters;
            after_letters |= at == 0 && before;
            digits.extend(&group.digits);
            lengths.push(group.digits.len());
            let alone = !after_letters && !behind && are_embossed(&lengths);
            if (!signs || alone) && is_card(&digits) {
                return true;
            }
        }
        false
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
            "card4242424242424242",
            "c4242424242424242e",
            "order 17: 6011 1111 1111 1117",
            "3782 822463 10005 (amex)",
            "30569309025904 diners",
            "12 4242 4242 4242 4242",
            "pay/4242/4242/4242/4242",
            "4242.4242.4242.4242 12/30",
            "3782_822463_10005",
            "card 4242\u{a0}4242\u{2009}4242\u{200b}4242",
            "4242\u{2011}4242\u{2013}4242\u{2011}4242",
            "\u{ff14}\u{ff12}\u{ff14}\u{ff12} 4242 4242 4242",
            "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢",
            "card 4242 - 4242 - 4242 - 4242",
            "my card 4242  4242\t4242\n4242",
            "?c=4242+4242+4242+4242",
            "4242*4242*4242*4242 12/30",
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
            "4242424242/424242",
            // Ids that have, by chance, a card's number.
            "b18c8632-2266-4668-8665-0967dbc38a39",
            "01a624f5-6016-7155-8645-0837b77fdbac",
            "0xc4242424242424242e0b4f5a7b8c9d0e",
            "42424242-4242-4242-8242-4242424242ab",
            "c4242424242424242e0b4f5a7b8c9d0e",
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
