//! The table of `scripts/capacity`, made of `capacity.json` as feedmark writes it.

use std::process::Command;

use feedmark_reports::capacity::cost::{Cost, CostUnit};
use feedmark_reports::capacity::limit::{Limit, NamedLimit};
use feedmark_reports::capacity::search::{Bracket, Ending};
use feedmark_reports::capacity::{CapacityResult, read};
use feedmark_reports::files;

use crate::capacity::begin;
use crate::support::{Bed, finish};

/// Takes the script for a module, and prints the table of two sessions.
const PRINT: &str = "
import importlib.util, json, sys
from importlib.machinery import SourceFileLoader
spec = importlib.util.spec_from_loader('script', SourceFileLoader('script', sys.argv[1]))
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
session = json.load(open('out/capacity.json'))
print(script.table({'one': session, 'other': session}))
";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/capacity");

#[test]
fn the_table_has_what_was_found_and_what_it_costs() {
    let bed = Bed::new();
    begin(&bed, &["--vary", "both", "--subscribers-list", "250,500,1000,2000"]);
    let file = bed.out().join("capacity.json");
    let mut session: CapacityResult = read(&file).unwrap();
    let limit = |name| Some(NamedLimit { name, sentence: String::new(), evidence: Vec::new() });
    let found = &mut session.searches;
    found[0].bracket = Bracket { held: Some(850.5), failing: Some(1276.0) };
    (found[0].verifications, found[0].limit) = (4, limit(Limit::TargetCpu));
    found[1].bracket = Bracket { held: Some(676.9), failing: Some(749.1) };
    (found[1].verified, found[1].ending) = (Some(676.9), Some(Ending::Verified));
    found[2].bracket.held = Some(38.25);
    found[2].ending = Some(Ending::GeneratorLimited(57.38));
    for spent in [0, 3] {
        found[spent].ending = Some(Ending::BudgetSpent);
    }
    let cost = |name: &str, unit, value, low, high| Cost {
        name: name.to_owned(),
        unit,
        value,
        low: Some(low),
        high: Some(high),
        basis: String::new(),
    };
    session.costs = vec![
        cost("CPU per million deliveries", CostUnit::Seconds, 2.6, 2.59, 2.68),
        cost("resident memory per idle subscriber", CostUnit::Bytes, 18_700.0, 18_700.0, 18_700.0),
    ];
    files::write_atomically(&file, &session).unwrap();
    let mut python = Command::new("python3");
    python.args(["-B", "-c", PRINT, SCRIPT]).current_dir(bed.path());
    let table = finish(python);
    table.ended_with(0);
    let rows = [
        ("subscribers", "one"),
        ("---", "---"),
        ("250", "850.5 posts/s held four times, 1,276 failed (target CPU)"),
        ("500", "676.9 posts/s verified, 749.1 failed"),
        ("1,000", "38.25 posts/s held once, generator-limited at 57.38 posts/s"),
        ("2,000", "not told: its budget was spent"),
        ("CPU per million deliveries", "2.60 s (2.59 to 2.68)"),
        ("memory per idle subscriber", "18.7 kB"),
        (
            "a: a post by itself",
            "no frontier: capacities at 0 numbers of subscribers, and it takes 4 with brackets of at most 10 %",
        ),
        ("s: a post, for each subscriber", "n/a"),
    ];
    let row = |(name, cell): (&str, &str)| format!("| {name} | {cell} | {cell} |\n");
    assert_eq!(table.stdout.replace("other", "one"), rows.map(row).concat());
}
