//! The data set itself.

use aqpipe_engine::record::Flag;

use super::*;

/// Name, missing values, least and largest value (De Vito et al. 2008, doi 10.24432/C59K5F).
const FACTS: [(&str, usize, f64, f64); 13] = [
    ("CO(GT)", 1683, 0.1, 11.9),
    ("PT08.S1(CO)", 366, 647.0, 2040.0),
    ("NMHC(GT)", 8443, 7.0, 1189.0),
    ("C6H6(GT)", 366, 0.1, 63.7),
    ("PT08.S2(NMHC)", 366, 383.0, 2214.0),
    ("NOx(GT)", 1639, 2.0, 1479.0),
    ("PT08.S3(NOx)", 366, 322.0, 2683.0),
    ("NO2(GT)", 1642, 2.0, 340.0),
    ("PT08.S4(NO2)", 366, 551.0, 2775.0),
    ("PT08.S5(O3)", 366, 221.0, 2523.0),
    ("T", 366, -1.9, 44.6),
    ("RH", 366, 9.2, 88.7),
    ("AH", 366, 0.1847, 2.231),
];

#[test]
#[ignore = "needs AQPIPE_UCI_CSV, the path of AirQualityUCI.csv"]
fn the_data_set_is_read_as_it_is_known() {
    let path = std::env::var("AQPIPE_UCI_CSV").expect("AQPIPE_UCI_CSV");
    let mut split = split(with(uci(), json!({ "path": path })), &BuildContext::for_tests()).expect("opens");
    let mut batches = Vec::new();
    while let Some((batch, dead)) = next(&mut *split, 8192).expect("reads") {
        assert_eq!(dead, []);
        batches.push(batch);
    }
    let all = Batch::concat(&batches).expect("one layout");
    assert_eq!(all.rows(), 9357);
    assert!(all.time().windows(2).all(|pair| pair[1] - pair[0] == 3_600_000_000), "hourly");
    // 2004-03-10 18:00 and 2005-04-04 14:00 by a clock an hour ahead of UTC.
    assert_eq!((all.time()[0], all.time()[9356]), (1_078_938_000_000_000, 1_112_619_600_000_000));
    assert!(all.utc_offset().iter().all(|offset| *offset == 60));
    assert_eq!(all.fields().names().collect::<Vec<_>>(), FACTS.map(|(name, ..)| name));
    for (index, (name, missing, least, most)) in FACTS.into_iter().enumerate() {
        let numbers = all.numbers(index).expect("a measurement");
        assert_eq!(numbers.values.null_count(), missing, "{name}");
        let values: Vec<f64> = numbers.values.iter().flatten().collect();
        let range = values.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        assert_eq!(range, (least, most), "{name}");
        let flagged = (0..all.rows()).filter(|row| numbers.quality_at(*row).flag() == Flag::Missing).count();
        assert_eq!(flagged, missing, "{name}");
    }
    assert_eq!(split.position().records, 9357);
    assert_eq!(split.position().offset, 785_065, "the lines of separators at the end are behind the position too");
}
