//! Metrics as lines of CloudWatch's embedded metric format on standard output. On AWS every service tells its indicators by
//! them, since CloudWatch Logs makes metrics of what is logged (decision 77).
//!
//! Only the service's first-class indicators are written: each is paid for by the month. Counters and histograms are
//! written as what came since the line before.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Map, Value as Json, json};
use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::exposition::{self, Buckets, Family, Point, Value};
use super::process;
use crate::indicators::Indicator;

/// How often lines are written: CloudWatch keeps minutes.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// What a value was before: of each metric and label value.
type Before = HashMap<(&'static str, String), Value>;

pub(super) struct Emf {
    service: &'static str,
    namespace: String,
    indicators: Vec<Indicator>,
    before: Before,
}

impl Emf {
    pub(super) fn new(
        service: &'static str,
        namespace: String,
        indicators: Vec<Indicator>,
    ) -> Self {
        Self {
            service,
            namespace,
            indicators,
            before: Before::new(),
        }
    }

    /// Writes until `stop`, and then what came since the last time: each deploy would lose a minute of every task.
    pub(super) async fn run(
        mut self,
        handle: PrometheusHandle,
        stop: CancellationToken,
        mut out: impl Write + Send + 'static,
    ) {
        let mut ticks = interval(WRITE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let goes_on = stop.run_until_cancelled(ticks.tick()).await.is_some();
            process::measure();
            let lines = self.lines(&handle.render(), OffsetDateTime::now_utc());
            // Standard output is a pipe that somebody may not read: never on a thread that answers requests. What cannot
            // be written is lost, as anything else that is said to nobody.
            let written = tokio::task::spawn_blocking(move || {
                drop(lines.iter().try_for_each(|line| writeln!(out, "{line}")));
                out
            });
            match written.await {
                Ok(returned) if goes_on => out = returned,
                _ => return,
            }
        }
    }

    /// One line for the service as a whole, and one for each value of a label that an indicator is told apart by.
    fn lines(&mut self, exposition: &str, now: OffsetDateTime) -> Vec<Json> {
        let families = exposition::read(exposition);
        let mut by_label: BTreeMap<Option<(&'static str, String)>, Map<String, Json>> =
            BTreeMap::new();
        for indicator in self.indicators.clone() {
            let family = families
                .iter()
                .find(|family| family.name == indicator.metric);
            for (label, value) in family
                .map(|family| gathered(family, indicator.by))
                .unwrap_or_default()
            {
                let key = (indicator.metric, label.clone());
                let written = written(&value, self.before.get(&key));
                self.before.insert(key, value);
                let line = by_label
                    .entry(indicator.by.map(|by| (by, label)))
                    .or_default();
                line.insert(indicator.metric.to_owned(), written);
            }
        }
        let lines = by_label.into_iter();
        lines
            .map(|(label, values)| self.line(label, values, now))
            .collect()
    }

    fn line(
        &self,
        label: Option<(&'static str, String)>,
        values: Map<String, Json>,
        now: OffsetDateTime,
    ) -> Json {
        let mut dimensions = vec!["service"];
        let metrics: Vec<Json> = values.keys().map(|name| json!({"Name": name})).collect();
        let mut line = Map::new();
        line.insert("service".to_owned(), self.service.into());
        if let Some((name, value)) = label {
            dimensions.push(name);
            line.insert(name.to_owned(), value.into());
        }
        line.extend(values);
        let timestamp_ms = i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        let metadata = json!({
            "Timestamp": timestamp_ms,
            "CloudWatchMetrics": [
                {"Namespace": self.namespace, "Dimensions": [dimensions], "Metrics": metrics},
            ],
        });
        line.insert("_aws".to_owned(), metadata);
        Json::Object(line)
    }
}

/// The family's values by one label, all others added up.
fn gathered(family: &Family, by: Option<&str>) -> BTreeMap<String, Value> {
    let label = |point: &Point| {
        let found = by.and_then(|by| point.labels.iter().find(|(name, _)| name == by));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let mut gathered: BTreeMap<String, Value> = BTreeMap::new();
    for point in &family.points {
        match gathered.entry(label(point)) {
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(point.value.clone());
            }
            std::collections::btree_map::Entry::Occupied(mut known) => {
                add(known.get_mut(), &point.value);
            }
        }
    }
    gathered
}

#[expect(
    clippy::float_arithmetic,
    reason = "gauges and seconds are floats in every format for metrics; no money here"
)]
fn add(sum: &mut Value, other: &Value) {
    match (sum, other) {
        (Value::Counter(sum), Value::Counter(other)) => *sum += other,
        (Value::Gauge(sum), Value::Gauge(other)) => *sum += other,
        (Value::Histogram(sum), Value::Histogram(other)) => {
            for (sum, other) in sum.at_or_below.iter_mut().zip(&other.at_or_below) {
                *sum += other;
            }
            sum.count += other.count;
            sum.sum += other.sum;
        }
        _ => {}
    }
}

/// A value as EMF has it, less what was told before.
#[expect(
    clippy::float_arithmetic,
    reason = "seconds are floats in every format for metrics; no money here"
)]
fn written(value: &Value, before: Option<&Value>) -> Json {
    match (value, before) {
        (Value::Gauge(value), _) => json!(value),
        (Value::Counter(total), Some(Value::Counter(before))) => {
            json!(total.saturating_sub(*before))
        }
        (Value::Counter(total), _) => json!(total),
        (Value::Histogram(now), before) => {
            let none = Buckets::default();
            let before = match before {
                Some(Value::Histogram(before)) => before,
                _ => &none,
            };
            let came = |at: usize| {
                let earlier = before.at_or_below.get(at).copied().unwrap_or(0);
                now.at_or_below[at].saturating_sub(earlier)
            };
            let mut lower = 0;
            let mut values = Vec::new();
            let mut counts = Vec::new();
            for (at, bound) in now.bounds.iter().enumerate() {
                let up_to = came(at);
                if up_to > lower {
                    // Of each value its bucket's bound is known: rather too long than too short.
                    values.push(*bound);
                    counts.push(up_to - lower);
                }
                lower = up_to;
            }
            let count = now.count.saturating_sub(before.count);
            if count > lower {
                values.extend(now.bounds.last());
                counts.push(count - lower);
            }
            json!({
                "Values": values, "Counts": counts, "Count": count, "Sum": now.sum - before.sum,
                "Min": values.first().copied().unwrap_or(0.0), "Max": values.last().copied().unwrap_or(0.0),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use metrics_exporter_prometheus::PrometheusBuilder;
    use serde_json::{Value as Json, json};
    use steelyard_testkit::wait_for;
    use time::OffsetDateTime;
    use tokio_util::sync::CancellationToken;

    use super::Emf;
    use crate::indicators;

    /// What was written so far, for a test to read.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn lines(&self) -> Vec<Json> {
            let bytes = self.0.lock().unwrap();
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            let whole = lines.filter(|line| line.ends_with(b"\n"));
            whole
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_came_since_the_last_lines_is_told_at_the_end() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let came = |requests: u64| {
            metrics::with_local_recorder(&recorder, || {
                metrics::counter!("sqs_requests_total", "action" => "SendMessage")
                    .increment(requests);
            });
        };
        // The first value of a counter is told, too: nobody has seen it before.
        came(2);
        let emf = Emf::new("tested", "Tests".to_owned(), vec![indicators::SQS_REQUESTS]);
        let (stop, written) = (CancellationToken::new(), Written::default());
        let running = tokio::spawn(emf.run(recorder.handle(), stop.clone(), written.clone()));
        wait_for("the first line", Duration::from_secs(60), async || {
            !written.lines().is_empty()
        })
        .await;
        came(3);
        stop.cancel();
        running.await.unwrap();
        let told: Vec<_> = written
            .lines()
            .iter()
            .map(|line| line["sqs_requests_total"].clone())
            .collect();
        assert_eq!(told, [json!(2), json!(3)]);
    }

    const FIRST: &str = r#"
# TYPE queue_outcomes_total counter
queue_outcomes_total{queue="orders.fifo",outcome="done"} 5
queue_outcomes_total{queue="orders.fifo",outcome="park"} 1
# TYPE sqs_requests_total counter
sqs_requests_total{action="SendMessage"} 3
sqs_requests_total{action="ReceiveMessage"} 4
# TYPE orders_backlog gauge
orders_backlog 12
# TYPE not_first_class_total counter
not_first_class_total 9
# TYPE orders_settle_seconds histogram
orders_settle_seconds_bucket{le="0.1"} 2
orders_settle_seconds_bucket{le="1"} 2
orders_settle_seconds_bucket{le="10"} 3
orders_settle_seconds_bucket{le="+Inf"} 4
orders_settle_seconds_sum 50.5
orders_settle_seconds_count 4
"#;

    #[test]
    fn a_line_tells_the_first_class_indicators_since_the_line_before() {
        let mut emf = Emf::new(
            "orders",
            "Steelyard/dev".to_owned(),
            vec![
                indicators::OUTCOMES,
                indicators::SQS_REQUESTS,
                indicators::BACKLOG,
                indicators::SETTLE,
            ],
        );
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(1);
        let lines = emf.lines(FIRST, now);
        assert_eq!(
            lines,
            [
                json!({
                    "_aws": {"Timestamp": 1000, "CloudWatchMetrics": [{
                        "Namespace": "Steelyard/dev", "Dimensions": [["service"]],
                        "Metrics": [{"Name": "orders_backlog"}, {"Name": "orders_settle_seconds"}, {"Name": "sqs_requests_total"}],
                    }]},
                    "service": "orders", "orders_backlog": 12.0, "sqs_requests_total": 7,
                    "orders_settle_seconds": {"Values": [0.1, 10.0, 10.0], "Counts": [2, 1, 1], "Count": 4, "Sum": 50.5, "Min": 0.1, "Max": 10.0},
                }),
                json!({
                    "_aws": {"Timestamp": 1000, "CloudWatchMetrics": [{
                        "Namespace": "Steelyard/dev", "Dimensions": [["service", "outcome"]], "Metrics": [{"Name": "queue_outcomes_total"}],
                    }]},
                    "service": "orders", "outcome": "done", "queue_outcomes_total": 5,
                }),
                json!({
                    "_aws": {"Timestamp": 1000, "CloudWatchMetrics": [{
                        "Namespace": "Steelyard/dev", "Dimensions": [["service", "outcome"]], "Metrics": [{"Name": "queue_outcomes_total"}],
                    }]},
                    "service": "orders", "outcome": "park", "queue_outcomes_total": 1,
                }),
            ]
        );
        let second = FIRST.replace("done\"} 5", "done\"} 8");
        let lines = emf.lines(&second, now);
        assert_eq!(lines[1]["queue_outcomes_total"], json!(3));
        assert_eq!(lines[0]["sqs_requests_total"], json!(0));
        assert_eq!(lines[0]["orders_settle_seconds"]["Count"], json!(0));
    }
}
