//! The files of a new crate.

use super::dependencies::Engine;
use super::name::StageName;

/// The template is a stage itself, which is compiled and tested with the command. This is its name.
const TEMPLATE_NAME: &str = "my_stage";
/// The type of the template's options.
const TEMPLATE_TYPE: &str = "MyStage";

const MANIFEST: &str = include_str!("templates/Cargo.toml.in");
const LIB: &str = include_str!("templates/transform.rs");
const MAIN: &str = include_str!("templates/main.rs.in");
const PIPELINE: &str = include_str!("templates/pipeline.toml");

/// The files of a crate with a transform, by path.
pub(super) fn files(name: &StageName, engine: &Engine) -> Vec<(&'static str, String)> {
    let render = |text: &str| {
        let named = text.replace(TEMPLATE_NAME, name.snake_case()).replace(TEMPLATE_TYPE, &name.camel_case());
        named.replace("# DEPENDENCIES\n", &engine.dependencies())
    };
    let mut files = vec![
        ("Cargo.toml", render(MANIFEST)),
        ("src/lib.rs", render(LIB)),
        ("src/main.rs", render(MAIN)),
        ("pipeline.toml", render(PIPELINE)),
        (".gitignore", "/target\n".to_owned()),
    ];
    files.extend(engine.lock_file().map(|text| ("Cargo.lock", text)));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_asks_for_the_versions_of_the_workspace() {
        let workspace = include_str!("../../../../Cargo.toml");
        for line in MANIFEST.lines().filter(|line| line.starts_with("schemars") || line.starts_with("serde")) {
            let (name, version) = line.split_once(" = ").expect("a dependency");
            let version = version.split('"').nth(1).expect("a version");
            let same = workspace.lines().any(|line| line.starts_with(name) && line.contains(&format!("\"{version}\"")));
            assert!(same, "{line}");
        }
        for key in ["edition", "rust-version"] {
            let line = |text: &'static str| text.lines().find(|line| line.starts_with(key));
            assert_eq!(line(MANIFEST), line(workspace));
        }
    }

    #[test]
    fn nothing_of_the_template_keeps_its_name() {
        let name = StageName::parse("hampel").expect("a name");
        for (path, text) in files(&name, &Engine::Git("https://example.org/aqpipe.git".to_owned())) {
            assert!(
                !text.contains("my_stage") && !text.contains("MyStage") && !text.contains("DEPENDENCIES"),
                "{path}"
            );
        }
    }
}
