//! Where a service is known to differ from AWS, with the page of AWS's documentation that says so.

pub(crate) struct Exception {
    pub(crate) service: &'static str,
    pub(crate) case: &'static str,
    /// What it does instead.
    #[expect(dead_code, reason = "for the reader of this table")]
    pub(crate) instead: &'static str,
    /// Where AWS says what is right.
    #[expect(dead_code, reason = "for the reader of this table")]
    pub(crate) page: &'static str,
}

pub(crate) const EXCEPTIONS: &[Exception] = &[];
