//! W3C trace context: who asked for this work, across processes and queues.
//!
//! A trace goes with a request from service to service, and with a message through its queue. Work on a set of messages
//! is a trace of its own, [`link`]ed to all who sent them; what is done for one message alone is [`adopt`]ed into the
//! trace of its sender, so that one trace tells an order's whole way.

use std::fmt;
use std::str::FromStr;

use tracing::Span;
use uuid::Uuid;

use crate::telemetry::traces;

/// A `traceparent` (W3C Trace Context, version 00).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    pub(crate) const fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Self {
        Self {
            trace_id,
            span_id,
            flags,
        }
    }

    /// A new trace, not sampled: nobody upstream asked for it.
    #[must_use]
    pub fn root() -> Self {
        Self {
            trace_id: *Uuid::new_v4().as_bytes(),
            span_id: new_span_id(),
            flags: 0,
        }
    }

    /// The same trace with a span of this process.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span_id: new_span_id(),
            ..self
        }
    }

    /// The trace's id.
    #[must_use]
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the span that called.
    #[must_use]
    pub const fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// The flags; bit 0 says "sampled".
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// The context to hand on to whatever is called from here: the exporter's span if traces are
    /// exported, else the current request's. `None` outside a request.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::of(&Span::current())
            .or_else(|| crate::http::Context::current().map(|context| context.trace))
    }

    /// The context of `span`, if traces are exported: what it calls or sends is its child then.
    #[must_use]
    pub fn of(span: &Span) -> Option<Self> {
        traces::of_span(span)
    }

    /// Whether somebody upstream records this trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The trace's id as logs and collectors write it.
    #[must_use]
    pub fn trace_id_hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.trace_id))
    }
}

/// Whether this process exports traces. Where it does not, spans made for collectors alone need not be made.
#[must_use]
pub fn is_exported() -> bool {
    traces::is_exporting()
}

/// Makes `span` a child of `parent`, which may be in another process. To be called before anybody enters it.
pub fn adopt(span: &Span, parent: &TraceContext) {
    traces::adopt(span, parent);
}

/// Links `span` to what it owes its work to, without being its child.
pub fn link(span: &Span, to: &TraceContext) {
    traces::link(span, to);
}

/// Writes the order that the request in hand is about into its span, and so into its log lines.
pub fn about_order(id: impl fmt::Display) {
    if let Some(context) = crate::http::Context::current() {
        context.span.record("order_id", tracing::field::display(id));
    }
}

fn new_span_id() -> [u8; 8] {
    let mut id = [0; 8];
    // The first half of a version 4 UUID holds 60 random bits and a version, so it is never zero.
    id.copy_from_slice(&Uuid::new_v4().as_bytes()[..8]);
    id
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace_id = u128::from_be_bytes(self.trace_id);
        let span_id = u64::from_be_bytes(self.span_id);
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{:02x}", self.flags)
    }
}

/// The text is not a `traceparent`; W3C asks to start a new trace then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct NotATraceparent;

impl FromStr for TraceContext {
    type Err = NotATraceparent;

    fn from_str(text: &str) -> Result<Self, NotATraceparent> {
        let mut parts = text.split('-');
        let mut hex = |digits: usize| {
            let part = parts.next().ok_or(NotATraceparent)?;
            let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if part.len() != digits || !part.bytes().all(lower) {
                return Err(NotATraceparent);
            }
            u128::from_str_radix(part, 16).map_err(|_| NotATraceparent)
        };
        let (version, trace_id) = (hex(2)?, hex(32)?);
        let span_id = u64::try_from(hex(16)?).map_err(|_| NotATraceparent)?;
        let flags = u8::try_from(hex(2)?).map_err(|_| NotATraceparent)?;
        // Later versions may add fields behind ours; 00 may not, and ff is forbidden.
        let too_long = version == 0 && parts.next().is_some();
        if version == 0xff || too_long || trace_id == 0 || span_id == 0 {
            return Err(NotATraceparent);
        }
        Ok(Self {
            trace_id: trace_id.to_be_bytes(),
            span_id: span_id.to_be_bytes(),
            flags,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    #[test]
    fn a_traceparent_reads_and_writes_alike() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context: TraceContext = text.parse().expect("a traceparent");
        assert_eq!(context.to_string(), text);
        let child = context.child();
        assert_eq!(child.trace_id(), context.trace_id());
        assert_ne!(child.span_id(), context.span_id());
        assert!(
            TraceContext::root()
                .to_string()
                .parse::<TraceContext>()
                .is_ok()
        );
    }

    #[test]
    fn what_is_not_a_traceparent_is_refused() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(text.parse::<TraceContext>().is_err(), "{text}");
        }
    }
}
