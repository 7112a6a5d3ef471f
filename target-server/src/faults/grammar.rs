//! How a fault is described, as a flag or as JSON.
//!
//! ```text
//! fault  = "kind=" kind *( "," key "=" value )       as a flag
//! fault  = {"kind": kind, key: value, …}             as JSON, values as text or numbers
//! ```
//!
//! | kind | its keys | selectors |
//! |---|---|---|
//! | `delay` | `law=fixed,by=` · `law=uniform,from=,to=` · `law=lognormal,median=,sigma=` | of pairs |
//! | `drop`, `swap`, `split` | | of pairs |
//! | `duplicate` | `copies=` extra copies (1) | of pairs |
//! | `flush` | `every=` | of pairs |
//! | `pace` | `per_post=` and/or `per_socket=` | `posts=`, `at=`, `for=` |
//! | `stall` | `at=,for=` | |
//! | `stall-replies` | `at=,for=` or `by=` | of posts |
//! | `refuse` | `status=` (400 to 599) or `how=reset` | of posts |
//! | `kill` | `at=`, `how=reset` (default) or `close` | `share=`, `max=` |
//! | `slow-handshake` | `by=` | `share=`, `max=`, `at=`, `for=` |
//! | `slow-commit` | `by=` | `max=`, `at=`, `for=` |
//!
//! `split` takes TCP_NODELAY away and writes header and payload apart, so that the payload waits for the peer's delayed
//! acknowledgement (40 ms on Linux). Since Linux acknowledges at once where it only listens, a WebSocket ping follows
//! each such post: a peer that answers is one that delays.
//!
//! Selectors of pairs: `share=` (of the pairs), `sockets=` (only this share of the sockets), `posts=601..701` (numbers
//! in creation order from 0, half open), `max=` (so many times at most, first come), `at=` and `for=` (posts taken in
//! this window). Selectors of posts: the same without `sockets=`. A time `at` counts from the first post that the
//! server takes under the plan.
//!
//! Invariant: what is shown of a fault is what was typed.

use std::{collections::BTreeMap, str::FromStr};

use serde::Deserialize;

use super::{
    fault::{Effect, Ending, Fault, Kind, Law, Refusal, Select, Window},
    keys::{BadFault, Keys, Pairs, split},
};

const COPIES_MAX: u32 = 1000;
/// A lognormal wider than this is a typing error.
const SIGMA_MAX: f64 = 10.0;

