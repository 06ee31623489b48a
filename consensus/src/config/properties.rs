//! Properties over random configs and damaged files: what is written reads back, and nothing panics.

use super::yaml::parse;
use super::*;

/// A small generator (splitmix64): the runs must be the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d049bb133111eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Text that YAML readers find hard.
    fn text(&mut self) -> String {
        const PIECES: [&str; 24] = [
            "a",
            "Z9",
            "0x00",
            "-",
            ":",
            ": ",
            " ",
            "#",
            " #",
            "'",
            "\"",
            "\\",
            "\n",
            "\t",
            "é",
            "\u{1F600}",
            "\u{feff}",
            "*",
            "&",
            "[",
            "}",
            "|",
            "~",
            "\u{85}",
        ];
        (0..self.below(6)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    fn yaml(&mut self, depth: usize) -> Yaml {
        match self.below(if depth == 0 { 1 } else { 4 }) {
            1 => Yaml::List((0..self.below(4)).map(|_| self.yaml(depth - 1)).collect()),
            2 => {
                let keys: BTreeSet<String> = (0..self.below(4)).map(|_| self.text()).collect();
                Yaml::Map(keys.into_iter().map(|key| (key, self.yaml(depth - 1))).collect())
            }
            _ => Yaml::Text(self.text()),
        }
    }

    /// A config whose fields have random values, as far as each is allowed beside the others.
    fn config(&mut self) -> Config {
        let mut config = Config::standard();
        for name in Config::NAMES {
            let value = match self.below(4) {
                0 => Yaml::Text((self.next() >> self.below(64)).to_string()),
                1 => Yaml::Text(self.below(200).to_string()),
                2 => Yaml::Text(format!("0x{:08x}", self.next() as u32)),
                _ => Yaml::Text(format!(
                    "0x{:08x}{:032x}",
                    self.next() as u32,
                    u128::from(self.next()) << 64
                )),
            };
            let mut changed = config.clone();
            if changed.set(name, &value).is_ok() && changed.check().is_ok() {
                config = changed;
            }
        }
        let mut keys: BTreeSet<String> = (0..self.below(8)).map(|_| self.text()).collect();
        keys.retain(|key| !key.is_ascii() || !Config::NAMES.contains(&key.as_str()));
        config.other = keys.into_iter().map(|key| (key, self.yaml(5))).collect();
        config
    }
}

#[test]
fn random_configs_come_back() {
    let mut random = Random(1);
    let mut changed = 0;
    for _ in 0..150 {
        let config = random.config();
        changed += usize::from(config.attestation_due_bps != Config::standard().attestation_due_bps);
        let text = config.to_yaml();
        let parsed = Config::from_yaml(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
        assert_eq!(parsed.config, config, "{text}");
        assert_eq!(parsed.missing, [""; 0]);
        assert_eq!(parsed.config.to_yaml(), text);
    }
    assert!(changed > 25, "only {changed} of 150 configs were changed");
}

#[test]
fn damaged_files_never_panic() {
    const SPLICES: [&str; 16] = [
        "\n", " ", "\t", ":", "- ", "? ", "[", "{", "]", "}", "\"", "*a", "&a ", "|\n", "---\n", "\u{0}",
    ];
    let mut random = Random(2);
    let (mut read, mut refused) = (0, 0);
    for round in 0..1000 {
        let config = if round % 20 == 0 {
            random.config()
        } else {
            Config::standard()
        };
        let mut bytes = config.to_yaml().into_bytes();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() + 1).min(bytes.len().saturating_sub(1));
            if bytes.is_empty() {
                break;
            }
            match random.below(5) {
                0 => bytes[at] = random.next() as u8,
                1 => bytes[at] ^= 1 << random.below(8),
                2 => drop(bytes.drain(at..(at + random.below(80)).min(bytes.len()))),
                3 => drop(bytes.splice(at..at, SPLICES[random.below(SPLICES.len())].bytes())),
                _ => bytes.truncate(at),
            }
        }
        match Config::from_yaml(&String::from_utf8_lossy(&bytes)) {
            Ok(parsed) => {
                read += 1;
                let again = Config::from_yaml(&parsed.config.to_yaml()).unwrap();
                assert_eq!(again.config, parsed.config);
            }
            Err(ConfigError(message)) => {
                refused += 1;
                assert!(message.len() < 2000, "{message}");
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}

#[test]
fn arbitrary_text_never_panics() {
    let mut random = Random(3);
    for _ in 0..3000 {
        let text: String = (0..random.below(30)).map(|_| random.text()).collect();
        let _ = parse(&text);
    }
}
