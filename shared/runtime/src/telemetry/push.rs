//! Metrics to an OpenTelemetry collector over HTTP.
//!
//! A collector that is away costs the samples of that time and nothing else: pushes run beside the service's work, one
//! at a time, each within [`PUSH_MAX`], and totals are cumulative, so that the next push makes up for those lost.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval};

use super::exposition::{self, Buckets, Family, Point, Value};
use super::{Error, process};

/// The longest that one push may take.
const PUSH_MAX: Duration = Duration::from_secs(5);
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// Pushes what was recorded, now and then.
#[derive(Debug)]
pub(super) struct Pusher {
    service: &'static str,
    url: String,
    http: reqwest::Client,
    started_at_ns: u64,
}

impl Pusher {
    pub(super) fn new(service: &'static str, endpoint: &str) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .timeout(PUSH_MAX)
            .no_proxy()
            .build()
            .map_err(|error| Error::Otlp(error.to_string()))?;
        Ok(Self {
            service,
            url: format!("{}/v1/metrics", endpoint.trim_end_matches('/')),
            http,
            started_at_ns: now_ns(),
        })
    }

    /// Pushes for ever; the task is aborted at the end.
    pub(super) async fn run(self, every: Duration, handle: PrometheusHandle) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_away = false;
        loop {
            ticks.tick().await;
            process::measure();
            let pushed = self.push(&handle.render()).await;
            // Said once, not at every push.
            match &pushed {
                Ok(()) if is_away => tracing::info!("the collector takes metrics again"),
                Err(error) if !is_away => {
                    tracing::warn!(%error, "the collector takes no metrics");
                }
                _ => {}
            }
            is_away = pushed.is_err();
        }
    }

    async fn push(&self, exposition: &str) -> Result<(), reqwest::Error> {
        let request = self.request(&exposition::read(exposition));
        let answer = self
            .http
            .post(&self.url)
            .header("content-type", "application/x-protobuf")
            .body(request.encode_to_vec())
            .send()
            .await?;
        answer.error_for_status().map(drop)
    }

    fn request(&self, families: &[Family]) -> ExportMetricsServiceRequest {
        let now_ns = now_ns();
        let metrics = families
            .iter()
            .map(|family| self.metric(family, now_ns))
            .collect();
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(Resource {
                    attributes: vec![attribute("service.name", self.service)],
                    ..Resource::default()
                }),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(InstrumentationScope {
                        name: "steelyard".to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    metrics,
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        }
    }

    fn metric(&self, family: &Family, now_ns: u64) -> Metric {
        let mut numbers = Vec::new();
        let mut histograms = Vec::new();
        let mut is_total = false;
        for point in &family.points {
            match &point.value {
                Value::Counter(total) => {
                    is_total = true;
                    let total = i64::try_from(*total).unwrap_or(i64::MAX);
                    let value = number_data_point::Value::AsInt(total);
                    numbers.push(self.number(point, value, now_ns));
                }
                Value::Gauge(value) => {
                    let value = number_data_point::Value::AsDouble(*value);
                    numbers.push(self.number(point, value, now_ns));
                }
                Value::Histogram(buckets) => {
                    histograms.push(self.histogram(point, buckets, now_ns));
                }
            }
        }
        let data = if !histograms.is_empty() {
            Data::Histogram(Histogram {
                data_points: histograms,
                aggregation_temporality: CUMULATIVE,
            })
        } else if is_total {
            Data::Sum(Sum {
                data_points: numbers,
                aggregation_temporality: CUMULATIVE,
                is_monotonic: true,
            })
        } else {
            Data::Gauge(Gauge {
                data_points: numbers,
            })
        };
        Metric {
            name: family.name.clone(),
            data: Some(data),
            ..Metric::default()
        }
    }

    fn number(
        &self,
        point: &Point,
        value: number_data_point::Value,
        now_ns: u64,
    ) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(point),
            start_time_unix_nano: self.started_at_ns,
            time_unix_nano: now_ns,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    fn histogram(&self, point: &Point, buckets: &Buckets, now_ns: u64) -> HistogramDataPoint {
        // OTLP counts each bucket alone, Prometheus all up to its bound.
        let upper = buckets.at_or_below.iter().chain([&buckets.count]);
        let lower = [&0].into_iter().chain(&buckets.at_or_below);
        let bucket_counts = upper
            .zip(lower)
            .map(|(upper, lower)| upper.saturating_sub(*lower))
            .collect();
        HistogramDataPoint {
            attributes: attributes(point),
            start_time_unix_nano: self.started_at_ns,
            time_unix_nano: now_ns,
            count: buckets.count,
            sum: Some(buckets.sum),
            bucket_counts,
            explicit_bounds: buckets.bounds.clone(),
            ..HistogramDataPoint::default()
        }
    }
}

fn attributes(point: &Point) -> Vec<KeyValue> {
    let labels = point.labels.iter();
    labels.map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &str) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue {
            value: Some(Any::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn now_ns() -> u64 {
    u64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos()).unwrap_or(0)
}
