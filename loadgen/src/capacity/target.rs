//! The command of a step's target.

use feedmark_reports::scenario_text::in_quotes;

use crate::scenario::Scenario;
use crate::settings::Settings;

/// Stands for the reference server, where no other target is given.
pub const REFERENCE: &str = "reference server";
/// Where it tells its figures.
const METRICS: &str = "/metrics";

/// The command, or URL, of a step with this scenario.
///
/// # Errors
/// If this program, which the reference server is a part of, cannot be found.
pub(super) fn command(target: &str, scenario: &Scenario) -> std::io::Result<String> {
    if target != REFERENCE {
        return Ok(target.to_owned());
    }
    let program = std::env::current_exe()?;
    let arguments =
        scenario.target_arguments().iter().map(|argument| in_quotes(argument)).collect::<Vec<_>>();
    Ok(format!(
        "exec {} target --port {{port}} --open --stop-on-stdin-eof --db {{scratch}}/feed.db --scratch {{scratch}} {}",
        in_quotes(&program.display().to_string()),
        arguments.join(" ")
    ))
}

/// What the run is to do with it: what the reference server is started with is in its command, and it tells its figures
/// without being asked for them.
pub(super) fn driven(target: &str, settings: Settings) -> Settings {
    if target != REFERENCE {
        return settings;
    }
    let target_metrics = settings.target_metrics.or_else(|| Some(METRICS.to_owned()));
    Settings { target_args: None, fault: None, target_metrics, ..settings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_server_has_the_scenarios_faults_and_seed() {
        let settings = "seed = 7\nfault = ['kind=drop,share=0.01']\ntarget_args = \"--truth-log it's\"";
        let settings: Settings = toml::from_str(settings).unwrap();
        let scenario = Scenario::resolve(settings, 2).unwrap();
        let command = command(REFERENCE, &scenario).unwrap();
        let end = r"'--fault-seed' '7' '--fault' 'kind=drop,share=0.01' '--truth-log' 'it'\''s'";
        assert!(command.starts_with("exec '") && command.ends_with(end), "{command}");
        assert_eq!(super::command("./server {port}", &scenario).unwrap(), "./server {port}");
    }
}
