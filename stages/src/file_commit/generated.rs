//! How a source tells sinks that nobody measured its readings.

/// A source of generated readings puts this into the
/// [`Extensions`](aqpipe_engine::stage::Extensions) of its pipeline. The description of files then says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct GeneratedReadings;
