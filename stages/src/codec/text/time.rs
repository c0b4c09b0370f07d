//! RFC 3339, written by hand: once a record, which a time zone library is too slow for.

use crate::civil_date::CivilDate;

const DAY_SECONDS: i64 = 86_400;
const SECOND_MICROS: i64 = 1_000_000;

/// Appends a time as RFC 3339 by the clock of its source: `2004-03-10T18:00:00+01:00`, with `Z` for an offset of
/// zero and a fraction only if it is not zero.
///
/// `time` is in microseconds since 1970-01-01T00:00:00Z, `offset` in minutes east of UTC. Years before 0 or after 9999,
/// which RFC 3339 does not know, get a sign and six digits as in ISO 8601.
pub fn write_timestamp(out: &mut Vec<u8>, time: i64, offset: i16) {
    let local = time.saturating_add(i64::from(offset) * 60 * SECOND_MICROS);
    let (seconds, micros) = (local.div_euclid(SECOND_MICROS), local.rem_euclid(SECOND_MICROS) as u32);
    let (days, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS) as u32);
    let CivilDate { year, month, day } = CivilDate::from_epoch_days(days);
    if (0..=9999).contains(&year) && micros == 0 {
        // Nearly all are of this form, which one copy of a fixed length writes.
        let year = year as u32;
        let minutes = u32::from(offset.unsigned_abs());
        let sign = match offset {
            0 => b'Z',
            ..0 => b'-',
            _ => b'+',
        };
        let [[y0, y1], [y2, y3], [m0, m1], [d0, d1]] = [pair(year / 100), pair(year % 100), pair(month), pair(day)];
        let [[h0, h1], [i0, i1], [s0, s1]] = [pair(second / 3600), pair(second / 60 % 60), pair(second % 60)];
        let [[o0, o1], [p0, p1]] = [pair(minutes / 60), pair(minutes % 60)];
        let end = out.len() + if offset == 0 { 20 } else { 25 };
        out.extend_from_slice(&[
            y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1, sign, o0, o1, b':',
            p0, p1,
        ]);
        out.truncate(end);
        return;
    }
    if (0..=9999).contains(&year) {
        let year = year as u32;
        let [[y0, y1], [y2, y3]] = [pair(year / 100), pair(year % 100)];
        out.extend_from_slice(&[y0, y1, y2, y3]);
    } else {
        let sign = if year < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("{sign}{:06}", year.unsigned_abs()).as_bytes());
    }
    let [[m0, m1], [d0, d1]] = [pair(month), pair(day)];
    let [[h0, h1], [i0, i1], [s0, s1]] = [pair(second / 3600), pair(second / 60 % 60), pair(second % 60)];
    out.extend_from_slice(&[b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1]);
    if micros != 0 {
        write_fraction(out, micros);
    }
    if offset == 0 {
        out.push(b'Z');
    } else {
        let minutes = u32::from(offset.unsigned_abs());
        let [[h0, h1], [m0, m1]] = [pair(minutes / 60), pair(minutes % 60)];
        out.extend_from_slice(&[if offset < 0 { b'-' } else { b'+' }, h0, h1, b':', m0, m1]);
    }
}

fn write_fraction(out: &mut Vec<u8>, micros: u32) {
    let [[a, b], [c, d], [e, f]] = [pair(micros / 10_000), pair(micros / 100 % 100), pair(micros % 100)];
    let fraction = [b'.', a, b, c, d, e, f];
    let end = fraction.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
    out.extend_from_slice(&fraction[..=end]);
}

/// The two digits of a number below 100.
#[inline]
fn pair(number: u32) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reading::time::parse_timestamp;

    fn written(time: i64, offset: i16) -> String {
        let mut out = Vec::new();
        write_timestamp(&mut out, time, offset);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn times_keep_the_clock_of_their_source() {
        let time = 1_078_938_000_000_000;
        assert_eq!(written(time, 60), "2004-03-10T18:00:00+01:00");
        assert_eq!(written(time, 0), "2004-03-10T17:00:00Z");
        assert_eq!(written(time, -570), "2004-03-10T07:30:00-09:30");
        assert_eq!(written(time + 120_000, 0), "2004-03-10T17:00:00.12Z");
        assert_eq!(written(-1, 0), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn years_beyond_four_digits_are_written_in_the_expanded_form() {
        assert_eq!(written(i64::MAX, 0), "+294247-01-10T04:00:54.775807Z");
        assert!(written(i64::MIN, -1).starts_with("-290308-"));
    }

    proptest! {
        #[test]
        fn a_written_time_reads_back_as_it_was_and_jiff_agrees(
            time in -62_135_596_800_000_000i64..253_402_200_000_000_000,
            whole in any::<bool>(),
            offset in -1439i16..=1439,
        ) {
            let time = if whole { time / SECOND_MICROS * SECOND_MICROS } else { time };
            let local = time + i64::from(offset) * 60 * SECOND_MICROS;
            prop_assume!((-62_135_596_800_000_000..253_402_300_800_000_000).contains(&local));
            let text = written(time, offset);
            prop_assert_eq!(parse_timestamp(text.as_bytes()), Ok((time, offset)), "{}", &text);
            let instant: jiff::Timestamp = text.parse().expect("RFC 3339");
            prop_assert_eq!(instant.as_microsecond(), time);
        }
    }
}
