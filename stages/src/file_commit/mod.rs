//! Output files that become visible as a whole and exactly once, for every sink that writes files.
//!
//! A writer fills a [`TempFile`], which has a hidden name. At a barrier [`OutputDir::prepare`] makes the file durable. Once the
//! checkpoint is committed, the file is renamed to its visible name. A crash between the two leaves either a hidden file, which the
//! next start removes, or a committed one, which the next start renames.
//!
//! A sink is a [`FileSink`] over an [`OutputDir`]: it has the whole two-phase commit, and the sink's own code is a
//! [`Writer`](aqpipe_engine::stage::Writer) that puts bytes into files.
//!
//! # Names
//!
//! An [`OutputDir`] is one directory and one prefix, which belong to one pipeline. A visible file is called
//! `PREFIX_SPLIT_FROM-TO.EXTENSION` by the half-open range of source offsets that was read for it, with `_SEQUENCE` behind it
//! where several checkpoints end at one offset. No visible file is ever overwritten, and no two files of a split overlap.
//!
//! A `datapackage.json` beside them describes them. All other names begin with a dot:
//!
//! * `.aqpipe.PIPELINE.WRITER.….tmp` is a file that is not visible yet.
//! * `.PREFIX.aqpipe.json` records which pipeline owns the files, and of which splits.
//! * `.PREFIX.PIPELINE.WRITER.lock` is locked while that writer runs.
//! * `.aqpipe.PIPELINE.WRITER.….tmp.json` describes that file (see [`description`]).
//! * `.aqpipe.lock` is locked while a process reads or changes any of these.

mod commit;
mod description;
mod disk;
mod embedded_run;
mod file_names;
mod file_sink;
mod generated;
mod orphans;
mod output_dir;
mod owner_record;
mod ownership;
mod staged_file;
mod temp_file;
#[cfg(test)]
mod tests;
mod visible_index;

pub use embedded_run::EmbeddedRun;
pub use file_sink::FileSink;
pub use generated::GeneratedReadings;
pub use output_dir::OutputDir;
pub use temp_file::TempFile;
