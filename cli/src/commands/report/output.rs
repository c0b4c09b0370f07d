//! Writes a report.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Who may read a new file, before the mask of the process.
const MODE: u32 = 0o666;

/// Writes a file as a whole, in place of one that is there. What is no file (a device, a pipe) is written to, and a link is
/// followed.
///
/// # Errors
/// Where that cannot be done.
pub(super) fn write_whole(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let found = std::fs::metadata(path).ok();
    if found.as_ref().is_some_and(|found| !found.is_file()) {
        return std::fs::write(path, text).with_context(failed);
    }
    let path = &if found.is_some() { path.canonicalize().with_context(failed)? } else { path.to_owned() };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    let mut file = builder
        .prefix(".aqpipe-report")
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(dir)
        // The hidden name is of no use to whoever asked for another one.
        .map_err(|error| bare(&error))
        .with_context(failed)?;
    file.write_all(text.as_bytes()).map_err(|error| bare(&error)).with_context(failed)?;
    file.persist(path).map_err(|error| bare(&error.error)).with_context(failed)?;
    Ok(())
}

/// An error without the path that it names.
fn bare(error: &io::Error) -> io::Error {
    // The library puts the path behind the reason, and has no other way to it.
    let text = error.to_string();
    io::Error::new(error.kind(), text.split(" at path \"").next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_that_was_asked_for_and_no_hidden_one() {
        let error = write_whole(Path::new("/no/such/place/page.html"), "text").expect_err("no directory");
        assert_eq!(
            format!("{error:#}"),
            "cannot write /no/such/place/page.html: No such file or directory (os error 2)"
        );
    }
}