impl Fault {
    fn read(pairs: Pairs) -> Result<Self, BadFault> {
        let mut keys = Keys::new(&pairs);
        let kinds = format!("one of {}", Kind::ALL.map(Kind::word).join(", "));
        let kind =
            keys.required("kind", &kinds, |text| Kind::ALL.into_iter().find(|kind| kind.word() == text))?;
        let mut select = Select::default();
        let effect = match kind {
            Kind::Delay => Effect::Delay(law(&mut keys)?),
            Kind::Stall => Effect::Stall(required_window(&mut keys)?),
            Kind::StallReplies => {
                let by_ns = keys.time("by")?;
                if by_ns.is_none() {
                    select.window = Some(required_window(&mut keys).map_err(|why| {
                        BadFault(format!("{why}; stall-replies needs at= and for=, or by="))
                    })?);
                }
                Effect::StallReplies { by_ns }
            }
            Kind::Drop => Effect::Drop,
            Kind::Duplicate => {
                let allowed = format!("a whole number from 1 to {COPIES_MAX}");
                let copies = keys.optional("copies", &allowed, |text| {
                    text.parse().ok().filter(|copies| (1..=COPIES_MAX).contains(copies))
                })?;
                Effect::Duplicate { copies: copies.unwrap_or(1) }
            }
            Kind::Swap => Effect::Swap,
            Kind::Pace => {
                let (per_post, per_socket) = (keys.time("per_post")?, keys.time("per_socket")?);
                if per_post.is_none() && per_socket.is_none() {
                    return Err(BadFault("per_post and per_socket are missing: give one or both".to_owned()));
                }
                Effect::Pace { per_post_ns: per_post.unwrap_or(0), per_socket_ns: per_socket.unwrap_or(0) }
            }
            Kind::Flush => Effect::Flush { every_ns: above_zero("every", keys.required_time("every")?)? },
            Kind::Split => Effect::Split,
            Kind::Kill => Effect::Kill { at_ns: keys.required_time("at")?, ending: ending(&mut keys)? },
            Kind::Refuse => Effect::Refuse(refusal(&mut keys)?),
            Kind::SlowHandshake => Effect::SlowHandshake { by_ns: keys.required_time("by")? },
            Kind::SlowCommit => Effect::SlowCommit { by_ns: keys.required_time("by")? },
        };
        match effect {
            Effect::Stall(_) => {}
            Effect::Pace { .. } => {
                select.posts = keys.range("posts")?;
                select.window = window(&mut keys)?;
            }
            Effect::Kill { .. } => {
                select.share = keys.share("share")?;
                select.max = keys.count("max")?;
            }
            Effect::SlowHandshake { .. } => {
                select.share = keys.share("share")?;
                select.max = keys.count("max")?;
                select.window = window(&mut keys)?;
            }
            Effect::SlowCommit { .. } => {
                select.max = keys.count("max")?;
                select.window = window(&mut keys)?;
            }
            Effect::StallReplies { .. } | Effect::Refuse(_) => {
                select.share = keys.share("share")?;
                select.posts = keys.range("posts")?;
                select.max = keys.count("max")?;
                if select.window.is_none() {
                    select.window = window(&mut keys)?;
                }
            }
            Effect::Delay(_)
            | Effect::Drop
            | Effect::Duplicate { .. }
            | Effect::Swap
            | Effect::Flush { .. }
            | Effect::Split => {
                select.share = keys.share("share")?;
                select.sockets = keys.share("sockets")?;
                select.posts = keys.range("posts")?;
                select.max = keys.count("max")?;
                select.window = window(&mut keys)?;
            }
        }
        keys.finish(kind.word())?;
        Ok(Self { pairs, effect, select })
    }
}

fn law(keys: &mut Keys<'_>) -> Result<Law, BadFault> {
    let law = keys.required("law", "fixed, uniform or lognormal", |text| {
        ["fixed", "uniform", "lognormal"].into_iter().find(|law| *law == text)
    })?;
    match law {
        "fixed" => Ok(Law::Fixed { by_ns: keys.required_time("by")? }),
        "uniform" => {
            let (from_ns, to_ns) = (keys.required_time("from")?, keys.required_time("to")?);
            if from_ns > to_ns {
                return Err(BadFault("from is greater than to: give the smaller first".to_owned()));
            }
            Ok(Law::Uniform { from_ns, to_ns })
        }
        _ => Ok(Law::LogNormal {
            median_ns: keys.required_time("median")?,
            sigma: keys.required("sigma", &format!("a number from 0 to {SIGMA_MAX}"), |text| {
                text.parse().ok().filter(|sigma| (0.0..=SIGMA_MAX).contains(sigma))
            })?,
        }),
    }
}

fn required_window(keys: &mut Keys<'_>) -> Result<Window, BadFault> {
    let at_ns = keys.required_time("at")?;
    Ok(Window { at_ns, for_ns: above_zero("for", keys.required_time("for")?)? })
}

/// `at` alone has no end, `for` alone starts with the first post.
fn window(keys: &mut Keys<'_>) -> Result<Option<Window>, BadFault> {
    let (at, length) = (keys.time("at")?, keys.time("for")?);
    if at.is_none() && length.is_none() {
        return Ok(None);
    }
    Ok(Some(Window { at_ns: at.unwrap_or(0), for_ns: length.unwrap_or(u64::MAX) }))
}

fn above_zero(key: &str, time_ns: u64) -> Result<u64, BadFault> {
    if time_ns == 0 { Err(BadFault(format!("{key} is 0: give a time above zero"))) } else { Ok(time_ns) }
}

fn ending(keys: &mut Keys<'_>) -> Result<Ending, BadFault> {
    let ending = keys.optional("how", "reset or close", |text| match text {
        "reset" => Some(Ending::Reset),
        "close" => Some(Ending::Close),
        _ => None,
    })?;
    Ok(ending.unwrap_or(Ending::Reset))
}

