//! Whether a format says a whole time once, so that nothing that it reads is dropped and nothing is guessed.

use super::item::Item;
use super::parts::{PARTS, Part};

/// # Errors
/// What is missing, or there twice.
pub(super) fn check(items: &[Item]) -> Result<(), String> {
    let mut counts = [0_u32; PARTS];
    let [mut meridiems, mut fractions, mut offsets, mut epochs] = [0_u32; 4];
    for item in items {
        match item {
            Item::Number(part, ..) => counts[*part as usize] += 1,
            Item::MonthName => counts[Part::Month as usize] += 1,
            Item::WeekdayName => counts[Part::Weekday as usize] += 1,
            Item::Meridiem => meridiems += 1,
            Item::Fraction { .. } => fractions += 1,
            Item::Offset => offsets += 1,
            Item::Epoch => epochs += 1,
            // Made of the numbers of a format that was checked.
            Item::Clock { .. } | Item::Byte(_) | Item::Blanks | Item::Gap => {}
        }
    }
    let has = |part: Part| counts[part as usize] > 0;
    if counts.iter().chain(&[meridiems, fractions, offsets, epochs]).any(|count| *count > 1) {
        return Err("it has one part twice, and one of the two would be dropped".to_owned());
    }
    if epochs > 0 {
        let others = counts.iter().any(|count| *count > 0) || meridiems + fractions + offsets > 0;
        return if others {
            Err("`%s` is the whole time, and what stands beside it would be dropped".to_owned())
        } else {
            Ok(())
        };
    }
    check_date(has)?;
    let needs = |wanting: bool, what: &str| if wanting { Err(what.to_owned()) } else { Ok(()) };
    needs(has(Part::Hour) && has(Part::Hour12), "`%H` and `%I` are both the hour")?;
    needs(has(Part::Hour) && meridiems > 0, "AM and PM would be dropped beside `%H`: `%I` is their hour")?;
    needs(has(Part::Hour12) != (meridiems > 0), "`%I` is no hour of a day without `%p`")?;
    let has_hour = has(Part::Hour) || has(Part::Hour12);
    needs(has(Part::Minute) && !has_hour, "minutes (`%M`) need their hour (`%H`)")?;
    needs(has(Part::Second) && !has(Part::Minute), "seconds (`%S`) need their minute (`%M`)")?;
    needs(fractions > 0 && !has(Part::Second), "a fraction needs its second (`%S`)")
}

fn check_date(has: impl Fn(Part) -> bool) -> Result<(), String> {
    let years = [Part::Year, Part::YearOfCentury].into_iter().filter(|part| has(*part)).count();
    let iso_years = [Part::IsoYear, Part::IsoYearOfCentury].into_iter().filter(|part| has(*part)).count();
    let calendar = has(Part::Month) || has(Part::Day);
    let iso = iso_years > 0 || has(Part::IsoWeek);
    let ways = [calendar, has(Part::DayOfYear), iso, has(Part::SundayWeek), has(Part::MondayWeek)];
    let ways = ways.into_iter().filter(|way| *way).count();
    if ways > 1 || years + iso_years > 1 || (has(Part::Century) && has(Part::Year)) {
        return Err("it has the date in two ways, and one of the two would be dropped".to_owned());
    }
    let needs = |wanting: bool, what: &str| if wanting { Err(what.to_owned()) } else { Ok(()) };
    needs(years + iso_years == 0, "it has no year (`%Y`)")?;
    needs(has(Part::Century) && !has(Part::YearOfCentury), "`%C` is no year without `%y`")?;
    needs(iso && (iso_years == 0 || !has(Part::IsoWeek)), "weeks of ISO 8601 need `%G`, `%V` and `%u`")?;
    needs(calendar && !has(Part::Month), "it has no month (`%m`)")?;
    // A month alone is its first day, as a day alone is its midnight.
    let is_month = !has(Part::Hour) && !has(Part::Hour12) && !has(Part::Weekday);
    needs(calendar && !has(Part::Day) && !is_month, "it has no day (`%d`)")?;
    needs(ways == 0, "it has a year and no day (`%m` and `%d`)")?;
    let is_week = iso || has(Part::SundayWeek) || has(Part::MondayWeek);
    needs(is_week && !has(Part::Weekday), "a week needs its day (`%u` or `%a`)")
}
