//! What the processes of a devnet log that matters: warnings and errors, and what an epoch came to.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// So much of a log is read at once; what a process writes beyond it in a slot is read in the next.
const READ_BYTES: u64 = 64 << 10;

/// A log that is followed.
pub(super) struct Follow {
    name: String,
    path: PathBuf,
    offset: u64,
    /// A line whose end was not written yet.
    rest: String,
}

impl Follow {
    pub(super) fn new(name: &str, path: &Path) -> Self {
        Follow {
            name: name.to_owned(),
            path: path.to_owned(),
            offset: 0,
            rest: String::new(),
        }
    }

    /// The lines that matter of what was written since the last time.
    pub(super) fn news(&mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.take(READ_BYTES).read_to_end(&mut bytes)
        });
        if read.is_err() {
            return Vec::new(); // not there yet
        }
        self.offset += bytes.len() as u64;
        self.rest += &String::from_utf8_lossy(&bytes);
        let Some(end) = self.rest.rfind('\n') else {
            return Vec::new();
        };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        let name = &self.name;
        whole
            .lines()
            .filter_map(matters)
            .map(|said| format!("{name}: {said}"))
            .collect()
    }
}

/// A log line without its time, if it is one to be shown.
fn matters(line: &str) -> Option<String> {
    let (_, said) = line.trim_start().split_once(' ')?;
    let (level, said) = said.trim_start().split_once(' ')?;
    let shown = match level {
        "ERROR" | "WARN" => true,
        "INFO" => said.trim_start().starts_with("epoch "),
        _ => false,
    };
    let clean = |text: &str| text.chars().filter(|letter| !letter.is_control()).collect::<String>();
    shown.then(|| {
        clean(
            line.trim_start()
                .split_once(' ')
                .map_or("", |(_, said)| said.trim_start()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_what_matters_is_told_and_only_once() {
        let path = std::env::temp_dir().join(format!("wren-follow-{}", std::process::id()));
        let mut file = File::create(&path).unwrap();
        let mut follow = Follow::new("node-0", &path);
        write!(
            file,
            "2026-01-01T00:00:00.0Z  INFO started\n2026-01-01T00:00:01.0Z  WARN late\nhalf"
        )
        .unwrap();
        assert_eq!(follow.news(), ["node-0: WARN late"]);
        assert!(follow.news().is_empty());
        write!(
            file,
            " a line\n2026-01-01T00:00:02.0Z  INFO epoch 3: all sent\u{1b}[2J\n"
        )
        .unwrap();
        assert_eq!(follow.news(), ["node-0: INFO epoch 3: all sent[2J"]);
        std::fs::remove_file(path).unwrap();
    }
}
