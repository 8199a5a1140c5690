//! Images over HTTP.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use sqlx::PgPool;
use steelyard_domain::id::Sku;
use steelyard_domain::internal::paths;
use steelyard_domain::media::{Image, ImageBody, ImageStatus, ImageUpload, Images, UploadRequest};
use steelyard_objects::{SignedRequest, Upload};
use steelyard_runtime::http::{HttpError, Json, Path};
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{self, Announced, Row};
use super::{Media, UPLOAD_TTL, upload_key};
use crate::author::Author;
use crate::failure::{database_away, of_sql};

/// The routes of images, below those of products.
pub(crate) fn routes<S>(media: Option<Media>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let below = |rest: &str| format!("{}/{{sku}}/images{rest}", paths::PRODUCTS);
    Router::new()
        .route(&below(""), get(list).post(announce))
        .route(&below("/{id}"), get(show).delete(remove))
        .route(&below("/{id}/complete"), post(complete))
        .with_state(media)
}

type Shop = State<Option<Media>>;

/// # Errors
/// 503 when this shop keeps no images, or its database is away.
fn open(media: Option<Media>) -> Result<Media, HttpError> {
    let Some(media) = media else {
        let detail = "this shop keeps no images: MEDIA_BUCKET is not set";
        return Err(HttpError::unavailable("media_unavailable", detail, 60));
    };
    if media.database.is_migrated() {
        Ok(media)
    } else {
        Err(database_away())
    }
}

async fn announce(
    State(media): Shop,
    Path(sku): Path<String>,
    author: Author,
    Json(body): Json<ImageBody>,
) -> Result<(StatusCode, Json<ImageUpload>), HttpError> {
    let media = open(media)?;
    let sku = sku_of(sku)?;
    let draft = body
        .check()
        .map_err(|faults| HttpError::validation_failed().with_faults(faults))?;
    let id = Uuid::new_v4();
    let expires_at = OffsetDateTime::now_utc() + UPLOAD_TTL;
    let key = upload_key(id);
    let upload = Upload {
        key: &key,
        content_type: draft.content_type.as_str(),
    };
    let signed = media.bucket.presign_put(&upload, draft.bytes, UPLOAD_TTL);
    let signed = signed.await.map_err(|error| s3_away(&error))?;
    let announced = rows::announce(media.pool(), id, &sku, &draft, author.name()).await;
    let row = match announced.map_err(|error| of_sql(&error))? {
        Announced::Made(row) => *row,
        Announced::NoProduct => return Err(no_product(&sku)),
        Announced::TooMany => {
            let detail = "this product has as many images as it may; remove one first";
            return Err(HttpError::new(
                StatusCode::CONFLICT,
                "too_many_images",
                detail,
            ));
        }
    };
    let SignedRequest {
        method,
        url,
        headers,
    } = signed;
    let upload = ImageUpload {
        image: media.shown(row),
        upload: UploadRequest {
            method,
            url,
            headers,
            expires_at,
        },
    };
    Ok((StatusCode::CREATED, Json(upload)))
}

async fn list(State(media): Shop, Path(sku): Path<String>) -> Result<Json<Images>, HttpError> {
    let media = open(media)?;
    let sku = sku_of(sku)?;
    let rows = rows::of_products(&media.reads, &[sku.as_str()], None).await;
    let rows = rows.map_err(|error| of_sql(&error))?;
    let data = rows.into_iter().map(|row| media.shown(row)).collect();
    Ok(Json(Images { data }))
}

async fn show(
    State(media): Shop,
    Path((sku, id)): Path<(String, String)>,
) -> Result<Json<Image>, HttpError> {
    let media = open(media)?;
    let row = find(&media, sku, &id).await?;
    Ok(Json(media.shown(row)))
}

/// The upload is there: it is worked on from here on. Harmless twice.
async fn complete(
    State(media): Shop,
    Path((sku, id)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Image>), HttpError> {
    let media = open(media)?;
    let mut row = find(&media, sku, &id).await?;
    if row.status != ImageStatus::Pending {
        return Ok((StatusCode::OK, Json(media.shown(row))));
    }
    let uploaded = media.bucket.head(&upload_key(row.id)).await;
    if uploaded.map_err(|error| s3_away(&error))?.is_none() {
        let detail = "nothing was uploaded yet; make the request that POST …/images gave";
        return Err(HttpError::new(
            StatusCode::CONFLICT,
            "image_not_uploaded",
            detail,
        ));
    }
    let marked = rows::uploaded(media.pool(), row.id).await;
    marked.map_err(|error| of_sql(&error))?;
    row.status = ImageStatus::Processing;
    if let Err(error) = media.announce(row.id).await {
        tracing::warn!(%error, image_id = %row.id, "an upload could not be announced; the sweep will");
    }
    Ok((StatusCode::ACCEPTED, Json(media.shown(row))))
}

async fn remove(
    State(media): Shop,
    Path((sku, id)): Path<(String, String)>,
    author: Author,
) -> Result<StatusCode, HttpError> {
    let media = open(media)?;
    let (sku, id) = (sku_of(sku)?, image_id(&id)?);
    let removed = rows::remove(media.pool(), &media.events, &sku, id, author.name()).await;
    if removed.map_err(|error| of_sql(&error))? {
        media.events.wake();
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_image())
    }
}

async fn find(media: &Media, sku: String, id: &str) -> Result<Row, HttpError> {
    let (sku, id) = (sku_of(sku)?, image_id(id)?);
    let row = rows::one(&media.reads, id).await;
    row.map_err(|error| of_sql(&error))?
        .filter(|row| row.sku == sku)
        .ok_or_else(no_image)
}

impl Media {
    fn pool(&self) -> &PgPool {
        self.database.pool()
    }
}

fn s3_away(error: &steelyard_objects::Error) -> HttpError {
    tracing::warn!(%error, "S3 does not do its part");
    HttpError::unavailable("media_unavailable", "the images' store is away", 2)
}

fn sku_of(text: String) -> Result<Sku, HttpError> {
    Sku::try_from(text).map_err(|error| HttpError::not_found(format!("no product: {error}")))
}

fn no_product(sku: &Sku) -> HttpError {
    HttpError::not_found(format!("there is no product {sku}"))
}

fn image_id(text: &str) -> Result<Uuid, HttpError> {
    Uuid::try_parse(text).map_err(|_| no_image())
}

fn no_image() -> HttpError {
    HttpError::not_found("this product has no such image")
}
