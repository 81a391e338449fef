//! Webhook signatures, by the rules of Stripe's own `construct_event`.
//!
//! The key is the whole text of the endpoint's secret, the message is the timestamp, a dot and the raw body;
//! any `v1` value of the header may match and every other scheme is ignored. Beyond Stripe's libraries a stamp
//! too far in the future is refused as well. Comparisons take the same time wherever they fail.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::time::Timestamp;
use crate::provider::{SignatureError, Verified};

/// How far a signature's timestamp may be from our clock, in seconds, either way.
const TOLERANCE_SECONDS: u64 = 300;
/// The longest header that is looked at.
const MAX_HEADER_BYTES: usize = 4_096;
/// How many signatures of one header are tried: Stripe sends one per active secret.
const MAX_SIGNATURES: usize = 10;
/// The latest timestamp that is taken for one, in seconds: tens of thousands of years ahead.
const MAX_TIMESTAMP: i64 = 1 << 40;
/// Bytes in an HMAC-SHA256.
const MAC_BYTES: usize = 32;

/// What a header claims.
#[derive(Debug)]
struct Claim {
    seconds: i64,
    signatures: Vec<[u8; MAC_BYTES]>,
}

/// Checks a webhook's header and body against every secret.
///
/// # Errors
/// [`SignatureError`]: the signature is judged before its timestamp, so a stale but genuine one is `Stale`.
pub fn verify(
    secrets: &[String],
    header: Option<&str>,
    body: &[u8],
    now: Timestamp,
) -> Result<Verified, SignatureError> {
    let header = header
        .filter(|header| !header.is_empty())
        .ok_or(SignatureError::Missing)?;
    let claim = parse(header).ok_or(SignatureError::Malformed)?;
    let mut matching = None;
    // No early exit: which secret matched, and that one did, must not show in the time taken.
    for (secret_index, secret) in secrets.iter().enumerate() {
        let signed = signs(secret, &claim, body);
        if signed && matching.is_none() {
            matching = Some(Verified { secret_index });
        }
    }
    let verified = matching.ok_or(SignatureError::NoMatch)?;
    if claim.seconds.abs_diff(now.seconds()) > TOLERANCE_SECONDS {
        return Err(SignatureError::Stale);
    }
    Ok(verified)
}

fn signs(secret: &str, claim: &Claim, body: &[u8]) -> bool {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(claim.seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    claim.signatures.iter().fold(false, |found, signature| {
        mac.clone().verify_slice(signature).is_ok() | found
    })
}

/// Reads `t=…,v1=…,v1=…`. As in Stripe's libraries nothing is trimmed, a second `=` ends the value, unknown
/// schemes are skipped, and the last `t` counts.
fn parse(header: &str) -> Option<Claim> {
    if header.len() > MAX_HEADER_BYTES {
        return None;
    }
    let mut seconds = None;
    let mut named = 0_usize;
    let mut signatures = Vec::new();
    for item in header.split(',') {
        let mut parts = item.split('=');
        let scheme = parts.next()?;
        match scheme {
            "t" => seconds = Some(parse_seconds(parts.next()?)?),
            "v1" => {
                named = named.saturating_add(1);
                let signature = parse_hex(parts.next()?);
                if named <= MAX_SIGNATURES {
                    signatures.extend(signature);
                }
            }
            _ => {}
        }
    }
    // A `v1` that is no SHA-256 in hex matches nothing, but the header has its form.
    if named == 0 {
        return None;
    }
    seconds.map(|seconds| Claim {
        seconds,
        signatures,
    })
}

fn parse_seconds(text: &str) -> Option<i64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = text.parse().ok()?;
    (1..=MAX_TIMESTAMP).contains(&seconds).then_some(seconds)
}

