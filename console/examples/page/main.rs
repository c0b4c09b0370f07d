//! Writes the page of a made-up process with its files, to look at: `cargo run -p aqpipe-console --example page -- DIRECTORY`.

mod sample;

use std::io;
use std::path::Path;

use aqpipe_console::page::{ASSETS, Choice, index};

fn main() -> io::Result<()> {
    let dir = std::env::args().nth(1).ok_or_else(|| io::Error::other("name a directory to write to"))?;
    let dir = Path::new(&dir);
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("index.html"), index(&sample::model(), &Choice::default()).into_string())?;
    for asset in ASSETS {
        std::fs::write(dir.join(asset.path.trim_start_matches('/')), asset.text)?;
    }
    Ok(())
}
