//! The data set itself.

use aqpipe_engine::record::Flag;

use super::*;
use crate::source::UCI_FIELDS;

/// Missing values, least and largest value of each of [`UCI_FIELDS`] (De Vito et al. 2008, doi 10.24432/C59K5F).
const SUMMARIES: [(usize, f64, f64); UCI_FIELDS.len()] = [
    (1683, 0.1, 11.9),
    (366, 647.0, 2040.0),
    (8443, 7.0, 1189.0),
    (366, 0.1, 63.7),
    (366, 383.0, 2214.0),
    (1639, 2.0, 1479.0),
    (366, 322.0, 2683.0),
    (1642, 2.0, 340.0),
    (366, 551.0, 2775.0),
    (366, 221.0, 2523.0),
    (366, -1.9, 44.6),
    (366, 9.2, 88.7),
    (366, 0.1847, 2.231),
];

#[test]
#[ignore = "needs AQPIPE_UCI_CSV, the path of AirQualityUCI.csv"]
fn the_data_set_is_read_as_it_is_known() {
    let path = std::env::var("AQPIPE_UCI_CSV").expect("AQPIPE_UCI_CSV");
    let mut reader = split(with(uci(), json!({ "path": path })), &BuildContext::for_tests()).expect("opens");
    let mut batches = Vec::new();
    while let Some((batch, dead)) = next(&mut *reader, 8192).expect("reads") {
        assert_eq!(dead, []);
        batches.push(batch);
    }
    let all = Batch::concat(&batches).expect("one layout");
    assert_eq!(all.rows(), 9357);
    assert!(all.time().windows(2).all(|pair| pair[1] - pair[0] == 3_600_000_000), "hourly");
    // 2004-03-10 18:00 and 2005-04-04 14:00 by a clock an hour ahead of UTC.
    assert_eq!((all.time()[0], all.time()[9356]), (1_078_938_000_000_000, 1_112_619_600_000_000));
    assert!(all.utc_offset().iter().all(|offset| *offset == 60));
    assert_eq!(all.fields().names().collect::<Vec<_>>(), UCI_FIELDS);
    for (index, (name, (missing, least, most))) in UCI_FIELDS.into_iter().zip(SUMMARIES).enumerate() {
        let numbers = all.numbers(index).expect("a measurement");
        assert_eq!(numbers.values.null_count(), missing, "{name}");
        let values: Vec<f64> = numbers.values.iter().flatten().collect();
        let range = values.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        assert_eq!(range, (least, most), "{name}");
        let flagged = (0..all.rows()).filter(|row| numbers.quality_at(*row).flag() == Flag::Missing).count();
        assert_eq!(flagged, missing, "{name}");
    }
    assert_eq!(reader.position().records, 9357);
    assert_eq!(reader.position().offset, 785_065, "the lines of separators at the end are behind the position too");
}
