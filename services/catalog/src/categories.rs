//! Categories: a tree.

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row as _};
use steelyard_domain::fault::Invalid;
use steelyard_domain::product::{CATEGORY_DEPTH_MAX, Category, CategoryDraft, Language};

use crate::author::Author;
use crate::products::Condition;
use crate::transaction::{Abort, Work, transact};

/// What came of a draft.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is new.
    Created(Category),
    /// It changed, or was as the draft says.
    There(Category),
    /// It cannot be, by its parent.
    Refused(Invalid),
    /// It is not as the condition asks; the version that it has, if it is there.
    Unmet(Option<i64>),
}

/// Saves a category, if the condition is met.
pub(crate) async fn keep(
    pool: &PgPool,
    author: &Author,
    draft: &CategoryDraft,
    condition: &Condition,
) -> Result<Kept, Abort> {
    let work = Keep {
        author,
        draft,
        condition,
    };
    transact(pool, &work).await
}

struct Keep<'a> {
    author: &'a Author,
    draft: &'a CategoryDraft,
    condition: &'a Condition,
}

impl Work for Keep<'_> {
    type Output = Kept;

    async fn attempt(&self, connection: &mut PgConnection) -> Result<Kept, Abort> {
        // Changes of the tree come one after another: two that are right alone could make a circle.
        sqlx::query("SELECT pg_advisory_xact_lock(hashtext('steelyard.categories'))")
            .execute(&mut *connection)
            .await?;
        let draft = self.draft;
        let known: Option<i64> =
            sqlx::query_scalar("SELECT version FROM categories WHERE code = $1")
                .bind(&draft.code)
                .fetch_optional(&mut *connection)
                .await?;
        if !self.condition.is_met(known) {
            return Ok(Kept::Unmet(known));
        }
        if let Err(invalid) = self.check_parent(connection).await? {
            return Ok(Kept::Refused(invalid));
        }
        let version: Option<i64> = sqlx::query_scalar(
            "WITH before AS (
                 SELECT * FROM categories WHERE code = $1
             ), written AS (
                 INSERT INTO categories (code, name, parent, translations, created_by)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (code) DO UPDATE
                 SET name = excluded.name, parent = excluded.parent,
                     translations = excluded.translations,
                     version = categories.version + 1, updated_at = now()
                 WHERE (categories.name, categories.parent, categories.translations)
                       IS DISTINCT FROM (excluded.name, excluded.parent, excluded.translations)
                 RETURNING version
             ), kept AS (
                 INSERT INTO changes (kind, subject, version, by, before)
                 SELECT 'category', $1, written.version, $5, to_jsonb(before) FROM written, before
             )
             SELECT version FROM written",
        )
        .bind(&draft.code)
        .bind(&draft.name)
        .bind(&draft.parent)
        .bind(Json(&draft.translations))
        .bind(self.author.name())
        .fetch_optional(connection)
        .await?;
        let category = Category {
            code: draft.code.clone(),
            name: draft.name.clone(),
            parent: draft.parent.clone(),
            version: version.or(known).unwrap_or(1),
        };
        Ok(if known.is_none() {
            Kept::Created(category)
        } else {
            Kept::There(category)
        })
    }
}

impl Keep<'_> {
    /// The parent must be there, not below the category, and not too deep with what hangs on it.
    async fn check_parent(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Result<(), Invalid>, sqlx::Error> {
        let Some(parent) = &self.draft.parent else {
            return Ok(Ok(()));
        };
        let way_up: Vec<String> = sqlx::query_scalar(
            "WITH RECURSIVE up AS (
                 SELECT code, parent, 1 AS steps FROM categories WHERE code = $1
                 UNION ALL
                 SELECT categories.code, categories.parent, steps + 1
                 FROM categories JOIN up ON categories.code = up.parent WHERE steps < $2
             ) SELECT code FROM up",
        )
        .bind(parent)
        .bind(depth())
        .fetch_all(&mut *connection)
        .await?;
        if way_up.is_empty() {
            let detail = format!("there is no category {parent}");
            return Ok(Err(Invalid::new("unknown", detail)));
        }
        if way_up.contains(&self.draft.code) {
            let detail = format!("{parent} is itself below {}", self.draft.code);
            return Ok(Err(Invalid::new("cycle", detail)));
        }
        let below: i32 = sqlx::query_scalar(
            "WITH RECURSIVE down AS (
                 SELECT $1::text COLLATE \"C\" AS code, 1 AS steps
                 UNION ALL
                 SELECT categories.code, steps + 1
                 FROM categories JOIN down ON categories.parent = down.code WHERE steps < $2
             ) SELECT max(steps) FROM down",
        )
        .bind(&self.draft.code)
        .bind(depth())
        .fetch_one(connection)
        .await?;
        let levels = way_up.len() + usize::try_from(below).unwrap_or(usize::MAX / 2);
        if levels > CATEGORY_DEPTH_MAX {
            let detail = format!("the tree has at most {CATEGORY_DEPTH_MAX} levels");
            return Ok(Err(Invalid::new("too_deep", detail)));
        }
        Ok(Ok(()))
    }
}

fn depth() -> i32 {
    i32::try_from(CATEGORY_DEPTH_MAX).unwrap_or(i32::MAX)
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position(pub(crate) String);

/// Up to `limit` categories after `after`, by code; with `parent`, those right below it.
pub(crate) async fn list(
    pool: &PgPool,
    parent: Option<&str>,
    language: Option<&Language>,
    after: Option<&Position>,
    limit: u32,
) -> Result<Vec<Category>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT code, name, parent, translations, version FROM categories
         WHERE ($1::text IS NULL OR parent = $1) AND ($2::text IS NULL OR code > $2)
         ORDER BY code LIMIT $3",
    )
    .bind(parent)
    .bind(after.map(|Position(code)| code.as_str()))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| category(row, language)).collect()
}

fn category(
    row: &sqlx::postgres::PgRow,
    language: Option<&Language>,
) -> Result<Category, sqlx::Error> {
    let Json(translations): Json<std::collections::BTreeMap<String, String>> =
        row.try_get("translations")?;
    let translated = language.and_then(|language| {
        let mut tags = language.with_fallbacks();
        tags.find_map(|tag| translations.get(tag).cloned())
    });
    Ok(Category {
        code: row.try_get("code")?,
        name: match translated {
            Some(name) => name,
            None => row.try_get("name")?,
        },
        parent: row.try_get("parent")?,
        version: row.try_get("version")?,
    })
}
