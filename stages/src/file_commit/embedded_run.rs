//! How a run on the embedded broker tells sinks that its files are not those of a real cluster.

/// A run whose broker is in memory puts this into the
/// [`Extensions`](aqpipe_engine::stage::Extensions) of its process. Its sinks then write into a directory of their own
/// below `dir`, and replace the files of the last such run.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbeddedRun;
