//! The message that reminds a worker of an upload.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Version of the shape.
const VERSION: u32 = 1;

/// An upload to be checked and rendered. It says only which: what is to be done is in the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Task {
    v: u32,
    pub(super) image_id: Uuid,
}

impl Task {
    pub(super) const fn new(image_id: Uuid) -> Self {
        Self {
            v: VERSION,
            image_id,
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// In words, for whoever looks at it among the dead letters.
    pub(super) fn read(body: &str) -> Result<Self, String> {
        let task: Self = serde_json::from_str(body).map_err(|error| error.to_string())?;
        if task.v == VERSION {
            Ok(task)
        } else {
            Err(format!("version {} is not known", task.v))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Task;

    #[test]
    fn a_message_of_each_version_is_read_and_others_are_not() {
        let first = r#"{"v":1,"image_id":"83da7b84-a1ef-80a2-a6a4-f82d31aa9bb5"}"#;
        let task = Task::read(first).expect("a task");
        assert_eq!(serde_json::to_string(&task).expect("JSON"), first);
        for body in ["", "{}", &first.replace("\"v\":1", "\"v\":2"), "<svg/>"] {
            Task::read(body).expect_err(body);
        }
    }
}
