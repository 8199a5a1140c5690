//! Each message is decoded alone; what cannot be is parked.

use steelyard_domain::command::{Command, CommandMessage};
use steelyard_queue::Outcome;

use super::board::Board;
use crate::plan::{Asked, check};

/// Decodes a set; parks what is not an order command in its customer's group, or names an order
/// that is not its customer's by `issuer`, if we know who issues.
pub(super) fn all<'a>(issuer: Option<&str>, board: &mut Board<'a>) -> Vec<Asked<'a>> {
    let deliveries = board.deliveries();
    let mut asked = Vec::with_capacity(deliveries.len());
    for (at, delivery) in deliveries.iter().enumerate() {
        let group_id = delivery.group_id.as_deref();
        match read(&delivery.body, group_id, issuer) {
            Ok(message) => {
                let command = message.command.kind().as_str();
                board.spans().name(at, message.order_id, command);
                asked.push(Asked {
                    at,
                    message,
                    body: &delivery.body,
                    traceparent: board.traceparent(at),
                });
            }
            Err(reason) => board.put(at, Outcome::park(reason)),
        }
    }
    asked
}

/// Decodes messages again that could be decoded before.
pub(super) fn again<'a>(board: &Board<'a>, at: &[usize]) -> Vec<Asked<'a>> {
    let asked = at.iter().filter_map(|&at| {
        let delivery = board.delivery(at);
        Some(Asked {
            at,
            message: decode(&delivery.body, delivery.group_id.as_deref()).ok()?,
            body: &delivery.body,
            traceparent: board.traceparent(at),
        })
    });
    asked.collect()
}

/// Reads one message of a group, all of it that a worker looks at; says why it cannot.
pub(crate) fn read(
    body: &str,
    group_id: Option<&str>,
    issuer: Option<&str>,
) -> Result<CommandMessage, String> {
    decode(body, group_id).and_then(|message| of_issuer(message, issuer))
}

fn decode(body: &str, group_id: Option<&str>) -> Result<CommandMessage, String> {
    let message = CommandMessage::decode(body).map_err(|error| error.to_string())?;
    // SQS orders by group: in another group, it could overtake its customer's other commands.
    let group = message.customer_id.message_group_id();
    if group_id != Some(&group) {
        let found = group_id.unwrap_or("none");
        return Err(format!(
            "its group is {found:?}, its customer's is {group:?}"
        ));
    }
    if let Command::Place(place) = &message.command {
        check(place).map_err(|fault| format!("not an order that the gateway takes: {fault}"))?;
    }
    Ok(message)
}

/// An order under a made-up id would be a second one beside that which the customer's retry finds
/// (P2), or take the id of somebody else's future order.
fn of_issuer(message: CommandMessage, issuer: Option<&str>) -> Result<CommandMessage, String> {
    match issuer {
        Some(issuer) if !message.is_order_of(issuer) => Err(format!(
            "order {} is not what {issuer}'s customer gets under this key",
            message.order_id
        )),
        _ => Ok(message),
    }
}
