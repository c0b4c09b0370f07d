//! The options of the Python scripts that aqpipe replaced: each is answered with the key that took its place.

use std::ffi::OsString;

use crate::shell;

/// An option of the scripts with the pipeline keys that replace it.
pub(crate) struct LegacyOption {
    pub(crate) flag: &'static str,
    pub(crate) keys: &'static [PipelineKey],
}

/// A key of one of the two pipelines that ship.
pub(crate) struct PipelineKey {
    /// The script that had the option; the pipeline has the same name.
    pub(crate) pipeline: &'static str,
    /// The key as README's table names it.
    pub(crate) key: &'static str,
    /// The arguments of `--set`; `{}` stands for the option's value.
    pub(crate) set: &'static [&'static str],
    /// The value to show where the command line has none.
    pub(crate) example: &'static str,
}

const fn key(
    pipeline: &'static str,
    key: &'static str,
    set: &'static [&'static str],
    example: &'static str,
) -> PipelineKey {
    PipelineKey { pipeline, key, set, example }
}

/// All options of the scripts; README's table lists the same ones.
pub(crate) const LEGACY_OPTIONS: [LegacyOption; 9] = [
    LegacyOption {
        flag: "--bootstrap-servers",
        keys: &[
            key("consumer", "source.brokers", &["source.brokers={}"], "localhost:9092"),
            key("producer", "sink.brokers", &["sink.brokers={}"], "localhost:9092"),
        ],
    },
    LegacyOption {
        flag: "--topic",
        keys: &[
            key("producer", "sink.topic", &["sink.topic={}"], "air-quality-data"),
            key("consumer", "source.topics", &["source.topics=[\"{}\"]"], "air-quality-data"),
        ],
    },
    LegacyOption {
        flag: "--data-file",
        keys: &[key("producer", "source.path", &["source.path={}"], "data/AirQualityUCI.csv")],
    },
    LegacyOption {
        flag: "--speed",
        keys: &[key("producer", "source.replay", &["source.replay.speed={}", "source.replay.interval_secs=1"], "10")],
    },
    LegacyOption {
        flag: "--max-messages",
        keys: &[key("producer", "source.max_records", &["source.max_records={}"], "1000")],
    },
    LegacyOption {
        flag: "--batch-size",
        keys: &[
            key(
                "producer",
                "source.replay.records_per_step",
                &["source.replay.speed=1", "source.replay.records_per_step={}"],
                "10",
            ),
            key("consumer", "sink.batch_size", &["sink.batch_size={}"], "100"),
        ],
    },
    LegacyOption {
        flag: "--consumer-group",
        keys: &[key("consumer", "source.group", &["source.group={}"], "air-quality-processors")],
    },
    LegacyOption { flag: "--output-dir", keys: &[key("consumer", "sink.dir", &["sink.dir={}"], "processed_data")] },
    LegacyOption {
        flag: "--batch-timeout",
        keys: &[key("consumer", "sink.batch_timeout_secs", &["sink.batch_timeout_secs={}"], "30")],
    },
];

/// What to type instead of an option of the scripts: a message and help.
pub(crate) fn explain(flag: &str, args: &[OsString]) -> Option<(String, String)> {
    let flag = flag.split('=').next().unwrap_or(flag);
    let option = LEGACY_OPTIONS.iter().find(|option| option.flag == flag)?;
    let value = value_of(flag, args);
    let ways = option.keys.iter().map(|key| {
        let value = value.as_deref().unwrap_or(key.example);
        let set = key.set.iter().map(|set| format!("--set {}", shell::word(&set.replace("{}", value))));
        format!("in the {} `{}`: `{}`", key.pipeline, key.key, set.collect::<Vec<_>>().join(" "))
    });
    let ways = ways.collect::<Vec<_>>().join("; ");
    Some((format!("`{flag}` is an option of the Python scripts: a pipeline has a key for it"), ways))
}

fn value_of(flag: &str, args: &[OsString]) -> Option<String> {
    let mut args = args.iter().map(|arg| arg.to_string_lossy());
    while let Some(arg) = args.next() {
        if arg == flag {
            return args.next().filter(|value| !value.starts_with("--")).map(Into::into);
        }
        if let Some(value) = arg.strip_prefix(flag).and_then(|rest| rest.strip_prefix('=')) {
            return Some(value.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(args: &[&str], flag: &str) -> String {
        let args: Vec<OsString> = args.iter().map(Into::into).collect();
        explain(flag, &args).map(|(message, help)| format!("{message}\n{help}")).unwrap_or_default()
    }

    #[test]
    fn an_option_of_the_scripts_leads_to_its_key_with_the_value_that_was_given() {
        let text = explained(&["aqpipe", "run", "p.toml", "--speed", "3.5"], "--speed");
        assert!(text.contains("`source.replay`: `--set source.replay.speed=3.5 --set "), "{text}");
        let text = explained(&["aqpipe", "run", "--topic=a b", "p.toml"], "--topic=a b");
        assert!(text.contains("`--set 'sink.topic=a b'`"), "{text}");
        assert!(text.contains(r#"`--set 'source.topics=["a b"]'`"#), "{text}");
        let text = explained(&["aqpipe", "run", "--output-dir", "--fresh"], "--output-dir");
        assert!(text.contains("`--set sink.dir=processed_data`"), "{text}");
        assert_eq!(explained(&["aqpipe", "run", "--forever"], "--forever"), "");
    }

    #[test]
    fn readmes_table_has_the_same_options_with_the_same_keys() {
        let readme = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let readme = std::fs::read_to_string(readme).expect("README.md");
        let mut rows: Vec<(&str, Vec<&str>)> = Vec::new();
        for row in readme.lines().filter(|line| line.starts_with("| `--")) {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let flag = cells[0].split('`').nth(1).expect("a flag");
            let keys = cells[1].split('`').skip(1).step_by(2);
            match rows.iter_mut().find(|(other, _)| *other == flag) {
                Some((_, more)) => more.extend(keys),
                None => rows.push((flag, keys.collect())),
            }
        }
        rows.retain(|(flag, _)| *flag != "--no-monitoring"); // an option of `aqpipe run` too
        let table: Vec<(&str, Vec<&str>)> = LEGACY_OPTIONS
            .iter()
            .map(|option| (option.flag, option.keys.iter().map(|key| key.key).collect()))
            .collect();
        assert_eq!(rows, table);
    }

    #[test]
    fn what_is_said_to_type_is_taken_by_the_pipelines_that_ship() {
        use aqpipe_engine::config::{Loader, Overrides};
        use aqpipe_engine::stage::Registry;
        use aqpipe_stages as _;

        let registry = Registry::collect().expect("stages");
        for option in &LEGACY_OPTIONS {
            for key in option.keys {
                let path = format!("{}/../pipelines/{}.toml", env!("CARGO_MANIFEST_DIR"), key.pipeline);
                let overrides = Overrides::parse(key.set.iter().map(|set| set.replace("{}", key.example)));
                let loader = Loader::new(&registry, &|_| None).overrides(overrides.expect("overrides"));
                let loaded = loader.load(path.as_ref());
                assert!(loaded.is_ok(), "{}: {}", option.flag, loaded.expect_err("an error").render(false));
            }
        }
    }
}