fn refusal(keys: &mut Keys<'_>) -> Result<Refusal, BadFault> {
    let status = keys.optional("status", "a status from 400 to 599", |text| {
        text.parse().ok().filter(|status| (400..=599).contains(status))
    })?;
    let reset = keys.optional("how", "reset", |text| (text == "reset").then_some(()))?;
    match (status, reset) {
        (Some(status), None) => Ok(Refusal::Status(status)),
        (None, Some(())) => Ok(Refusal::Reset),
        _ => Err(BadFault("refuse needs either status= or how=reset: give one of them".to_owned())),
    }
}

impl FromStr for Fault {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, BadFault> {
        Self::read(split(text)?)
    }
}

/// A value of the JSON form.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a value of a fault is a text or a number")]
pub(super) enum Scalar {
    Text(String),
    Number(serde_json::Number),
}

impl TryFrom<BTreeMap<String, Scalar>> for Fault {
    type Error = BadFault;

    fn try_from(values: BTreeMap<String, Scalar>) -> Result<Self, BadFault> {
        let text = |value| match value {
            Scalar::Text(text) => text,
            Scalar::Number(number) => number.to_string(),
        };
        Self::read(values.into_iter().map(|(key, value)| (key, text(value))).collect())
    }
}

impl From<Fault> for Pairs {
    fn from(fault: Fault) -> Self {
        fault.pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn read(text: &str) -> Fault {
        text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn every_kind_is_understood() {
        for (text, effect) in [
            ("kind=delay,law=fixed,by=20ms", Effect::Delay(Law::Fixed { by_ns: 20 * MS })),
            (
                "kind=delay, law=uniform, from=0s, to=1ms",
                Effect::Delay(Law::Uniform { from_ns: 0, to_ns: MS }),
            ),
            (
                "kind=delay,law=lognormal,median=20ms,sigma=0.5",
                Effect::Delay(Law::LogNormal { median_ns: 20 * MS, sigma: 0.5 }),
            ),
            ("kind=stall,at=1s,for=300ms", Effect::Stall(Window { at_ns: 1000 * MS, for_ns: 300 * MS })),
            ("kind=stall-replies,by=2s", Effect::StallReplies { by_ns: Some(2000 * MS) }),
            ("kind=stall-replies,at=1s,for=2s", Effect::StallReplies { by_ns: None }),
            ("kind=drop,share=0.001", Effect::Drop),
            ("kind=duplicate", Effect::Duplicate { copies: 1 }),
            ("kind=duplicate,copies=2,max=500", Effect::Duplicate { copies: 2 }),
            ("kind=swap,share=1", Effect::Swap),
            ("kind=pace,per_socket=20us", Effect::Pace { per_post_ns: 0, per_socket_ns: 20_000 }),
            ("kind=pace,per_post=100ms", Effect::Pace { per_post_ns: 100 * MS, per_socket_ns: 0 }),
            ("kind=flush,every=100ms", Effect::Flush { every_ns: 100 * MS }),
            ("kind=split,sockets=0.5", Effect::Split),
            ("kind=kill,at=3s,share=0.05", Effect::Kill { at_ns: 3000 * MS, ending: Ending::Reset }),
            ("kind=kill,at=3s,how=close", Effect::Kill { at_ns: 3000 * MS, ending: Ending::Close }),
            ("kind=refuse,status=500,posts=3..4", Effect::Refuse(Refusal::Status(500))),
            ("kind=refuse,how=reset", Effect::Refuse(Refusal::Reset)),
            ("kind=slow-handshake,by=1s,max=3", Effect::SlowHandshake { by_ns: 1000 * MS }),
            ("kind=slow-commit,by=1s,max=3,at=2s", Effect::SlowCommit { by_ns: 1000 * MS }),
        ] {
            let fault = read(text);
            assert_eq!(fault.effect, effect, "{text}");
            assert_eq!(fault.effect.kind().word(), fault.pairs["kind"], "{text}");
        }
    }

    #[test]
    fn kinds_are_in_their_order() {
        assert!(Kind::ALL.into_iter().enumerate().all(|(place, kind)| kind as usize == place));
    }

    #[test]
    fn selectors_are_understood() {
        let fault = read("kind=drop,share=0.01,sockets=0.5,posts=601..701,max=7,at=2s,for=1s");
        let window = Some(Window { at_ns: 2000 * MS, for_ns: 1000 * MS });
        let select =
            Select { share: Some(0.01), sockets: Some(0.5), posts: Some(601..701), max: Some(7), window };
        assert_eq!(fault.select, select);
        assert_eq!(read("kind=drop").select, Select::default());
        assert_eq!(read("kind=drop,at=2s").select.window.unwrap().for_ns, u64::MAX);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (text, says) in [
            ("", r#""" is no key=value"#),
            ("drop", r#""drop" is no key=value"#),
            ("share=0.1", "kind is missing: give one of delay, stall"),
            ("kind=dorp", "kind is dorp: give one of delay, stall"),
            ("kind=drop,kind=drop", "kind is given twice"),
            ("kind=drop,share=1.5", "share is 1.5: give a share from 0 to 1"),
            ("kind=drop,share=NaN", "share is NaN: give a share from 0 to 1"),
            ("kind=drop,posts=5", "posts is 5: give a range"),
            ("kind=drop,posts=7..7", "posts is 7..7: give a range"),
            ("kind=drop,max=0", "max is 0: give a whole number from 1"),
            (
                "kind=drop,shares=1",
                "shares means nothing for drop: give kind, share, sockets, posts, max, at, for",
            ),
            ("kind=delay", "law is missing: give fixed, uniform or lognormal"),
            ("kind=delay,law=normal", "law is normal: give fixed, uniform or lognormal"),
            ("kind=delay,law=fixed,by=20", "by is 20: give a time with its unit"),
            ("kind=delay,law=fixed,by=9999years", "by is 9999years"),
            ("kind=delay,law=fixed,by=1ms,sigma=1", "sigma means nothing for delay"),
            ("kind=delay,law=uniform,from=2ms,to=1ms", "from is greater than to"),
            ("kind=delay,law=lognormal,median=1ms,sigma=-1", "sigma is -1: give a number from 0 to 10"),
            ("kind=stall,at=1s", "for is missing"),
            ("kind=stall,at=1s,for=0s", "for is 0"),
            ("kind=stall,at=1s,for=1s,share=1", "share means nothing for stall: give kind, at, for"),
            ("kind=stall-replies", "stall-replies needs at= and for=, or by="),
            ("kind=pace", "per_post and per_socket are missing"),
            ("kind=pace,per_post=1ms,sockets=1", "sockets means nothing for pace"),
            ("kind=flush,every=0s", "every is 0"),
            ("kind=duplicate,copies=0", "copies is 0: give a whole number from 1 to 1000"),
            ("kind=kill", "at is missing"),
            ("kind=kill,at=1s,how=gently", "how is gently: give reset or close"),
            ("kind=refuse", "either status= or how=reset"),
            ("kind=refuse,status=500,how=reset", "either status= or how=reset"),
            ("kind=refuse,status=200", "status is 200: give a status from 400 to 599"),
            ("kind=slow-handshake", "by is missing"),
            ("kind=slow-commit", "by is missing"),
            ("kind=slow-commit,by=1s,share=1", "share means nothing for slow-commit"),
        ] {
            let why = text.parse::<Fault>().unwrap_err().to_string();
            assert!(why.contains(says), "{text}: {why}");
        }
    }

    #[test]
    fn json_and_flags_are_one_grammar() {
        let json = r#"{"kind":"duplicate","copies":2,"share":0.25,"posts":"3..5"}"#;
        let fault: Fault = serde_json::from_str(json).unwrap();
        assert_eq!(fault, read("kind=duplicate,copies=2,share=0.25,posts=3..5"));
        let shown = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&shown).unwrap(), fault);
        for (json, says) in [
            (r#"{"kind":"drop","share":true}"#, "a text or a number"),
            (r#"{"kind":"drop","share":2}"#, "share is 2: give a share from 0 to 1"),
            (r#"{"kind":"drop","what":"ever"}"#, "what means nothing for drop"),
        ] {
            let why = serde_json::from_str::<Fault>(json).unwrap_err().to_string();
            assert!(why.contains(says), "{json}: {why}");
        }
    }
}
