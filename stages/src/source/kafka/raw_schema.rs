//! What a dead letter keeps beside the bytes of its message: its time, where the bytes do not say it.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct RawSchema {
    /// In microseconds since 1970, with the minutes east of UTC of its clock.
    time: (i64, i16),
}

/// The text for a message that had this time.
pub(super) fn text(time: (i64, i16)) -> String {
    // Numbers: nothing that cannot be serialised.
    serde_json::to_string(&RawSchema { time }).unwrap_or_default()
}

/// The time in a text.
pub(super) fn time(text: Option<&str>) -> Option<(i64, i16)> {
    text.and_then(|text| serde_json::from_str(text).ok()).map(|schema: RawSchema| schema.time)
}
