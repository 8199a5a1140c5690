//! Settings of images.

use std::time::Duration;

use steelyard_objects::{S3Config, S3Credentials};
use steelyard_queue::{SqsConfig, SqsCredentials};
use steelyard_runtime::config::{Env, Reader};
use steelyard_runtime::protection::TaskAgent;

/// `POLL_WAIT`'s default: SQS's longest.
pub(crate) const POLL_WAIT: Duration = Duration::from_secs(20);

/// `MEDIA_RENDER_MAX`'s default.
pub(crate) const RENDER_MAX: Duration = Duration::from_mins(1);
/// Well below the time that a message may be held.
const RENDER_LONGEST: Duration = Duration::from_mins(5);

/// What images need. Without `MEDIA_BUCKET` there are none.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// `MEDIA_BUCKET`: where uploads (`uploads/`) and renditions (`images/`) lie.
    pub bucket: String,
    /// `MEDIA_BASE_URL`: what keys of renditions follow in the URLs that shoppers get: the CDN.
    pub base_url: String,
    /// `AWS_REGION`, `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`.
    pub s3: S3Config,
    /// `AWS_REGION`, `AWS_ENDPOINT_URL`.
    pub sqs: SqsConfig,
    /// `MEDIA_QUEUE`: name of the standard queue of uploads to work on.
    pub queue: String,
    /// `MEDIA_DEAD_LETTERS_QUEUE`: `…-dead-letters` of it when unset.
    pub dead_letters_queue: String,
    /// `MEDIA_RENDERS_MAX`: images that this process works on at once, 0–16, default 1. Each may need some 300 MB at
    /// worst; with 0 it only takes requests.
    pub renders_max: usize,
    /// `MEDIA_RENDER_MAX`: the longest that one image is worked on, 10 s–5 min, default 1 min; in its second half no AVIF is begun.
    pub render_max: Duration,
    /// `POLL_WAIT`: how long a poll waits for work, 1–20 s, default 20 s.
    pub poll_wait: Duration,
    /// `MEDIA_SWEEP_EVERY`: how often what was left over is looked for, default 1 min.
    pub sweep_every: Duration,
    /// `ECS_AGENT_URI`, which ECS sets: a worker with images in hand asks to be spared by scale-in.
    pub agent: Option<TaskAgent>,
}

impl MediaConfig {
    /// Reads the settings; faults are noted by the reader.
    pub(crate) fn read(reader: &mut Reader<'_>, env: &Env) -> Option<Self> {
        env.get("MEDIA_BUCKET")?;
        let bucket = reader.required("MEDIA_BUCKET");
        let base_url = reader.http_url("MEDIA_BASE_URL").map(String::from);
        let region: Option<String> = reader.optional("AWS_REGION");
        let mut endpoint = |name| match env.get(name) {
            Some(_) => reader.http_url(name).map(String::from),
            None => None,
        };
        let sqs_url = endpoint("AWS_ENDPOINT_URL");
        let s3_url = endpoint("AWS_ENDPOINT_URL_S3").or_else(|| sqs_url.clone());
        let queue: Option<String> = reader.required("MEDIA_QUEUE");
        if queue.as_ref().is_some_and(|queue| queue.ends_with(".fifo")) {
            reader.fault("MEDIA_QUEUE", "must be a standard queue, not a FIFO one");
        }
        let dead_letters_queue = reader
            .optional("MEDIA_DEAD_LETTERS_QUEUE")
            .or_else(|| queue.as_ref().map(|queue| format!("{queue}-dead-letters")));
        let renders_max = reader.within("MEDIA_RENDERS_MAX", 1, 0..=16);
        let render_max = reader.duration_or("MEDIA_RENDER_MAX", RENDER_MAX);
        if !(Duration::from_secs(10)..=RENDER_LONGEST).contains(&render_max) {
            reader.fault("MEDIA_RENDER_MAX", "must lie between 10s and 5m");
        }
        let poll_wait = reader.duration_or("POLL_WAIT", POLL_WAIT);
        if !(Duration::from_secs(1)..=POLL_WAIT).contains(&poll_wait) {
            reader.fault("POLL_WAIT", "must lie between 1s and 20s");
        }
        let sweep_every = reader.duration_or("MEDIA_SWEEP_EVERY", Duration::from_mins(1));
        if sweep_every.is_zero() {
            reader.fault("MEDIA_SWEEP_EVERY", "must not be 0");
        }
        Some(Self {
            bucket: bucket?,
            base_url: base_url?,
            s3: S3Config {
                region: region.clone(),
                endpoint_url: s3_url,
                credentials: S3Credentials::DefaultChain,
            },
            sqs: SqsConfig {
                region,
                endpoint_url: sqs_url,
                credentials: SqsCredentials::DefaultChain,
            },
            queue: queue?,
            dead_letters_queue: dead_letters_queue?,
            renders_max,
            render_max,
            poll_wait,
            sweep_every,
            agent: TaskAgent::read(reader, env),
        })
    }
}
