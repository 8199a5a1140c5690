//! Which letters are meant.

use serde::{Deserialize, Deserializer, Serialize};
use steelyard_domain::command::{CommandKind, CommandMessage};
use steelyard_domain::object::Object;
use steelyard_queue::Letter;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::view::parked_at;

/// What letters have to have; all of it. Nothing is asked for when it is empty.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Words in the reason, whatever their case.
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// What the command asks for: `order.place`, … Letters that cannot be read have none.
    #[serde(default, rename = "type")]
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub(super) kind: Option<CommandKind>,
    /// Whose; letters that cannot be read go by their group.
    #[serde(default)]
    pub(super) customer_id: Option<String>,
    /// Parked then or later (RFC 3339).
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(format = DateTime, value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub(super) parked_from: Option<OffsetDateTime>,
    /// Parked before that (RFC 3339).
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(format = DateTime, value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub(super) parked_to: Option<OffsetDateTime>,
}

/// Reads a filter from an object, and not from a list of its values.
pub(super) fn given<'de, D: Deserializer<'de>>(given: D) -> Result<Option<Filter>, D::Error> {
    let given: Option<Object<Filter>> = Deserialize::deserialize(given)?;
    Ok(given.map(|Object(filter)| filter))
}

impl Filter {
    pub(super) fn takes(&self, letter: &Letter) -> bool {
        if let Some(words) = &self.reason {
            let reason = letter.parked().map(|parked| parked.reason.to_lowercase());
            if !reason.is_some_and(|reason| reason.contains(&words.to_lowercase())) {
                return false;
            }
        }
        let parked_at = parked_at(letter);
        let in_time = self
            .parked_from
            .is_none_or(|from| parked_at.is_some_and(|at| at >= from))
            && self
                .parked_to
                .is_none_or(|to| parked_at.is_some_and(|at| at < to));
        in_time && self.takes_command(letter)
    }

    fn takes_command(&self, letter: &Letter) -> bool {
        if self.kind.is_none() && self.customer_id.is_none() {
            return true;
        }
        let command = CommandMessage::decode(&letter.received().body).ok();
        if let Some(kind) = self.kind
            && command.as_ref().map(|message| message.command.kind()) != Some(kind)
        {
            return false;
        }
        match (&self.customer_id, &command) {
            (None, _) => true,
            (Some(customer), Some(message)) => message.customer_id.as_str() == customer,
            (Some(customer), None) => letter.received().group_id.as_ref() == Some(customer),
        }
    }
}
