//! Pictures, drawn once as SVG for the page and the report.
