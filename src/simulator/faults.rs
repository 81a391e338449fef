//! The fault script: what goes wrong, at which call, how often.
//!
//! `{"on": "refund.create", "call": 3, "times": 2, "probability": 0.5, "do": "status:503"}` is aimed
//! at an endpoint, `{"webhook": "charge.refunded", "do": "drop"}` at an event; both names may end in
//! `*`. Without `call` it fires from the first call on, without `times` once; `0` and `"always"`
//! mean for ever.
//!
//! A fault counts every call it matches from the moment it was set. The first fault in the script
//! that fires decides the call; the others still count it, so that "the third call" means the third.
use serde::Deserialize;
use serde_json::{Value, json};

use super::ids::Random;

/// What a fault is aimed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A call of an endpoint, such as `refund.create`, `refund.*` or `*`.
    Api(String),
    /// A webhook of an event type, with the same patterns.
    Webhook(String),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Executed, and never answered.
    TimeoutAfterCommit,
    /// Neither executed nor answered.
    TimeoutBefore,
    /// Executed; the connection breaks in the middle of the answer.
    ResetMidResponse,
    /// Not executed; answered with the status.
    Status(u16),
    /// Executed; the status is the answer, and is what the key remembers.
    StatusAfterCommit(u16),
    /// Executed; half of the JSON is the whole answer.
    Truncate,
    /// Executed; one byte a second.
    SlowDrip,
    /// Amounts differ by one from the truth.
    WrongAmount,
    /// Another currency than the true one.
    WrongCurrency,
    /// Executed; the answer is not JSON.
    Garbage,
    /// Executed, answered late by so many milliseconds; or a webhook sent late.
    Delay(u64),
    /// Not executed; sent elsewhere.
    Redirect,
    /// A webhook that is lost and not tried again.
    Drop,
    /// A webhook sent this many times more.
    Duplicate(u32),
    /// A webhook held until another one was sent.
    Reorder,
    /// Signed with the secret before the present one.
    OldSecret,
    /// Signed with no secret of ours.
    Forge,
}

impl Action {
    fn parse(text: &str) -> Option<Action> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        Some(match (name, argument) {
            ("timeout_after_commit", None) => Action::TimeoutAfterCommit,
            ("timeout_before", None) => Action::TimeoutBefore,
            ("reset_mid_response", None) => Action::ResetMidResponse,
            ("truncate", None) => Action::Truncate,
            ("slow_drip", None) => Action::SlowDrip,
            ("wrong_amount", None) => Action::WrongAmount,
            ("wrong_currency", None) => Action::WrongCurrency,
            ("garbage", None) => Action::Garbage,
            ("redirect", None) => Action::Redirect,
            ("drop", None) => Action::Drop,
            ("reorder", None) => Action::Reorder,
            ("old_secret", None) => Action::OldSecret,
            ("forge", None) => Action::Forge,
            ("delay", Some(ms)) => Action::Delay(ms.parse().ok()?),
            ("duplicate", None) => Action::Duplicate(1),
            ("duplicate", Some(count)) => Action::Duplicate(count.parse().ok()?),
            ("status", Some(status)) => match status.strip_suffix("_after_commit") {
                Some(status) => Action::StatusAfterCommit(error_status(status)?),
                None => Action::Status(error_status(status)?),
            },
            _ => return None,
        })
    }

    fn suits(self, target: &Target) -> bool {
        use Action::{
            Delay, Drop, Duplicate, Forge, OldSecret, Reorder, WrongAmount, WrongCurrency,
        };
        match (self, target) {
            (Delay(_) | WrongAmount | WrongCurrency, _) => true,
            (Drop | Duplicate(_) | Reorder | OldSecret | Forge, target) => {
                matches!(target, Target::Webhook(_))
            }
            (_, target) => matches!(target, Target::Api(_)),
        }
    }
}

fn error_status(text: &str) -> Option<u16> {
    text.parse()
        .ok()
        .filter(|status| (400..600).contains(status))
}

/// A fault and its counters.
#[derive(Debug, Clone)]
pub struct Fault {
    target: Target,
    action: Action,
    text: String,
    call: Option<u64>,
    times: Option<u64>,
    probability: Option<f64>,
    seen: u64,
    fired: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(alias = "kind")]
    on: Option<String>,
    webhook: Option<String>,
    call: Option<u64>,
    times: Option<Value>,
    probability: Option<f64>,
    #[serde(rename = "do", alias = "fault", alias = "action")]
    action: String,
}

impl Fault {
    /// Reads one line of a script; `operations` are the names that `on` can mean.
    fn parse(line: Value, operations: &[&str]) -> Result<Fault, String> {
        let line: Line = serde_json::from_value(line).map_err(|error| error.to_string())?;
        let action = Action::parse(&line.action);
        let action = action.ok_or_else(|| format!("unknown fault `{}`", line.action))?;
        let target = match (line.on, line.webhook) {
            (Some(on), None) if operations.iter().any(|name| matches_name(&on, name)) => {
                Target::Api(on)
            }
            (Some(on), None) => {
                return Err(format!("unknown call `{on}`: {}", operations.join(", ")));
            }
            (None, Some(kind)) => Target::Webhook(kind),
            _ => return Err("a fault needs either `on` or `webhook`".into()),
        };
        if !action.suits(&target) {
            return Err(format!("`{}` can't be done there", line.action));
        }
        let times = match line.times {
            None => Some(1),
            Some(Value::String(word)) if word == "always" => None,
            Some(Value::Number(number)) => match number.as_u64() {
                Some(0) => None,
                Some(times) => Some(times),
                None => return Err("`times` is a count or \"always\"".into()),
            },
            Some(_) => return Err("`times` is a count or \"always\"".into()),
        };
        let (call, probability) = (line.call, line.probability);
        Ok(Fault {
            target,
            action,
            text: line.action,
            call,
            times,
            probability,
            seen: 0,
            fired: 0,
        })
    }

