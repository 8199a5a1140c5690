//! Scale-in protection: a task that has work in hand asks ECS to end another one instead.
//!
//! The container agent has a route for it on every task (`ECS_AGENT_URI`, Amazon ECS developer guide, "Task scale-in
//! protection endpoint"). Protection holds off scale-in *and* deploys, so a worker that is never idle would hold them off
//! for ever: after [`Options::stretch_max`] it lets go for [`Options::rest`]. It is a courtesy that saves repeated work.
//! Nothing depends on it: a worker that is ended anyhow hands back what it holds, and a failure here is logged once.

use std::time::Duration;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::config::{Env, Reader};

/// Set by ECS in every task.
const SETTING: &str = "ECS_AGENT_URI";
/// IAM actions that a task's role needs on the task itself.
pub const ACTIONS: &[&str] = &["ecs:UpdateTaskProtection"];
/// The agent is on this machine, and asks ECS.
const CALL_MAX: Duration = Duration::from_secs(5);
/// The largest answer that is looked at.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// When protection is asked for, renewed, and let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How often the worker is looked at.
    pub look_every: Duration,
    /// For how long is asked; whole minutes, at least one. A process that hangs is protected no longer.
    pub expires: Duration,
    /// How long after it was asked for it is renewed. Two more tries have to fit before it expires.
    pub renew_after: Duration,
    /// How long the worker has to be idle before it lets go: ECS takes a few calls a second of a whole account.
    pub idle_max: Duration,
    /// How long it is held without a break, however busy the worker is: deploys wait as long.
    pub stretch_max: Duration,
    /// How long the break is then, so that ECS finds the task without protection.
    pub rest: Duration,
    /// The pause after a call that failed.
    pub retry_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            look_every: Duration::from_secs(1),
            expires: Duration::from_mins(5),
            renew_after: Duration::from_mins(2),
            idle_max: Duration::from_secs(30),
            stretch_max: Duration::from_mins(10),
            rest: Duration::from_mins(2),
            retry_after: Duration::from_secs(30),
        }
    }
}

/// The container agent of this task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskAgent {
    state: Url,
    options: Options,
}

/// Why the agent did not do it.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the agent cannot be reached: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// ECS says no: a role without the action, a task of no service, too many calls.
    #[error("{status}: {said}")]
    No { status: StatusCode, said: String },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted {
    protection_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_minutes: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    protection: Option<serde::de::IgnoredAny>,
}

impl TaskAgent {
    /// `ECS_AGENT_URI`; none outside of ECS.
    pub fn read(reader: &mut Reader<'_>, env: &Env) -> Option<Self> {
        env.get(SETTING)?;
        let mut state = reader.http_url(SETTING)?;
        state
            .path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(["task-protection", "v1", "state"]);
        let options = Options::default();
        Some(Self { state, options })
    }

    /// The same with other times.
    #[must_use]
    pub const fn with(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Keeps the task protected while `is_busy` says so, until `stop`: then ECS has decided already.
    pub async fn keep(&self, is_busy: impl Fn() -> bool, stop: CancellationToken) {
        let http = match client() {
            Ok(http) => http,
            Err(error) => {
                tracing::warn!(%error, "the task cannot be protected from scale-in");
                return;
            }
        };
        let mut guard = Guard::new(self.options);
        let mut ticks = interval(self.options.look_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watched = async {
            loop {
                ticks.tick().await;
                let Some(protected) = guard.wants(is_busy(), Instant::now()) else {
                    continue;
                };
                let asked = self.ask(&http, protected).await;
                let failed_first = guard.answered(protected, asked.is_ok(), Instant::now());
                match asked {
                    Ok(()) => tracing::debug!(protected, "scale-in protection"),
                    Err(error) if failed_first => {
                        tracing::warn!(%error, "the task cannot be protected from scale-in");
                    }
                    Err(_) => {}
                }
            }
        };
        stop.run_until_cancelled(watched).await;
    }

    async fn ask(&self, http: &reqwest::Client, protected: bool) -> Result<(), Refused> {
        let expires = self.options.expires;
        let wanted = Wanted {
            protection_enabled: protected,
            expires_in_minutes: protected.then(|| expires.as_secs().div_ceil(60).max(1)),
        };
        let mut answer = http.put(self.state.clone()).json(&wanted).send().await?;
        let (status, mut body) = (answer.status(), Vec::new());
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                break;
            }
        }
        // A refusal of ECS itself comes with 200, too, and has no `protection`.
        let done =
            serde_json::from_slice(&body).is_ok_and(|answer: Answer| answer.protection.is_some());
        if status.is_success() && done {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&body).chars().take(500).collect();
        Err(Refused::No { status, said })
    }
}

fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        // Plain HTTP on this machine, past any proxy.
        .tls_certs_only([])
        .no_proxy()
        .timeout(CALL_MAX)
        .build()
}

/// What is known of the protection, and what should become of it.
#[derive(Debug)]
struct Guard {
    options: Options,
    /// When it was first asked for, and when last.
    held: Option<(Instant, Instant)>,
    /// When the worker was busy last.
    busy_at: Option<Instant>,
    /// Not before.
    rests_until: Option<Instant>,
    /// Not before, after a failure.
    tries_at: Option<Instant>,
}

impl Guard {
    const fn new(options: Options) -> Self {
        Self {
            options,
            held: None,
            busy_at: None,
            rests_until: None,
            tries_at: None,
        }
    }

    /// Whether to ask for protection (`true`), to let it go (`false`), or neither.
    fn wants(&mut self, busy: bool, now: Instant) -> Option<bool> {
        if busy {
            self.busy_at = Some(now);
        }
        if self.tries_at.is_some_and(|at| now < at) {
            return None;
        }
        match self.held {
            None => {
                let rests = self.rests_until.is_some_and(|until| now < until);
                (busy && !rests).then_some(true)
            }
            Some((since, asked_at)) => {
                let idle = self
                    .busy_at
                    .is_none_or(|at| now - at >= self.options.idle_max);
                if idle || now - since >= self.options.stretch_max {
                    Some(false)
                } else {
                    (now - asked_at >= self.options.renew_after).then_some(true)
                }
            }
        }
    }

    /// Takes note of what came of asking; whether it is the first failure after successes.
    fn answered(&mut self, protected: bool, done: bool, now: Instant) -> bool {
        if !done {
            let first = self.tries_at.is_none();
            self.tries_at = Some(now + self.options.retry_after);
            return first;
        }
        self.tries_at = None;
        if protected {
            let since = self.held.map_or(now, |(since, _)| since);
            self.held = Some((since, now));
            self.rests_until = None;
        } else {
            let stretched = self
                .held
                .is_some_and(|(since, _)| now - since >= self.options.stretch_max);
            self.rests_until = stretched.then(|| now + self.options.rest);
            self.held = None;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Guard, Options, TaskAgent};
    use crate::config::Env;

    /// Looks once a second for so long, and tells at which second what was asked for; calls succeed as `done` says.
    fn watched(
        seconds: u64,
        busy: impl Fn(u64) -> bool,
        done: impl Fn(u64) -> bool,
    ) -> Vec<(u64, bool)> {
        let (begin, mut guard) = (Instant::now(), Guard::new(Options::default()));
        let mut asked = Vec::new();
        for second in 0..seconds {
            let now = begin + Duration::from_secs(second);
            if let Some(protected) = guard.wants(busy(second), now) {
                asked.push((second, protected));
                guard.answered(protected, done(second), now);
            }
        }
        asked
    }

    #[test]
    fn it_is_asked_for_when_work_comes_and_let_go_when_none_came_for_a_while() {
        let busy = |second| (10..=12).contains(&second) || second == 30;
        assert_eq!(watched(300, busy, |_| true), [(10, true), (60, false)]);
        assert_eq!(watched(300, |_| false, |_| true), []);
    }

    #[test]
    fn it_is_renewed_before_it_expires_and_given_a_rest_however_busy_the_worker_is() {
        let expected = [
            (0, true),
            (120, true),
            (240, true),
            (360, true),
            (480, true),
            (600, false),
            (720, true),
        ];
        assert_eq!(watched(800, |_| true, |_| true), expected);
    }

    #[test]
    fn what_failed_is_tried_again_after_a_pause_and_said_once() {
        assert_eq!(
            watched(100, |_| true, |second| second >= 60),
            [(0, true), (30, true), (60, true)]
        );
        let mut guard = Guard::new(Options::default());
        let now = Instant::now();
        let said: Vec<bool> = [false, false, true, false]
            .map(|done| guard.answered(true, done, now))
            .into();
        assert_eq!(said, [true, false, false, true]);
    }

    #[test]
    fn the_agents_route_is_below_its_address_with_and_without_a_slash() {
        for uri in [
            "http://169.254.170.2/api/1f2e",
            "http://169.254.170.2/api/1f2e/",
        ] {
            let env = Env::of([("ECS_AGENT_URI", uri)]);
            let agent =
                TaskAgent::read(&mut env.reader(), &env).map(|agent| agent.state.to_string());
            let expected = "http://169.254.170.2/api/1f2e/task-protection/v1/state";
            assert_eq!(agent.as_deref(), Some(expected));
        }
        let env = Env::default();
        assert_eq!(TaskAgent::read(&mut env.reader(), &env), None);
    }
}
