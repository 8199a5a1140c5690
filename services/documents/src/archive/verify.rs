//! Whether packs are what they were.

use steelyard_objects::Class;
use steelyard_pack::Index;
use uuid::Uuid;

use super::pack::link;
use super::rows::pack;
use super::{Archive, Error};
use crate::import::{Ranges, Source};

/// Read at once.
const WINDOW_BYTES: u64 = 8 << 20;
/// Packs of one question.
const PAGE_ROWS: i64 = 1_000;

/// A pack as a link of the chain.
#[derive(sqlx::FromRow)]
struct Link {
    id: Uuid,
    object_key: String,
    sealed_as: i64,
    root: Vec<u8>,
    chain: Vec<u8>,
}

/// A pack that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Its documents.
    pub documents: usize,
    /// Of those, how many rows know where they are. Fewer when some were taken out under a legal hold.
    pub known: usize,
}

impl Archive {
    /// Reads a pack whole: its index against the root that was kept, every document against the index, every row against
    /// both. A cold pack has to be restored before.
    ///
    /// # Errors
    /// [`Error::Damaged`] with the first thing that is wrong; see [`Error`] for others.
    pub async fn verify(&self, id: Uuid) -> Result<Verified, Error> {
        let there = pack(&self.pool, id).await?.ok_or(Error::NoPack(id))?;
        let damaged = |why: String| Error::Damaged {
            key: there.key.clone(),
            why,
        };
        let root = <[u8; 32]>::try_from(there.root.as_slice());
        let root = root.map_err(|_| damaged("no root was kept".to_owned()))?;
        let source = Source::prefix(self.bucket.clone(), "");
        let bytes = u64::try_from(there.bytes).unwrap_or_default();
        let mut ranges = Ranges::new(&source, &there.key, bytes, WINDOW_BYTES);
        let read = tokio::task::spawn_blocking(move || steelyard_pack::verify(&mut ranges, root));
        let index = read
            .await
            .map_err(|error| Error::Broken(error.to_string()))?
            .map_err(|error| damaged(error.to_string()))?;
        let known = self.known(id, &index).await?;
        let strangers: i64 =
            sqlx::query_scalar("SELECT count(*) FROM documents WHERE pack_id = $1")
                .bind(id)
                .fetch_one(&self.pool)
                .await?;
        if usize::try_from(strangers).ok() != Some(known) {
            return Err(damaged(format!(
                "{strangers} rows say that they are in it, {known} are"
            )));
        }
        Ok(Verified {
            documents: index.entries.len(),
            known,
        })
    }

    /// Rows that say of the pack what its index says of them.
    async fn known(&self, id: Uuid, index: &Index) -> Result<usize, Error> {
        let entries = &index.entries;
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let known: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM documents d
               JOIN unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bytea[]) AS e (id, at, bytes, sha256)
                 ON d.id = e.id AND d.pack_offset = e.at AND d.size_bytes = e.bytes AND d.sha256 = e.sha256
              WHERE d.pack_id = $1",
        )
        .bind(id)
        .bind(entries.iter().map(|entry| entry.id).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| whole(entry.offset)).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| whole(entry.bytes)).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.sha256.as_slice()).collect::<Vec<_>>())
        .fetch_one(&self.pool)
        .await?;
        Ok(usize::try_from(known).unwrap_or_default())
    }

    /// The packs that can be read without a restore, the oldest first.
    ///
    /// # Errors
    /// Those of Postgres.
    pub async fn readable_packs(&self) -> Result<Vec<Uuid>, Error> {
        let instant = [Class::Standard, Class::GlacierInstant].map(Class::as_str);
        let packs = sqlx::query_scalar(
            "SELECT id FROM packs WHERE state = 'sealed' OR (state = 'cold' AND storage_class = ANY($1)) ORDER BY sealed_as",
        )
        .bind(instant.as_slice())
        .fetch_all(&self.pool);
        Ok(packs.await?)
    }

    /// Whether no pack was taken out of the chain, put in, or given another root; how many there are.
    ///
    /// # Errors
    /// [`Error::Damaged`] with the first pack that does not fit; [`Error::Database`].
    pub async fn verify_chain(&self) -> Result<u64, Error> {
        let (mut before, mut chain) = (0_i64, vec![0; 32]);
        loop {
            let next: Vec<Link> = sqlx::query_as(
                "SELECT id, object_key, sealed_as, root, chain FROM packs WHERE sealed_as > $1 ORDER BY sealed_as LIMIT $2",
            )
            .bind(before)
            .bind(PAGE_ROWS)
            .fetch_all(&self.pool)
            .await?;
            if next.is_empty() {
                return Ok(u64::try_from(before).unwrap_or_default());
            }
            for next in next {
                let computed = link(&chain, next.id, &next.root);
                let Link {
                    sealed_as,
                    chain: said,
                    object_key: key,
                    ..
                } = next;
                if sealed_as != before + 1 || said != computed {
                    let why = format!("the chain breaks at pack {sealed_as}");
                    return Err(Error::Damaged { key, why });
                }
                (before, chain) = (sealed_as, said);
            }
        }
    }
}
