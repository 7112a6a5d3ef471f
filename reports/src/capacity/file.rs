//! `capacity.json` as it is read again. What no session writes is refused by its name: what follows from the steps counts on
//! loads that can be asked for, and on times that can be added up.

use std::path::Path;

use super::{CapacityResult, FILE_BYTES_MAX, Plan, SCHEMA_VERSION, Step};
use crate::files::{self, FileError};

/// A rate is asked for with few digits, so the greatest one may be rounded up by less than this.
const ROUNDED_UP_MAX: f64 = 0.01;
/// A post in a thousand million seconds: nobody waits for less.
const RATE_PER_S_MIN: f64 = 1e-9;

/// Reads it.
///
/// # Errors
/// As [`files::read_bounded`], and if a step is none that a session of its plan can have had.
pub fn read(path: &Path) -> Result<CapacityResult, FileError> {
    let session: CapacityResult = files::read_bounded(path, FILE_BYTES_MAX, SCHEMA_VERSION)?;
    let value_error =
        |place: String, message: String| FileError::Value { path: path.to_owned(), place, message };
    session.plan.check().map_err(|error| value_error("plan".to_owned(), error.to_string()))?;
    let mut took_ns: u64 = 0;
    for (index, step) in session.steps.iter().enumerate() {
        let place = |field: &str| format!("steps[{index}].{field}");
        check(&session.plan, step).map_err(|(field, message)| value_error(place(field), message))?;
        took_ns = took_ns.checked_add(step.took_ns).ok_or_else(|| {
            let message = format!("{} ns are longer than any session", step.took_ns);
            value_error(place("took_ns"), message)
        })?;
    }
    Ok(session)
}

/// The field that is wrong, and what is wrong with it.
fn check(plan: &Plan, step: &Step) -> Result<(), (&'static str, String)> {
    let searches = plan.searches();
    let Some(fixed) = searches.get(step.search as usize) else {
        return Err(("search", format!("{} is none of the plan's {}", step.search, searches.len())));
    };
    let rate = step.rate_per_s;
    if !(rate.is_finite() && rate >= RATE_PER_S_MIN) {
        return Err(("rate_per_s", format!("{rate} is no rate")));
    }
    if step.subscribers == 0 {
        return Err(("subscribers", "0 are no load".to_owned()));
    }
    if step.load(fixed) > plan.load_max * (1.0 + ROUNDED_UP_MAX) {
        let field = if fixed.varies_subscribers() { "subscribers" } else { "rate_per_s" };
        return Err((
            field,
            format!("{} is more than the plan's load_max, {}", step.load(fixed), plan.load_max),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::tests::simulated::Server;
    use crate::capacity::tests::{of_subscribers, plan};

    /// What is said of a session whose steps were tampered with.
    fn said(plan: &Plan, tamper: impl Fn(&mut CapacityResult)) -> Option<String> {
        let mut session = Server::default().session(plan, None, 3);
        tamper(&mut session);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("capacity.json");
        files::write_atomically(&file, &session).unwrap();
        read(&file).err().map(|error| error.to_string())
    }

    #[test]
    fn a_step_that_no_session_has_had_is_refused_by_name() {
        assert_eq!(said(&plan(), |_| ()), None);
        assert_eq!(said(&of_subscribers(), |_| ()), None);
        let too_long = |session: &mut CapacityResult| session.steps[1].took_ns = u64::MAX;
        for (said, part) in [
            (
                said(&plan(), |session| session.steps[0].search = 1),
                "steps[0].search: 1 is none of the plan's 1",
            ),
            (said(&plan(), |session| session.steps[1].rate_per_s = 0.0), "steps[1].rate_per_s: 0 is no rate"),
            (
                said(&plan(), |session| session.steps[1].rate_per_s = -1.0),
                "steps[1].rate_per_s: -1 is no rate",
            ),
            (
                said(&plan(), |session| session.steps[2].rate_per_s = 1e300),
                "more than the plan's load_max, 10000",
            ),
            (
                said(&of_subscribers(), |session| session.steps[2].subscribers = u32::MAX),
                "steps[2].subscribers: 4294967295",
            ),
            (
                said(&plan(), |session| session.steps[0].subscribers = 0),
                "steps[0].subscribers: 0 are no load",
            ),
            (said(&plan(), too_long), "steps[1].took_ns: 18446744073709551615 ns"),
            (said(&plan(), |session| session.plan.load_max = 0.0), "plan: "),
        ] {
            let said = said.unwrap_or_default();
            assert!(said.contains(part) && said.contains("capacity.json"), "no `{part}` in {said}");
        }
    }
}
