//! How a process ends.

use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use steelyard_runtime::contract::{Needs, Ports, Service};
use steelyard_runtime::task_main;

/// Far longer than it takes, and far shorter than what is left behind.
const END_MAX: Duration = Duration::from_secs(60);
const TASK: Service = Service {
    name: "stop-test",
    ports: Ports { api: 0, admin: 0 },
    read: |_| (),
    needs: Needs::default,
};

#[test]
fn work_that_is_left_behind_on_a_thread_holds_up_no_end() {
    let (told, heard) = mpsc::channel();
    let (hold, held) = mpsc::channel::<()>();
    thread::spawn(move || {
        let code = task_main(&TASK, None, async |_| {
            let (begun, has_begun) = tokio::sync::oneshot::channel();
            tokio::task::spawn_blocking(move || {
                let _ = begun.send(());
                held.recv()
            });
            has_begun.await?;
            Ok(())
        });
        told.send(code)
    });
    let code = heard.recv_timeout(END_MAX).expect("it ends");
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
    drop(hold);
}
