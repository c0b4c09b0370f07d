//! Every file of a role's folder is a stage that registered itself, and every stage has its file.

use std::collections::BTreeSet;
use std::path::Path;

use aqpipe_engine::record::Fields;
use aqpipe_engine::stage::{Descriptor, Registry, Role, StageConfig};
use aqpipe_stages as _;

#[test]
fn each_file_of_a_role_registers_the_stage_that_it_is_called_after() {
    let registry = Registry::collect().expect("stages that fit together");
    for role in Role::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(role.key());
        let stems: BTreeSet<String> = std::fs::read_dir(&folder)
            .expect("a folder for each role")
            .map(|entry| entry.expect("an entry").path())
            .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
            .filter(|stem| stem != "mod")
            .collect();
        let registered: BTreeSet<String> = registry.names(role).map(str::to_owned).collect();
        assert_eq!(stems, registered, "in {}", folder.display());
        assert!(!registered.is_empty());
    }
}

#[test]
fn each_example_is_a_valid_configuration_without_the_keys_of_the_engine() {
    let any = Fields { open: true, ..Fields::default() };
    for stage in Registry::collect().expect("stages that fit together").iter() {
        let table: serde_json::Value = toml::from_str(stage.example).expect("TOML");
        let engine_keys = Descriptor::ENGINE_KEYS.iter().filter(|key| table.get(key).is_some());
        assert_eq!(engine_keys.count(), 0, "{stage:?}: {table}");
        let schema = jsonschema::validator_for(&stage.schema().to_value()).expect("a schema");
        assert!(schema.is_valid(&table), "{stage:?}: {table}");
        let problems = match stage.parse(table).expect("fits its type") {
            StageConfig::Source(config) => config.check().map(drop),
            StageConfig::Transform(config) => config.check(&any).map(drop),
            StageConfig::Sink(config) => config.check(&any),
            StageConfig::DeadLetter(config, _) => config.check(&any),
        };
        assert!(problems.is_ok(), "{stage:?}: {problems:?}");
    }
}

#[test]
fn no_object_of_a_stages_options_takes_keys_that_it_does_not_know() {
    let registry = Registry::collect().expect("stages that fit together");
    for stage in registry.iter() {
        let schema = stage.schema().to_value();
        let mut open = Vec::new();
        find_open(&schema, "", &mut open);
        assert!(open.is_empty(), "{stage:?} forgot `deny_unknown_fields` in {open:?}");
    }
}

#[test]
fn an_option_that_says_what_its_default_says_decides_no_content() {
    use aqpipe_engine::config::Loader;
    let registry = Registry::collect().expect("stages that fit together");
    let content = |options: &str| {
        let text = format!(
            "name = \"p\"\n[source]\ntype = \"csv\"\npath = \"x\"\nfields = [\"a\"]\n\n[[transform]]\ntype = \"score\"\n\
             {options}\n\n[sink]\ntype = \"null\"\n"
        );
        let loaded = Loader::new(&registry, &|_: &str| None).load_text("p.toml", &text);
        loaded.map_err(|problems| problems.render(false)).expect("a pipeline").content_hash
    };
    let plain = content("");
    for same in ["values = { fail = 0, good = 1 }", "values = { suspect = 0.5 }", "values = {}", "fills = {}"] {
        assert_eq!(content(same), plain, "{same}");
    }
    assert_ne!(content("values = { suspect = 0.4 }"), plain);
}

#[test]
fn what_a_stage_says_decides_no_content_is_an_option_of_it() {
    for stage in Registry::collect().expect("stages that fit together").iter() {
        let keys = stage.keys();
        let unknown: Vec<_> =
            stage.beside_content.iter().filter(|key| !keys.iter().any(|known| known == *key)).collect();
        assert!(unknown.is_empty(), "{stage:?}: {unknown:?}");
    }
}

/// Schemas with properties that allow any others.
fn find_open(schema: &serde_json::Value, path: &str, open: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(object) => {
            let lists_keys = object.get("properties").is_some_and(serde_json::Value::is_object);
            let is_type = object.get("type").is_some_and(|kind| kind == "object");
            if lists_keys && is_type && object.get("additionalProperties") != Some(&serde_json::Value::Bool(false)) {
                open.push(path.to_owned());
            }
            object.iter().for_each(|(key, value)| find_open(value, &format!("{path}/{key}"), open));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| find_open(item, path, open)),
        _ => {}
    }
}
