//! A process with its children: Postgres with its backends.

use super::cpu::cpu_ms;

/// CPU time of a process and of all its children, in ms.
pub(crate) fn family_cpu_ms(parent: u32) -> u64 {
    let of_children: u64 = children(parent).map(cpu_ms).sum();
    cpu_ms(parent) + of_children
}

fn children(parent: u32) -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.filter(move |&pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Behind the name: state, parent.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let its_parent = fields.split_whitespace().nth(1);
        its_parent.and_then(|pid| pid.parse().ok()) == Some(parent)
    })
}
