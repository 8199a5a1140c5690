//! `AddPermission` and `RemovePermission`: kept in the queue's policy and given back. Nothing is enforced, as nobody's
//! credentials are looked at.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Nothing, respond};
use crate::{engine::settings::Settings, error::Error};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Permission {
    queue_url: Option<String>,
    label: Option<String>,
    #[serde(default, rename = "AWSAccountIds")]
    accounts: Vec<String>,
    #[serde(default)]
    actions: Vec<String>,
}

pub(super) async fn add(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Permission = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    let label = request
        .label
        .ok_or_else(|| Error::missing_parameter("Label"))?;
    if request.accounts.is_empty() {
        return Err(Error::missing_parameter("AWSAccountIds"));
    }
    if request.actions.is_empty() {
        return Err(Error::missing_parameter("Actions"));
    }
    let principals: Vec<_> = request
        .accounts
        .iter()
        .map(|account| format!("arn:aws:iam::{account}:root"))
        .collect();
    let actions: Vec<_> = request
        .actions
        .iter()
        .map(|action| format!("SQS:{action}"))
        .collect();
    let statement = json!({
        "Sid": label, "Effect": "Allow", "Principal": { "AWS": one_or_many(principals) },
        "Action": one_or_many(actions), "Resource": &*queue.arn,
    });
    let id = format!("{}/SQSDefaultPolicy", queue.arn);
    let change = |settings: &mut Settings| {
        let mut policy = policy_of(settings, &id);
        let statements = statements_of(&mut policy)?;
        if statements
            .iter()
            .any(|statement| statement["Sid"] == label.as_str())
        {
            return Err(Error::invalid_value(&label, "Label", "Already exists."));
        }
        statements.push(statement);
        settings.set_policy(&policy.to_string());
        Ok(())
    };
    queue.configure(|settings, _| change(settings)).await?;
    respond(&Nothing {})
}

pub(super) async fn remove(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Permission = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    let label = request
        .label
        .ok_or_else(|| Error::missing_parameter("Label"))?;
    let change = |settings: &mut Settings| {
        let mut policy = policy_of(settings, "");
        let statements = statements_of(&mut policy)?;
        let before = statements.len();
        statements.retain(|statement| statement["Sid"] != label.as_str());
        if statements.len() == before {
            return Err(Error::invalid_value(&label, "Label", "can't find label."));
        }
        let text = if statements.is_empty() {
            String::new()
        } else {
            policy.to_string()
        };
        settings.set_policy(&text);
        Ok(())
    };
    queue.configure(|settings, _| change(settings)).await?;
    respond(&Nothing {})
}

fn one_or_many(mut values: Vec<String>) -> Value {
    if values.len() == 1 {
        json!(values.remove(0))
    } else {
        json!(values)
    }
}

fn policy_of(settings: &Settings, id: &str) -> Value {
    settings
        .policy()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_else(|| json!({ "Version": "2008-10-17", "Id": id, "Statement": [] }))
}

fn statements_of(policy: &mut Value) -> Result<&mut Vec<Value>, Error> {
    policy
        .get_mut("Statement")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| {
            Error::unsupported("The queue's policy has no list of statements to change.")
        })
}
