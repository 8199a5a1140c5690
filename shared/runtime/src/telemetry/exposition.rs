//! Reads Prometheus's text format, as this process renders it: what is pushed anywhere is what is scraped.

/// One metric with all its label sets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// The value of one label set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Counter(u64),
    Gauge(f64),
    Histogram(Buckets),
}

/// A histogram with buckets that reach up to their bounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Buckets {
    /// Upper bounds, without the last one, which is infinite.
    pub(super) bounds: Vec<f64>,
    /// How many values lie at or below each bound.
    pub(super) at_or_below: Vec<u64>,
    pub(super) sum: f64,
    pub(super) count: u64,
}

/// Reads all counters, gauges and histograms; what is none of these is left out.
pub(super) fn read(text: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    let mut kind = "";
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            if let Some((name, word)) = typed.split_once(' ') {
                kind = word;
                families.push(Family {
                    name: name.to_owned(),
                    points: Vec::new(),
                });
            }
        } else if !line.starts_with('#')
            && let Some(sample) = Sample::read(line)
            && let Some(family) = families.last_mut()
        {
            family.take(kind, sample);
        }
    }
    families.retain(|family| !family.points.is_empty());
    families
}

struct Sample<'a> {
    name: &'a str,
    labels: Vec<(String, String)>,
    value: &'a str,
}

impl<'a> Sample<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels_of(labels.strip_suffix('}')?)?),
            None => (series, Vec::new()),
        };
        Some(Self {
            name,
            labels,
            value,
        })
    }
}

/// Reads `name="value",…`, in which values escape backslash, quote and newline.
fn labels_of(text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()? {
                    (_, 'n') => value.push('\n'),
                    (_, other) => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = quoted[end + 1..].trim_start_matches(',');
    }
    Some(labels)
}

impl Family {
    fn take(&mut self, kind: &str, sample: Sample<'_>) {
        let Sample {
            name,
            mut labels,
            value,
        } = sample;
        match kind {
            "counter" => {
                if let Ok(value) = value.parse() {
                    let value = Value::Counter(value);
                    self.points.push(Point { labels, value });
                }
            }
            "gauge" => {
                if let Ok(value) = value.parse() {
                    let value = Value::Gauge(value);
                    self.points.push(Point { labels, value });
                }
            }
            "histogram" => {
                let bound = labels.iter().position(|(label, _)| label == "le");
                let bound = bound.map(|at| labels.remove(at).1);
                let part = name.strip_prefix(&self.name).unwrap_or_default().to_owned();
                let buckets = self.buckets(labels);
                match (part.as_str(), bound, value.parse(), value.parse()) {
                    ("_bucket", Some(bound), Ok(count), _) if bound != "+Inf" => {
                        if let Ok(bound) = bound.parse() {
                            buckets.bounds.push(bound);
                            buckets.at_or_below.push(count);
                        }
                    }
                    ("_count", None, Ok(count), _) => buckets.count = count,
                    ("_sum", None, _, Ok(sum)) => buckets.sum = sum,
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// The histogram of these labels.
    fn buckets(&mut self, labels: Vec<(String, String)>) -> &mut Buckets {
        let known = self.points.iter().position(|point| point.labels == labels);
        let at = known.unwrap_or_else(|| {
            self.points.push(Point {
                labels,
                value: Value::Histogram(Buckets::default()),
            });
            self.points.len() - 1
        });
        match &mut self.points[at].value {
            Value::Histogram(buckets) => buckets,
            Value::Counter(_) | Value::Gauge(_) => {
                unreachable!("a family is of one kind")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics::{Key, Label, Level, Metadata, Recorder as _};
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

    use super::{Buckets, Family, Point, Value, read};

    const METADATA: Metadata<'static> = Metadata::new("tests", Level::INFO, None);

    #[test]
    fn what_the_exporter_renders_is_read_back_whole() {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &[0.5, 2.0])
            .unwrap()
            .build_recorder();
        let odd = Label::new("why", "a \"quoted\" {word}, 1\\2\nand more");
        let key = Key::from_parts("lost_total", vec![odd]);
        recorder.register_counter(&key, &METADATA).increment(7);
        let key = Key::from_name("depth");
        recorder.register_gauge(&key, &METADATA).set(2.5);
        let key = Key::from_parts("wait_seconds", vec![Label::new("queue", "orders.fifo")]);
        let histogram = recorder.register_histogram(&key, &METADATA);
        for seconds in [0.25, 1.0, 1.0, 30.0] {
            histogram.record(seconds);
        }
        let mut families = read(&recorder.handle().render());
        families.sort_by(|a, b| a.name.cmp(&b.name));
        let label = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let family = |name: &str, labels, value| Family {
            name: name.to_owned(),
            points: vec![Point { labels, value }],
        };
        assert_eq!(
            families,
            [
                family("depth", Vec::new(), Value::Gauge(2.5)),
                family(
                    "lost_total",
                    label("why", "a \"quoted\" {word}, 1\\2\nand more"),
                    Value::Counter(7)
                ),
                family(
                    "wait_seconds",
                    label("queue", "orders.fifo"),
                    Value::Histogram(Buckets {
                        bounds: vec![0.5, 2.0],
                        at_or_below: vec![1, 3],
                        sum: 32.25,
                        count: 4
                    })
                ),
            ]
        );
    }
}