    fn fires(&mut self, decided: bool, random: &mut Random) -> bool {
        self.seen += 1;
        let due = self.call.is_none_or(|call| self.seen >= call);
        let left = self.times.is_none_or(|times| match self.call {
            // A fault for the third call that is beaten to it by another doesn't wait for the fourth.
            Some(call) => self.seen < call.saturating_add(times),
            None => self.fired < times,
        });
        let fires = !decided && due && left && self.probability.is_none_or(|p| random.chance(p));
        self.fired += u64::from(fires);
        fires
    }

    fn json(&self) -> Value {
        let (on, webhook) = match &self.target {
            Target::Api(name) => (Some(name), None),
            Target::Webhook(name) => (None, Some(name)),
        };
        json!({
            "on": on, "webhook": webhook, "do": self.text, "call": self.call,
            "times": self.times.map_or(json!("always"), |times| json!(times)),
            "probability": self.probability, "seen": self.seen, "fired": self.fired
        })
    }
}

/// A fault that fired: what to do and how the script spelled it.
#[derive(Debug, Clone)]
pub struct Fired {
    /// What to do.
    pub action: Action,
    /// For the journal.
    pub text: String,
}

/// The script.
#[derive(Debug)]
pub struct Faults {
    script: Vec<Fault>,
    random: Random,
}

impl Faults {
    /// An empty script whose chances come from `random`.
    pub fn new(random: Random) -> Faults {
        Faults {
            script: vec![],
            random,
        }
    }

    /// Adds to the script: one fault, an array, or `{"faults": […]}`. Nothing is added if one is wrong.
    pub fn add(&mut self, body: Value, operations: &[&str]) -> Result<(), String> {
        let lines = match body {
            Value::Array(lines) => lines,
            Value::Object(mut object) => match object.remove("faults") {
                Some(Value::Array(lines)) => lines,
                Some(_) => return Err("`faults` is an array".into()),
                None => vec![Value::Object(object)],
            },
            _ => return Err("a fault is an object".into()),
        };
        let parsed: Result<Vec<_>, _> = lines
            .into_iter()
            .map(|line| Fault::parse(line, operations))
            .collect();
        self.script.extend(parsed?);
        Ok(())
    }

    /// Ends all faults.
    pub fn clear(&mut self) {
        self.script.clear();
    }

    /// The script with its counters.
    pub fn json(&self) -> Vec<Value> {
        self.script.iter().map(Fault::json).collect()
    }

    /// Counts a call of an endpoint.
    pub fn on_call(&mut self, operation: &str) -> Option<Fired> {
        self.decide(|target| matches!(target, Target::Api(on) if matches_name(on, operation)))
    }

    /// Counts a webhook.
    pub fn on_webhook(&mut self, kind: &str) -> Option<Fired> {
        self.decide(|target| matches!(target, Target::Webhook(on) if matches_name(on, kind)))
    }

    fn decide(&mut self, aimed: impl Fn(&Target) -> bool) -> Option<Fired> {
        let mut decided = None;
        for fault in self.script.iter_mut().filter(|fault| aimed(&fault.target)) {
            if fault.fires(decided.is_some(), &mut self.random) {
                decided = Some(Fired {
                    action: fault.action,
                    text: fault.text.clone(),
                });
            }
        }
        decided
    }
}

/// Whether a name is this one, or begins with what is before a `*` at its end.
pub fn matches_name(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLS: [&str; 2] = ["refund.create", "refund.list"];

    fn script(body: Value) -> Result<Faults, String> {
        let mut faults = Faults::new(Random::new(Some(1), 1));
        faults.add(body, &CALLS).map(|()| faults)
    }

    #[test]
    fn the_nth_call_is_counted_per_fault_and_spellings_are_equal() {
        let body = json!([{ "kind": "refund.*", "call": 2, "fault": "status:503" }]);
        let mut faults = script(body).expect("valid");
        assert!(faults.on_call("refund.list").is_none());
        assert_eq!(
            faults.on_call("refund.create").expect("fires").action,
            Action::Status(503)
        );
        assert!(faults.on_call("refund.create").is_none());
        assert_eq!(faults.json()[0]["fired"], 1);
    }

    #[test]
    fn always_never_ends_and_chance_is_a_share() {
        let body =
            json!({ "faults": [{ "on": "*", "times": 0, "probability": 0.3, "do": "garbage" }] });
        let mut faults = script(body).expect("valid");
        let fired = (0..10_000)
            .filter(|_| faults.on_call("refund.list").is_some())
            .count();
        assert!((2_700..3_300).contains(&fired), "{fired}");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(script(json!({ "on": "refund.crate", "do": "garbage" })).is_err());
        assert!(script(json!({ "on": "*", "do": "explode" })).is_err());
        assert!(script(json!({ "on": "*", "do": "forge" })).is_err());
        assert!(script(json!({ "webhook": "*", "do": "truncate" })).is_err());
        assert!(script(json!({ "on": "*", "do": "status:200" })).is_err());
        assert!(script(json!({ "do": "garbage" })).is_err());
        assert!(script(json!({ "on": "*", "do": "garbage", "often": 1 })).is_err());
    }
}
