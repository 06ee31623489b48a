//! The ports that node and client listen on: free, or held by them.

use super::{Args, Line, bad, ok};
use crate::machine;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A port that something of ours wants.
struct Wanted {
    option: &'static str,
    port: u16,
    udp: bool,
    /// The command that listens there.
    command: &'static str,
}

pub(super) fn check(args: &Args) -> Vec<Line> {
    let wanted = |option, port, udp, command| Wanted {
        option,
        port,
        udp,
        command,
    };
    let for_peers = if args.alone {
        [0, 0]
    } else {
        [args.port, args.quic_port]
    };
    let all = [
        wanted("--http-port", args.http_port, false, "node"),
        wanted("--port", for_peers[0], false, "node"),
        wanted("--port", for_peers[0], true, "node"),
        wanted("--quic-port", for_peers[1], true, "node"),
        wanted("--metrics-port", args.node_metrics_port, false, "node"),
        wanted("--metrics-port", args.client_metrics_port, false, "validator"),
        // Where none is demanded, the client takes a free one.
        wanted(
            "--keymanager-port",
            args.keymanager_port.unwrap_or(0),
            false,
            "validator",
        ),
    ];
    let taken: Vec<Line> = all
        .iter()
        // 0 is none, or whichever is free.
        .filter(|wanted| wanted.port != 0 && !is_free(wanted))
        .filter_map(|wanted| judge(wanted, is_ours(wanted)))
        .collect();
    if taken.is_empty() {
        vec![ok("ports", "free, or held by the running node and client")]
    } else {
        taken
    }
}

fn is_ours(wanted: &Wanted) -> bool {
    machine::holds_port(wanted.command, wanted.port, wanted.udp)
}

fn is_free(wanted: &Wanted) -> bool {
    let address = (Ipv4Addr::LOCALHOST, wanted.port);
    if wanted.udp {
        UdpSocket::bind(address).is_ok()
    } else {
        TcpListener::bind(address).is_ok()
    }
}

/// A taken port; nothing to say where ours has it.
fn judge(wanted: &Wanted, ours: bool) -> Option<Line> {
    if ours {
        return None;
    }
    let Wanted {
        option,
        port,
        udp,
        command,
    } = wanted;
    let (kind, flags) = if *udp { ("UDP", "-lunp") } else { ("TCP", "-ltnp") };
    Some(bad(
        "ports",
        format!(
            "{port} ({kind}) is held by another program, and `wren {command}` wants it: `ss {flags}` shows which; end it, \
             or choose another port by {option}"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_another_program_is_told() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let wanted = Wanted {
            option: "--http-port",
            port,
            udp: false,
            command: "node",
        };
        assert!(!is_free(&wanted));
        let line = judge(&wanted, false).unwrap();
        assert!(
            line.text.contains(&port.to_string()) && line.text.contains("--http-port"),
            "{line}"
        );
        assert_eq!(judge(&wanted, true), None);
        drop(listener);
        assert!(is_free(&wanted));
    }
}
