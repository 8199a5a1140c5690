//! What traces tell of a set of messages: the set's own span is linked to everybody who sent a message of it, and each
//! message that its sender records has a span in its sender's trace, so that one trace tells an order's whole way.

use std::fmt::Display;

use tracing::Span;

use crate::trace::{self, TraceContext};

/// The spans of a set's messages; all of them end with it. Where nobody looks there are none.
#[derive(Debug, Default)]
pub struct MessageSpans {
    messages: Vec<Option<Message>>,
}

#[derive(Debug)]
struct Message {
    span: Span,
    /// What the message's effects are children of.
    traceparent: String,
}

impl MessageSpans {
    /// Begins the spans of messages, which came with these contexts in this order. `does` is what is done with them. The
    /// current span is the set's.
    pub fn begin<'a>(does: &str, messages: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        if !trace::is_exported() {
            return Self::default();
        }
        let set = Span::current();
        let set_context = TraceContext::of(&set);
        let begin = |sender: Option<&str>| {
            let sender: TraceContext = sender?.parse().ok()?;
            trace::link(&set, &sender);
            if !sender.is_sampled() {
                return None;
            }
            let span = tracing::info_span!(
                parent: None,
                "message",
                otel.name = does,
                otel.kind = "consumer",
                order_id = tracing::field::Empty,
                subject = tracing::field::Empty,
                outcome = tracing::field::Empty,
            );
            trace::adopt(&span, &sender);
            if let Some(set_context) = &set_context {
                trace::link(&span, set_context);
            }
            let traceparent = TraceContext::of(&span)?.to_string();
            Some(Message { span, traceparent })
        };
        Self {
            messages: messages.into_iter().map(begin).collect(),
        }
    }

    /// What the effects of a message are children of: its own span. `None` if it has none; then its sender's context goes
    /// on.
    #[must_use]
    pub fn traceparent(&self, at: usize) -> Option<&str> {
        self.message(at).map(|message| message.traceparent.as_str())
    }

    /// Says what a message turned out to be: of which order, and which command or event.
    pub fn name(&self, at: usize, order_id: impl Display, subject: &str) {
        if let Some(Message { span, .. }) = self.message(at) {
            span.record("order_id", tracing::field::display(order_id));
            span.record("subject", subject);
        }
    }

    /// Ends the spans, with what became of each message.
    pub fn end<'a>(self, outcomes: impl IntoIterator<Item = &'a str>) {
        for (message, outcome) in self.messages.into_iter().zip(outcomes) {
            if let Some(Message { span, .. }) = message {
                span.record("outcome", outcome);
            }
        }
    }

    fn message(&self, at: usize) -> Option<&Message> {
        self.messages.get(at)?.as_ref()
    }
}
