//! Requests that others may make without credentials, for a while.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use url::Url;

use crate::bucket::Bucket;
use crate::error::Error;

/// A presigned request is good for no longer than this (SigV4's limit). With the credentials of a role it ends when
/// those do, if that is sooner.
pub const PRESIGNED_MAX: Duration = Duration::from_hours(7 * 24);

/// A request to be made just so: every header is part of the signature.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SignedRequest {
    /// `GET` or `PUT`.
    pub method: String,
    /// Whoever has it may make the request: not for logs.
    pub url: String,
    /// Headers that must be sent with these values; `host` is left to the client.
    pub headers: BTreeMap<String, String>,
}

/// A form to be sent as `multipart/form-data`, these fields first and then the file as `file`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SignedForm {
    /// Where to.
    pub url: String,
    /// Whoever has them may make the request: not for logs.
    pub fields: BTreeMap<String, String>,
}

impl std::fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedRequest").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SignedForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedForm").finish_non_exhaustive()
    }
}

/// What may be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload<'a> {
    /// With this key and no other.
    pub key: &'a str,
    /// With this `Content-Type` and no other.
    pub content_type: &'a str,
}

impl Bucket {
    /// A link to an object for `ttl`. With `file_name` a browser saves it under that name.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn presign_get(
        &self,
        key: &str,
        ttl: Duration,
        file_name: Option<&str>,
    ) -> Result<SignedRequest, Error> {
        let get = self.client.get_object().bucket(&self.name).key(key);
        let get = get.set_response_content_disposition(file_name.map(attachment));
        let signed = get.presigned(expiring(ttl)?).await;
        signed
            .map(|signed| request(&signed))
            .map_err(|error| self.error(&error, key))
    }

    /// An upload of exactly `bytes` bytes by `PUT`: length and type are signed, and S3 refuses any other.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn presign_put(
        &self,
        upload: &Upload<'_>,
        bytes: u64,
        ttl: Duration,
    ) -> Result<SignedRequest, Error> {
        let put = self.client.put_object().bucket(&self.name).key(upload.key);
        let put = put
            .content_type(upload.content_type)
            .content_length(i64::try_from(bytes).unwrap_or(i64::MAX));
        let signed = put.presigned(expiring(ttl)?).await;
        signed
            .map(|signed| request(&signed))
            .map_err(|error| self.error(&error, upload.key))
    }

    /// An upload of up to `bytes_max` bytes by a form's `POST`: the policy is signed, and S3 keeps to it.
    ///
    /// # Errors
    /// When there are no credentials or no region.
    pub async fn presign_post(
        &self,
        upload: &Upload<'_>,
        bytes_max: u64,
        ttl: Duration,
    ) -> Result<SignedForm, Error> {
        let credentials = self
            .shared
            .credentials_provider()
            .ok_or_else(no_credentials)?;
        let credentials = credentials.provide_credentials().await.map_err(|error| {
            let message = error.to_string();
            denied("NoCredentials", &message)
        })?;
        let region = self.shared.region();
        let region = region.ok_or_else(|| denied("NoRegion", "AWS_REGION is not set"))?;
        let now = OffsetDateTime::now_utc();
        let (day, moment) = (stamp(now, "day")?, stamp(now, "moment")?);
        let scope = format!("{day}/{region}/s3/aws4_request");
        let mut fields = BTreeMap::from([
            ("key", upload.key.to_owned()),
            ("content-type", upload.content_type.to_owned()),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
            (
                "x-amz-credential",
                format!("{}/{scope}", credentials.access_key_id()),
            ),
            ("x-amz-date", moment),
        ]);
        if let Some(token) = credentials.session_token() {
            fields.insert("x-amz-security-token", token.to_owned());
        }
        let mut conditions = vec![
            json!({ "bucket": self.name }),
            json!(["content-length-range", 1, bytes_max]),
        ];
        conditions.extend(fields.iter().map(|(name, value)| json!({ *name: value })));
        let expiration = (now + ttl.min(PRESIGNED_MAX)).replace_nanosecond(0);
        let expiration = expiration
            .ok()
            .and_then(|at| at.format(&Rfc3339).ok())
            .ok_or_else(|| refused("the time cannot be written"))?;
        let policy = json!({ "expiration": expiration, "conditions": conditions });
        let policy = STANDARD.encode(policy.to_string());
        let key = generate_signing_key(
            credentials.secret_access_key(),
            SystemTime::from(now),
            region.as_ref(),
            "s3",
        );
        let signature = calculate_signature(key, policy.as_bytes());
        fields.insert("policy", policy);
        fields.insert("x-amz-signature", signature);
        Ok(SignedForm {
            url: self.url().await?,
            fields: fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        })
    }

    /// The bucket's own URL, as the SDK makes those of its objects.
    async fn url(&self) -> Result<String, Error> {
        const KEY: &str = "-";
        let link = self.presign_get(KEY, Duration::from_secs(1), None).await?;
        let mut url = Url::parse(&link.url).map_err(|error| refused(&error.to_string()))?;
        url.set_query(None);
        let path = url.path().trim_end_matches(KEY).to_owned();
        url.set_path(&path);
        Ok(url.into())
    }
}

/// The date of a signature: its day, or to the second.
fn stamp(at: OffsetDateTime, precision: &str) -> Result<String, Error> {
    let day = format_description!("[year][month][day]");
    let moment = format_description!("[year][month][day]T[hour][minute][second]Z");
    let written = match precision {
        "day" => at.format(&day),
        _ => at.format(&moment),
    };
    written.map_err(|error| refused(&error.to_string()))
}

fn expiring(ttl: Duration) -> Result<PresigningConfig, Error> {
    PresigningConfig::expires_in(ttl.min(PRESIGNED_MAX))
        .map_err(|error| refused(&error.to_string()))
}

fn request(signed: &PresignedRequest) -> SignedRequest {
    let headers = signed.headers().map(|(name, value)| {
        let (name, value) = (name.to_ascii_lowercase(), value.to_owned());
        (name, value)
    });
    SignedRequest {
        method: signed.method().to_owned(),
        url: signed.uri().to_owned(),
        headers: headers.filter(|(name, _)| name != "host").collect(),
    }
}

/// `Content-Disposition` of a file that is saved under this name (RFC 6266): what a header cannot carry as it is becomes `_`,
/// and the whole name follows in RFC 8187's way.
#[must_use]
pub fn attachment(file_name: &str) -> String {
    let plain: String = file_name
        .chars()
        .map(|c| match c {
            ' '..='~' if !matches!(c, '"' | '\\' | '%') => c,
            _ => '_',
        })
        .collect();
    let encoded: String = url::form_urlencoded::byte_serialize(file_name.as_bytes()).collect();
    let encoded = encoded.replace('+', "%20").replace('*', "%2A");
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

fn no_credentials() -> Error {
    denied("NoCredentials", "there are no AWS credentials")
}

fn denied(code: &str, message: &str) -> Error {
    Error::Denied {
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

fn refused(message: &str) -> Error {
    Error::Refused {
        code: "InvalidRequest".to_owned(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::attachment;

    #[test]
    fn a_file_name_cannot_break_out_of_its_header() {
        assert_eq!(
            attachment("a\"\r\nb ü.pdf"),
            "attachment; filename=\"a___b _.pdf\"; filename*=UTF-8''a%22%0D%0Ab%20%C3%BC.pdf"
        );
    }
}
