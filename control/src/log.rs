//! Logs to standard error: what happened at INFO, what an operator should look at at WARN.

use tracing_subscriber::EnvFilter;

/// Starts logging; `GOTTHARD_LOG` sets the level (`debug`, or by module: `gotthard_ike=trace,info`).
pub fn init() {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .with_env_var("GOTTHARD_LOG")
        .from_env_lossy();
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A second call (tests) keeps the first subscriber. journald has its own time stamps.
    let _ = if under_systemd { logs.without_time().try_init() } else { logs.try_init() };
}
