//! How a devnet is shown: one screen that changes on a terminal, a line for every slot otherwise.

use super::look::{Notes, Seen};
use consensus::preset::SLOTS_PER_EPOCH;
use rustix::termios::tcgetwinsize;
use std::io::{IsTerminal, Write, stdout};

/// What is shown of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) name: String,
    /// What it is there for: an address, or the number of its validators.
    pub(super) what: String,
    pub(super) running: bool,
    /// In bytes.
    pub(super) memory: Option<u64>,
    /// Of a node that answers.
    pub(super) seen: Option<Seen>,
    /// Blocks of a client's validators, and those that should have been.
    pub(super) proposed: u64,
}

/// All that is shown.
#[derive(Debug, Default)]
pub(super) struct View {
    /// What is to be expected, from the start on.
    pub(super) promise: String,
    pub(super) slot: u64,
    /// Seconds until genesis, before it.
    pub(super) until_genesis: u64,
    pub(super) nodes: Vec<Row>,
    pub(super) clients: Vec<Row>,
    /// The epoch it is of, who voted, and how many could.
    pub(super) participation: Option<(u64, usize, usize)>,
    pub(super) proposed: u64,
    pub(super) missed: u64,
    pub(super) notes: Notes,
}

impl View {
    /// The node that is farthest: what the chain has come to.
    pub(super) fn best(&self) -> Option<&Seen> {
        let seen = self.nodes.iter().filter_map(|row| row.seen.as_ref());
        seen.max_by_key(|seen| (seen.finalized, seen.justified, seen.head))
    }

    fn participation(&self) -> String {
        match self.participation {
            Some((_, live, all)) if all > 0 => format!("{} %", live * 100 / all),
            _ => "-".into(),
        }
    }

    /// The line of a slot.
    pub(super) fn line(&self) -> String {
        let slot = format!("slot {:4}  epoch {:3}", self.slot, self.slot / SLOTS_PER_EPOCH);
        let Some(seen) = self.best() else {
            return slot + "  no node answers";
        };
        let Seen {
            head,
            justified,
            finalized,
            ..
        } = seen;
        let mut parts = vec![
            slot,
            format!("head {head:4}"),
            format!("justified {justified:3}"),
            format!("finalized {finalized:3}"),
            format!("participation {:>5}", self.participation()),
            format!("proposals {}, missed {}", self.proposed, self.missed),
        ];
        if self.nodes.len() > 1 {
            let told = |row: &Row| row.seen.as_ref().map_or("-".into(), |seen| seen.head.to_string());
            let heads: Vec<String> = self.nodes.iter().map(told).collect();
            let peers = self.nodes.iter().filter_map(|row| row.seen.as_ref()?.peers).min();
            parts.push(format!("heads {}", heads.join(" ")));
            parts.push(format!("peers {}", peers.unwrap_or(0)));
        }
        let memory: u64 = self
            .nodes
            .iter()
            .chain(&self.clients)
            .filter_map(|row| row.memory)
            .sum();
        parts.push(format!("memory {}", megabytes(Some(memory))));
        parts.join("  ")
    }

    /// The screen of so many lines.
    pub(super) fn screen(&self, height: usize) -> Vec<String> {
        let mut lines = vec![
            format!("Wren devnet    {}    Ctrl-C stops it", crate::VERSION.as_str()),
            self.promise.clone(),
            String::new(),
        ];
        if self.until_genesis > 0 {
            lines.push(format!("genesis in {} s", self.until_genesis));
        } else {
            let (epoch, place) = (self.slot / SLOTS_PER_EPOCH, self.slot % SLOTS_PER_EPOCH + 1);
            let slot = format!("slot {}    epoch {epoch} ({place} of {SLOTS_PER_EPOCH})", self.slot);
            let told = self
                .best()
                .map(|seen| format!("justified {}    finalized {}", seen.justified, seen.finalized));
            lines.push(format!(
                "{slot}    {}",
                told.unwrap_or_else(|| "no node answers".into())
            ));
        }
        let of = self.participation.map_or(String::new(), |(epoch, live, all)| {
            format!(" in epoch {epoch} ({live} of {all} validators)")
        });
        let (proposed, missed) = (self.proposed, self.missed);
        lines.push(format!(
            "participation {}{of}    proposals {proposed}, missed {missed}",
            self.participation()
        ));
        lines.push(String::new());
        lines.push("              head  justified  finalized  peers    memory".into());
        lines.extend(self.nodes.iter().map(node_line));
        lines.push(String::new());
        lines.push("        validators     blocks                      memory".into());
        lines.extend(self.clients.iter().map(client_line));
        lines.push(String::new());
        let room = height.saturating_sub(lines.len() + 1);
        lines.extend(self.notes.last(room).cloned());
        lines
    }
}

