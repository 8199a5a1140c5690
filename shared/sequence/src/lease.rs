//! A lease in hand.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::leases::{Inner, Release};
use crate::options::Token;

/// The right to work for one customer, for as long as it is renewed. Dropping it gives it back, soon and at best
/// effort; [`Leases::release`](crate::Leases::release) gives many back in one call and says whether that worked.
pub struct Lease {
    customer: Arc<str>,
    token: Token,
    lost: CancellationToken,
    value: Option<String>,
    inner: Arc<Inner>,
    _keeper: Arc<DropGuard>,
}

impl Lease {
    pub(crate) fn new(
        customer: Arc<str>,
        token: Token,
        value: String,
        lost: CancellationToken,
        inner: Arc<Inner>,
        keeper: Arc<DropGuard>,
    ) -> Self {
        Self {
            customer,
            token,
            lost,
            value: Some(value),
            inner,
            _keeper: keeper,
        }
    }

    /// Whose turn it is.
    pub fn customer(&self) -> &str {
        &self.customer
    }

    /// What every effect's transaction raises the fence to.
    pub fn token(&self) -> Token {
        self.token
    }

    /// Cancelled when the lease is no longer ours, or may no longer be: stop, the effects would be refused.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Ends the lease in this process; the rest is Redis's.
    pub(crate) fn take(mut self) -> Option<Release> {
        self.forget()
    }

    fn forget(&mut self) -> Option<Release> {
        let value = self.value.take()?;
        self.inner.forget(&self.customer, &value);
        Some((Arc::clone(&self.customer), value))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(release) = self.forget() {
            self.inner.give_back_soon(release);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("customer", &self.customer)
            .field("token", &self.token)
            .field("lost", &self.lost.is_cancelled())
            .finish_non_exhaustive()
    }
}
