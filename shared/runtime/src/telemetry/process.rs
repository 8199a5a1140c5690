//! What the process itself uses.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};

/// Writes the process's figures: `process_cpu_ms_total`, `process_resident_peak_bytes`.
pub(super) fn measure() {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return;
    };
    let ms = |time: TimeVal| u64::try_from(time.num_milliseconds()).unwrap_or(0);
    let cpu_ms = ms(usage.user_time()) + ms(usage.system_time());
    metrics::counter!("process_cpu_ms_total").absolute(cpu_ms);
    // Linux tells KiB, macOS bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1_024 };
    let peak_bytes = u64::try_from(usage.max_rss()).unwrap_or(0) * unit;
    // A gauge is a float; memory below eight petabytes fits one exactly.
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 bytes")]
    metrics::gauge!("process_resident_peak_bytes").set(peak_bytes as f64);
}
