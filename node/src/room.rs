//! Room on the disk, asked for once a slot: the node warns when columns are no longer kept, and stops in good order before
//! the disk is full, so that a restart after room was made needs no repair.

use crate::clock::Clock;
use crate::stop::Stop;
use std::time::Duration;
use storage::{Room, Storage};

/// Looks at the room of a database's disk until the node stops, or stops it.
pub(crate) async fn watch(storage: Storage, clock: Clock, stop: Stop) {
    let slot = Duration::from_millis(clock.slots().slot_duration_ms.max(1));
    let mut last = Room::Enough;
    loop {
        let asked = storage.clone();
        // A system call, but of a disk that may be slow to answer.
        let room = tokio::task::spawn_blocking(move || asked.room()).await;
        match room {
            Ok(Ok(room)) => {
                if let Some(why) = tell(last, room, &storage) {
                    stop.fail(why);
                    return;
                }
                last = room;
            }
            Ok(Err(error)) => tracing::warn!("{error}"),
            // The runtime ends.
            Err(_) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(slot) => {}
            () = stop.stopped() => return,
        }
    }
}

/// Tells of a change; returns why the node has to stop, if it has to.
fn tell(before: Room, now: Room, storage: &Storage) -> Option<String> {
    let dir = storage.dir().display();
    match now {
        Room::Stop => Some(format!(
            "the disk of {dir} is nearly full: make room until {} MB are free, more is better, and start again; no repair \
             is needed",
            storage.disk_limits().stop_below.div_ceil(1_000_000)
        )),
        Room::Short if before == Room::Enough => {
            tracing::warn!(
                "room on the disk of {dir} is short: no columns and no old blocks are kept until there is more"
            );
            None
        }
        Room::Enough if before == Room::Short => {
            tracing::info!("there is room on the disk of {dir} again");
            None
        }
        Room::Enough | Room::Short => None,
    }
}
