//! The clock against a time server, by one question of SNTP (RFC 4330).

use super::{Line, bad, note, ok};
use std::time::Duration;
use tokio::net::{UdpSocket, lookup_host};

const NAME: &str = "clock";
/// Name, question and answer; who has none is told so.
const WITHIN: Duration = Duration::from_secs(4);
/// Attestations are due a third into a slot, and a clock that far off costs some of them their place.
const OFF_MS: i64 = 500;
/// Seconds from 1900, which NTP counts from, to 1970.
const EPOCH: u64 = 2_208_988_800;

pub(crate) async fn check(server: &str) -> Line {
    match tokio::time::timeout(WITHIN, offset(server)).await {
        Ok(Ok(offset)) => judge(offset),
        Ok(Err(why)) => unknown(server, &why),
        Err(_) => unknown(server, "no answer"),
    }
}

/// Without a server's word: whether something keeps the clock.
fn unknown(server: &str, why: &str) -> Line {
    let kept = [
        ("/run/systemd/timesync/synchronized", "systemd-timesyncd"),
        ("/run/chrony/chronyd.pid", "chrony"),
        ("/run/ntpd.pid", "ntpd"),
    ];
    match kept.iter().find(|(file, _)| std::path::Path::new(file).exists()) {
        Some((_, keeper)) => ok(NAME, format!("kept by {keeper} ({server}: {why})")),
        None => note(
            NAME,
            format!(
                "not checked: {server}: {why}. Something should keep it: `timedatectl set-ntp true`, or install chrony"
            ),
        ),
    }
}

fn judge(offset: i64) -> Line {
    let seconds = offset.unsigned_abs() as f64 / 1000.0;
    let direction = if offset > 0 { "behind" } else { "ahead" };
    if offset.abs() <= OFF_MS {
        return ok(NAME, format!("{seconds:.3} s {direction}"));
    }
    bad(
        NAME,
        format!("{seconds:.1} s {direction}: set it and have it kept, `timedatectl set-ntp true` or chrony"),
    )
}

/// By how many milliseconds this clock is behind the server's.
async fn offset(server: &str) -> Result<i64, String> {
    let server = if server.contains(':') {
        server.to_owned()
    } else {
        format!("{server}:123")
    };
    let text = |error: std::io::Error| error.to_string();
    let address = lookup_host(&server).await.map_err(text)?.next().ok_or("no such host")?;
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(text)?;
    socket.connect(address).await.map_err(text)?;
    let mut question = [0_u8; 48];
    question[0] = 0x23; // version 4, client
    let sent = crate::words::now_ms();
    let stamp = to_ntp(sent);
    question[40..].copy_from_slice(&stamp);
    socket.send(&question).await.map_err(text)?;
    let mut answer = [0_u8; 48];
    let length = socket.recv(&mut answer).await.map_err(text)?;
    let received = crate::words::now_ms();
    // An answer: from a server that has the time, to this question.
    if length < 48 || answer[0] & 7 != 4 || answer[1] == 0 || answer[24..32] != stamp {
        return Err("its answer is not to the question".into());
    }
    let (there, back) = (from_ntp(&answer[32..40]), from_ntp(&answer[40..48]));
    let difference = |a: u64, b: u64| a.cast_signed().saturating_sub(b.cast_signed());
    Ok(difference(there, sent).saturating_add(difference(back, received)) / 2)
}

/// Milliseconds since 1970 as NTP writes them: seconds since 1900 and a fraction, 32 bits each.
fn to_ntp(ms: u64) -> [u8; 8] {
    let seconds = (ms / 1000 + EPOCH) & 0xffff_ffff;
    let fraction = ((ms % 1000) << 32) / 1000;
    (seconds << 32 | fraction).to_be_bytes()
}

fn from_ntp(bytes: &[u8]) -> u64 {
    let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let (mut seconds, fraction) = (number >> 32, number & 0xffff_ffff);
    // In 2036 the seconds begin anew.
    if seconds < EPOCH {
        seconds += 1 << 32;
    }
    (seconds - EPOCH) * 1000 + ((fraction * 1000) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Mark;

    /// A server whose clock is ahead by so much.
    async fn server(ahead: i64) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let mut question = [0; 48];
            let (_, from) = socket.recv_from(&mut question).await.unwrap();
            let now = to_ntp(crate::words::now_ms().checked_add_signed(ahead).unwrap());
            let mut answer = [0; 48];
            (answer[0], answer[1]) = (0x24, 2);
            answer[24..32].copy_from_slice(&question[40..]);
            answer[32..40].copy_from_slice(&now);
            answer[40..].copy_from_slice(&now);
            socket.send_to(&answer, from).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn a_wrong_clock_is_told() {
        // A busy machine may answer late, but not by seconds in one direction only.
        let behind = check(&server(90_000).await).await;
        assert_eq!(behind.mark, Mark::Bad);
        assert!(behind.text.contains("s behind"), "{behind}");
        let ahead = check(&server(-90_000).await).await;
        assert!(ahead.mark == Mark::Bad && ahead.text.contains("s ahead"), "{ahead}");
        assert_eq!(judge(-200).mark, Mark::Ok);
    }

    #[test]
    fn moments_keep_through_the_format() {
        for ms in [1_700_000_000_123, 2_085_978_496_000, 2_100_000_000_999] {
            assert!(from_ntp(&to_ntp(ms)).abs_diff(ms) <= 1, "{ms}");
        }
    }
}