fn node_line(row: &Row) -> String {
    let memory = megabytes(row.memory);
    match &row.seen {
        Some(seen) => {
            let peers = seen.peers.map_or("-".into(), |peers| peers.to_string());
            let Seen {
                head,
                justified,
                finalized,
                ..
            } = seen;
            let name = &row.name;
            format!(
                "{name:10} {head:7} {justified:10} {finalized:10} {peers:>6} {memory:>9}   {}",
                row.what
            )
        }
        None => format!("{:10} does not answer {memory:>30}   {}", row.name, row.what),
    }
}

fn client_line(row: &Row) -> String {
    let Row {
        name, what, proposed, ..
    } = row;
    let state = if row.running { "" } else { "   offline" };
    format!("{name:10} {what:>7} {proposed:10} {:>27}{state}", megabytes(row.memory))
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or("-".into(), |bytes| format!("{} MB", bytes / 1_000_000))
}

/// Where the view goes. On a terminal it has the screen to itself, which is given back when this goes away, however the
/// devnet ends.
pub(super) struct Output {
    terminal: bool,
}

impl Output {
    pub(super) fn new(plain: bool) -> Self {
        let terminal = !plain && stdout().is_terminal();
        if terminal {
            // The other screen, and no cursor on it.
            write("\x1b[?1049h\x1b[?25l");
        }
        Output { terminal }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Shows the whole view on a terminal; nothing elsewhere.
    pub(super) fn draw(&self, view: &View) {
        if !self.terminal {
            return;
        }
        let size = tcgetwinsize(stdout()).ok();
        // A terminal that does not tell its size, or tells none, is taken for the smallest usual one.
        let size = size.map(|size| (size.ws_row as usize, size.ws_col as usize));
        let (height, width) = size
            .filter(|(height, width)| *height > 0 && *width > 0)
            .unwrap_or((24, 80));
        let mut text = String::from("\x1b[H");
        for line in view.screen(height).iter().take(height.saturating_sub(1)) {
            text.extend(line.chars().take(width));
            text += "\x1b[K\r\n";
        }
        text += "\x1b[J";
        write(&text);
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.terminal {
            write("\x1b[?25h\x1b[?1049l");
        }
    }
}

/// Whoever does not look any more need not be told.
fn write(text: &str) {
    let mut out = stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let seen = |head| {
            Some(Seen {
                head,
                justified: 3,
                finalized: 2,
                peers: Some(1),
            })
        };
        let row = |name: &str, what: &str, seen| Row {
            name: name.into(),
            what: what.into(),
            running: true,
            memory: Some(50_000_000),
            seen,
            proposed: 7,
        };
        let mut view = View {
            promise: "Epoch 2 is final soon.".into(),
            slot: 4 * SLOTS_PER_EPOCH + 1,
            nodes: vec![row("node-0", "http://a", seen(30)), row("node-1", "http://b", None)],
            clients: vec![row("client-0", "32", None)],
            participation: Some((3, 60, 64)),
            proposed: 29,
            missed: 1,
            ..View::default()
        };
        for number in 0..50 {
            view.notes.push(format!("note {number}"));
        }
        view
    }

    #[test]
    fn a_line_tells_what_the_chain_has_come_to() {
        let line = view().line();
        for part in [
            "epoch   4",
            "head   30",
            "finalized   2",
            "93 %",
            "29, missed 1",
            "heads 30 -",
            "150 MB",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        let silent = View::default().line();
        assert!(silent.contains("no node answers"), "{silent}");
    }

    #[test]
    fn the_screen_keeps_to_its_height_and_shows_the_newest_notes() {
        let view = view();
        let lines = view.screen(24);
        assert!(lines.len() <= 23, "{} lines", lines.len());
        assert_eq!(lines.last().unwrap(), "note 49");
        assert!(
            lines
                .iter()
                .any(|line| line.contains("node-1") && line.contains("does not answer"))
        );
        assert!(view.screen(5).len() < 20, "without room there are no notes");
        let waiting = View {
            until_genesis: 7,
            ..View::default()
        };
        assert!(waiting.screen(24).iter().any(|line| line == "genesis in 7 s"));
    }
}
