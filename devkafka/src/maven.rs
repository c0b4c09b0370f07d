//! Fetching the jars of Apache Kafka by Maven, which checks their checksums and knows the user's proxy and mirrors.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aqpipe_engine::{Error, Result};

use super::home::lock_file;
use super::java::on_path;
use crate::printer;

const VERSION: &str = "4.3.1";
const KAFKA_JAR: &str = "kafka_2.13-4.3.1.jar";
/// Without it the broker says nothing at all.
const LOG_JAR: &str = "log4j-slf4j-impl-2.25.3.jar";

const POM: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>aqpipe</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>4.3.1</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.3</version>
    </dependency>
  </dependencies>
</project>
"#;
/// With its version, so that every machine resolves with the same one.
const GOAL: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

const HELP: &str = "or download Apache Kafka 4 from https://kafka.apache.org/downloads, unpack it, and name its directory \
                    with `--kafka-home` or KAFKA_HOME";

/// Where the jars belong in a cache directory. It is laid out as an unpacked Kafka is: the jars are in `libs`.
pub(super) fn place(cache: &Path) -> PathBuf {
    cache.join(format!("kafka-{VERSION}"))
}

/// Whether the jars are there. Only a complete set gets this name, so one look is enough.
pub(super) fn is_complete(place: &Path) -> bool {
    let libs = place.join("libs");
    libs.join(KAFKA_JAR).is_file() && libs.join(LOG_JAR).is_file()
}

/// Fetches the jars into a directory beside `place` and gives it that name when they are complete.
pub(super) fn fetch(place: &Path) -> Result<()> {
    let maven = on_path("mvn").ok_or_else(|| {
        Error::new("neither Apache Kafka nor Maven, which could fetch it, was found").help(format!(
            "install Maven (Debian, Ubuntu: `apt install maven`; Fedora: `dnf install maven`; macOS: `brew install \
             maven`), {HELP}"
        ))
    })?;
    let unusable = |error: io::Error| {
        Error::new(format!("cannot keep the jars of Apache Kafka in `{}`", place.display())).because(error)
    };
    let cache = place.parent().ok_or_else(|| Error::bug("a cache without a directory"))?;
    fs::create_dir_all(cache).map_err(|error| unusable(error).help("choose another place with `--cache-dir`"))?;
    let lock = place.with_extension("lock");
    let _lock = lock_file(&lock, "another `aqpipe kafka up` is fetching Apache Kafka")?;
    if is_complete(place) {
        return Ok(());
    }
    printer::err(&format!("fetching Apache Kafka {VERSION} with Maven into {} (44 MB, once)", place.display()));
    let part = place.with_extension("part");
    clear(&part).and_then(|()| clear(place)).and_then(|()| fs::create_dir_all(&part)).map_err(unusable)?;
    resolve(&maven, &part)?;
    if !is_complete(&part) {
        return Err(
            Error::new(format!("Maven brought no {KAFKA_JAR} and {LOG_JAR}")).help(format!("try again, {HELP}"))
        );
    }
    sync(&part).and_then(|()| fs::rename(&part, place)).map_err(unusable)
}

fn resolve(maven: &Path, part: &Path) -> Result<()> {
    let pom = part.join("pom.xml");
    fs::write(&pom, POM).map_err(|error| Error::new(format!("cannot write `{}`", pom.display())).because(error))?;
    let output = Command::new(maven)
        .args(["--batch-mode", "--quiet", "--file"])
        .arg(&pom)
        .args([GOAL, "-DincludeScope=runtime", "-DoutputDirectory=libs"])
        .current_dir(part)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::new(format!("`{}` cannot be run", maven.display())).because(error))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(6).collect();
    Err(Error::new(format!("Maven could not fetch Apache Kafka {VERSION}")).lines(lines).help(format!(
        "see whether https://repo.maven.apache.org can be reached (a proxy or mirror belongs in ~/.m2/settings.xml), {HELP}"
    )))
}

fn clear(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Has the jars on the disk before their directory gets its name.
fn sync(part: &Path) -> io::Result<()> {
    let libs = part.join("libs");
    for entry in fs::read_dir(&libs)? {
        File::open(entry?.path())?.sync_all()?;
    }
    File::open(&libs)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_asks_for_the_jars_that_are_looked_for() {
        for (artifact, jar) in [("kafka_2.13", KAFKA_JAR), ("log4j-slf4j-impl", LOG_JAR)] {
            let version = jar.strip_prefix(artifact).unwrap().strip_prefix('-').unwrap().strip_suffix(".jar").unwrap();
            let asked = format!("<artifactId>{artifact}</artifactId>\n      <version>{version}</version>");
            assert!(POM.contains(&asked), "{asked}");
        }
        assert!(KAFKA_JAR.contains(VERSION));
    }

    #[test]
    fn jars_without_the_last_of_them_are_not_complete() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        fs::create_dir_all(place.join("libs")).unwrap();
        fs::write(place.join("libs").join(KAFKA_JAR), "").unwrap();
        assert!(!is_complete(&place));
        fs::write(place.join("libs").join(LOG_JAR), "").unwrap();
        assert!(is_complete(&place));
    }
}
