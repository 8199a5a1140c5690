//! What a process has worked, as Linux counts it.

/// CPU time of a process and of its children that have ended, in ms; 0 where there is no `/proc`, and once it has ended.
pub(crate) fn cpu_ms(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may hold blanks: state, parent, … user and system time, own and of children, in ticks of 10 ms.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(4);
    times
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum::<u64>()
        * 10
}