/// Reads 64 lower-case hex digits: Stripe's libraries compare the text, so upper case never matches.
fn parse_hex(text: &str) -> Option<[u8; MAC_BYTES]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != MAC_BYTES || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; MAC_BYTES];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "whsec_test_secret";
    const OTHER: &str = "whsec_other";
    const T: i64 = 1_700_000_000;
    const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;
    /// Made with `openssl dgst -sha256 -hmac`.
    const GOOD: &str = "0c8670ed117751cc551a20e35839447075c42800ea3cf3e8a2fbda99cd1e6edd";
    const GOOD_OTHER: &str = "ce486949e2e39bec553617072a9bf7c086e490c7071f3324a664d8082cf43f97";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(seconds.saturating_mul(1_000))
    }

    fn check(header: &str) -> Result<usize, SignatureError> {
        let secrets = [SECRET.to_owned(), OTHER.to_owned()];
        verify(&secrets, Some(header), BODY, at(T)).map(|verified| verified.secret_index)
    }

    fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        let bytes = mac.finalize().into_bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn accepts_what_construct_event_accepts() {
        let wrong = "0".repeat(64);
        for (header, index) in [
            (format!("t={T},v1={GOOD}"), 0),
            (format!("t={T},v1={GOOD_OTHER}"), 1),
            (format!("v1={GOOD},t={T}"), 0),
            (format!("t={T},v1={wrong},v1={GOOD}"), 0),
            (format!("t={T},v1={GOOD_OTHER},v1={GOOD}"), 0),
            (format!("t={T},v1=short,v1={GOOD}"), 0),
            (format!("t={T},v0={wrong},v1={GOOD},v2=x,,=,y"), 0),
            (format!("t={T},v1={GOOD}=ignored"), 0),
            (format!("t=1,v1={GOOD},t={T}"), 0),
        ] {
            assert_eq!(check(&header), Ok(index), "{header}");
        }
    }

    #[test]
    fn refuses_what_construct_event_refuses() {
        use SignatureError::{Malformed, Missing, NoMatch};
        let stripped = "0fb54d9a35d072623dc9c03143395360f9abb724c46b8d837a63aa8d704baede";
        let upper = GOOD.to_uppercase();
        let nine_and_good = format!("{}v1={GOOD}", "v1=x,".repeat(9));
        let ten_and_good = format!("{}v1={GOOD}", "v1=x,".repeat(10));
        assert_eq!(check(&format!("t={T},{nine_and_good}")), Ok(0));
        for (header, error) in [
            (String::new(), Missing),
            ("garbage".to_owned(), Malformed),
            (format!("t={T}"), Malformed),
            (format!("v1={GOOD}"), Malformed),
            (format!("t={T},v0={GOOD}"), Malformed),
            (format!("t={T}, v1={GOOD}"), Malformed),
            (format!("T={T},V1={GOOD}"), Malformed),
            (format!("t={T},v1={GOOD},v1"), Malformed),
            (format!("t=abc,v1={GOOD}"), Malformed),
            (format!("t=,v1={GOOD}"), Malformed),
            (format!("t,v1={GOOD}"), Malformed),
            (format!("t=-1,v1={GOOD}"), Malformed),
            (format!("t=+{T},v1={GOOD}"), Malformed),
            (format!("t=0,v1={GOOD}"), Malformed),
            (format!("t={},v1={GOOD}", i64::MAX), Malformed),
            (format!("t=9{},v1={GOOD}", i64::MAX), Malformed),
            (
                format!("t={T},v1={GOOD},x={}", "x".repeat(4_096)),
                Malformed,
            ),
            (format!("t={T},v1="), NoMatch),
            (format!("t={T},v1={stripped}"), NoMatch),
            (format!("t={T},v1={upper}"), NoMatch),
            (format!("t={T},v1={GOOD}00"), NoMatch),
            (format!("t={T},v1= {GOOD}"), NoMatch),
            (format!("t={},v1={GOOD}", T + 1), NoMatch),
            (format!("t={T},{ten_and_good}"), NoMatch),
        ] {
            assert_eq!(check(&header), Err(error), "{header}");
        }
        for length in 0..64 {
            let cut = GOOD.get(..length).expect("ASCII");
            assert_eq!(check(&format!("t={T},v1={cut}")), Err(NoMatch), "{length}");
        }
    }

    #[test]
    fn raw_bytes_are_signed_whatever_they_are() {
        let secrets = [SECRET.to_owned()];
        for (body, signature) in [
            (
                &b""[..],
                "316b9ab98c15bfa039d243f3196acee619cf29749a91a634e6a8154e2f7b6727",
            ),
            (
                &b"\xff\xfe\x00"[..],
                "85d4833a625631e100b3adc6ffb883f0d4731dea854b842839400e28c283a066",
            ),
        ] {
            let header = format!("t={T},v1={signature}");
            assert!(verify(&secrets, Some(&header), body, at(T)).is_ok());
            let changed = [body, b" "].concat();
            let answer = verify(&secrets, Some(&header), &changed, at(T));
            assert_eq!(answer, Err(SignatureError::NoMatch));
        }
    }

    #[test]
    fn a_stamp_is_good_for_300_seconds_both_ways() {
        let secrets = [SECRET.to_owned()];
        let header = format!("t={T},v1={GOOD}");
        let judge = |now| verify(&secrets, Some(&header), BODY, now).map(|_| ());
        for delta in [-300, -1, 0, 299, 300] {
            assert_eq!(judge(at(T + delta)), Ok(()), "{delta}");
        }
        for now in [at(T - 301), at(T + 301), at(T + 86_400), at(0)] {
            assert_eq!(judge(now), Err(SignatureError::Stale), "{now}");
        }
        for ms in [i64::MIN, i64::MAX] {
            assert_eq!(judge(Timestamp::from_ms(ms)), Err(SignatureError::Stale));
        }
        // A wrong signature is never called stale: nothing is said about a stamp nobody signed.
        let forged = verify(&[OTHER.to_owned()], Some(&header), BODY, at(0));
        assert_eq!(forged, Err(SignatureError::NoMatch));
    }

    #[test]
    fn without_secrets_nothing_is_believed() {
        let header = format!("t={T},v1={GOOD}");
        let answer = verify(&[], Some(&header), BODY, at(T));
        assert_eq!(answer, Err(SignatureError::NoMatch));
        assert_eq!(verify(&[], None, BODY, at(T)), Err(SignatureError::Missing));
    }

    /// Ten thousand headers that nobody with a secret made, from a fixed sequence.
    #[test]
    fn forgeries_are_refused() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let secrets = [SECRET.to_owned(), OTHER.to_owned()];
        for _ in 0..10_000 {
            let place = usize::try_from(random() % 64).expect("small");
            let seconds = T + i64::try_from(random() % 600).expect("small") - 300;
            let honest = sign(SECRET, seconds, BODY);
            let flipped = if honest.as_bytes().get(place) == Some(&b'0') {
                "1"
            } else {
                "0"
            };
            let mut near = honest.clone();
            near.replace_range(place..=place, flipped);
            let header = match random() % 6 {
                0 => format!("t={seconds},v1={near}"),
                1 => format!("t={seconds},v1={}", honest.get(..place).expect("ASCII")),
                2 => format!("t={seconds},v0={honest}"),
                3 => format!(
                    "t={seconds},v1={}",
                    sign("whsec_of_another_shop", seconds, BODY)
                ),
                4 => format!("t={seconds},v1={}", sign(SECRET, seconds + 1, BODY)),
                _ => {
                    let noise: String = (0..4).map(|_| format!("{:016x}", random())).collect();
                    format!("t={seconds},v1={noise}")
                }
            };
            let answer = verify(&secrets, Some(&header), BODY, at(T));
            assert!(answer.is_err(), "{header}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_headers_never_panic_and_never_pass(
            header in "(t=[0-9a-z-]{0,20}|v1=[0-9a-fA-F]{0,70}|[a-z0-9]{0,3}=|,|=|.){0,30}",
            ms in any::<i64>(),
        ) {
            let secrets = [SECRET.to_owned()];
            let now = Timestamp::from_ms(ms);
            prop_assert!(verify(&secrets, Some(&header), BODY, now).is_err());
        }

        #[test]
        fn what_is_signed_is_accepted(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            secret in "[!-~]{1,80}",
            seconds in 1..MAX_TIMESTAMP,
        ) {
            let header = format!("t={seconds},v1={}", sign(&secret, seconds, &body));
            let answer = verify(&[secret], Some(&header), &body, at(seconds));
            prop_assert_eq!(answer, Ok(Verified { secret_index: 0 }));
        }
    }
}
