//! As much of S3's event as is needed (S3 user guide, "Event message structure").

use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// What S3 tells.
#[derive(Debug, Deserialize)]
pub struct S3Event {
    /// One per object.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// One object.
#[derive(Debug, Deserialize)]
pub struct Record {
    s3: Entity,
}

#[derive(Debug, Deserialize)]
struct Entity {
    bucket: Named,
    object: Keyed,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Keyed {
    key: String,
}

impl Record {
    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.s3.bucket.name
    }

    /// The key, which comes as a form's field: a space as `+`, other characters as `%xx`.
    #[must_use]
    pub fn key(&self) -> String {
        let spaced = self.s3.object.key.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::S3Event;

    #[test]
    fn keys_are_read_as_s3_writes_them() {
        let text = r#"{"Records":[{"eventVersion":"2.1","eventName":"ObjectCreated:Put","s3":{
            "bucket":{"name":"inbox","arn":"arn:aws:s3:::inbox"},
            "object":{"key":"2026-10/%C3%BC+b%2B1/manifest.csv","size":7}}}]}"#;
        let event: S3Event = serde_json::from_str(text).expect("an event");
        assert_eq!(event.records[0].bucket(), "inbox");
        assert_eq!(event.records[0].key(), "2026-10/ü b+1/manifest.csv");
    }
}
