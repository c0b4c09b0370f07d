//! The HTTP listener that serves all pipelines of a process.
