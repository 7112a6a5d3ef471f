//! `feedmark init`: a commented scenario to start from.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{FAILED, USAGE, fail, printed};

/// Every setting with its default; those that most people leave alone are commented out.
const SCENARIO: &str = include_str!("init.toml");

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// File to write; an existing one is left alone
    file: Option<PathBuf>,
}

pub(super) fn init(args: &InitArgs) -> u8 {
    let Some(path) = &args.file else {
        return printed(SCENARIO);
    };
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(SCENARIO.as_bytes()));
    match written {
        Ok(()) => printed(&format!("wrote {}: edit it, then `feedmark check {0}`\n", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            fail(USAGE, &format!("{} exists: choose another name, or remove it first", path.display()))
        }
        Err(error) => fail(FAILED, &format!("cannot write {}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::settings::Settings;

    #[test]
    fn the_scenario_is_the_default_one() {
        let written = Scenario::resolve(toml::from_str(SCENARIO).unwrap(), 2).unwrap();
        let default = Scenario::resolve(Settings::default(), 2).unwrap();
        assert_eq!(format!("{written:?}"), format!("{default:?}"));
    }

    #[test]
    fn every_commented_setting_is_a_setting() {
        let uncommented: String = SCENARIO
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let settings: Settings = toml::from_str(&uncommented).unwrap();
        let unset: Vec<String> = format!("{settings:#?}")
            .lines()
            // What is indented further is part of a setting.
            .filter_map(|line| line.strip_prefix("    ")?.strip_suffix(": None,").map(str::to_owned))
            .filter(|name| !name.starts_with(' '))
            .collect();
        assert_eq!(unset, Vec::<String>::new(), "settings that `feedmark init` does not show");
    }
}
