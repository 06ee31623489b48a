//! Where discovery begins: boot nodes that are built in, and those that the operator names.

use super::enr::Enr;
use anyhow::{Context as _, Result, anyhow, bail};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// A list of boot nodes is a few kilobytes; a file beyond this is none.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Boot nodes in all: more do not find more, and each is asked at start.
const NODES_MAX: usize = 256;

/// The file of a network's folder.
pub const FILE_NAME: &str = "bootstrap_nodes.yaml";

/// The lists of the public networks as their maintainers publish them, a record a line.
const BUILT_IN: [(&str, &str); 3] = [
    ("mainnet", include_str!("bootnodes/mainnet.txt")),
    ("sepolia", include_str!("bootnodes/sepolia.txt")),
    ("hoodi", include_str!("bootnodes/hoodi.txt")),
];

/// The boot nodes of a public network; none for others.
pub fn built_in(network: &str) -> Result<Vec<Enr>> {
    match BUILT_IN.iter().find(|(name, _)| *name == network) {
        Some((name, list)) => parse_list(list, &format!("the built-in list of {name}")),
        None => Ok(Vec::new()),
    }
}

/// The boot nodes of a network's folder; none without the file.
pub fn of_folder(folder: &Path) -> Result<Vec<Enr>> {
    let path = folder.join(FILE_NAME);
    if path.exists() { of_file(&path) } else { Ok(Vec::new()) }
}

/// What `--bootnodes` says, once or repeated: node records with commas between, files of them, or folders with
/// `bootstrap_nodes.yaml`. An error names the entry.
pub fn of_operator(values: &[String]) -> Result<Vec<Enr>> {
    let mut nodes = Vec::new();
    for entry in values.iter().flat_map(|value| value.split(',')).map(str::trim) {
        if entry.is_empty() {
            continue;
        }
        if entry.starts_with("enr:") {
            nodes.push(parse(entry).with_context(|| format!("--bootnodes {}", shown(entry)))?);
            continue;
        }
        let path = Path::new(entry);
        let path = if path.is_dir() {
            path.join(FILE_NAME)
        } else {
            path.to_path_buf()
        };
        if !path.exists() {
            bail!(
                "--bootnodes {}: it is neither a node record (enr:…) nor a file that is there",
                shown(entry)
            );
        }
        nodes.extend(of_file(&path)?);
    }
    Ok(limited(nodes))
}

fn of_file(path: &Path) -> Result<Vec<Enr>> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        bail!(
            "{} is no list of boot nodes: it is longer than a megabyte",
            path.display()
        );
    }
    parse_list(&text, &path.display().to_string())
}

/// Reads a list: a record a line, plain or as an item of YAML (`- enr:…`), in quotes or not; `#` begins a comment. `place`
/// stands in errors.
fn parse_list(text: &str, place: &str) -> Result<Vec<Enr>> {
    let mut nodes = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let entry = line.split('#').next().unwrap_or("").trim();
        let entry = entry.strip_prefix("- ").unwrap_or(entry);
        let entry = entry.trim().trim_matches(['"', '\'']);
        if entry.is_empty() || entry == "---" || entry == "[]" {
            continue;
        }
        nodes.push(parse(entry).with_context(|| format!("{place}, line {number}: {}", shown(entry)))?);
    }
    Ok(limited(nodes))
}

fn parse(entry: &str) -> Result<Enr> {
    if !entry.starts_with("enr:") {
        bail!("it is no node record: those begin with enr:");
    }
    entry
        .parse()
        .map_err(|error: String| anyhow!("it is no valid node record: {error}"))
}

/// The beginning of an entry, enough to find it.
fn shown(entry: &str) -> String {
    let mut start: String = entry.chars().take(40).collect();
    if start.len() < entry.len() {
        start.push('…');
    }
    start
}

/// Each node once, by its newest record, and no more than there is use for.
fn limited(nodes: Vec<Enr>) -> Vec<Enr> {
    let mut all: Vec<Enr> = Vec::new();
    for node in nodes {
        if let Some(known) = all.iter_mut().find(|known| known.node_id() == node.node_id()) {
            if known.seq() < node.seq() {
                *known = node;
            }
        } else if all.len() < NODES_MAX {
            all.push(node);
        } else {
            tracing::warn!("only the first {NODES_MAX} boot nodes are used");
            break;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scratch, real_text};

    #[test]
    fn every_public_network_has_boot_nodes() {
        for (name, _) in consensus::config::PUBLIC_NETWORKS {
            let nodes = built_in(name).unwrap();
            assert!(nodes.len() >= 7, "{name} has {}", nodes.len());
            assert!(nodes.iter().all(Enr::verify), "{name}");
            let reachable = nodes.iter().filter(|node| node.udp4_socket().is_some());
            assert_eq!(reachable.count(), nodes.len(), "{name}");
        }
        assert!(built_in("devnet").unwrap().is_empty());
    }

    /// The lists are those that the maintainers of the networks publish.
    #[test]
    fn the_built_in_lists_are_the_published_ones() {
        for (name, _) in consensus::config::PUBLIC_NETWORKS {
            let Some(published) = real_text(&format!("configs/eth-clients-{name}-bootstrap_nodes.yaml")) else {
                return;
            };
            let ids = |nodes: Vec<Enr>| nodes.iter().map(Enr::node_id).collect::<Vec<_>>();
            let ours = ids(built_in(name).unwrap());
            for id in ids(parse_list(&published, name).unwrap()) {
                assert!(ours.contains(&id), "{name}: {id} is missing");
            }
        }
    }

    #[test]
    fn operators_name_them_in_several_ways() {
        let folder = Scratch::new("bootnodes");
        let all = built_in("hoodi").unwrap();
        let text: Vec<String> = all.iter().map(Enr::to_base64).collect();
        let both = of_operator(&[format!("{}, {}", text[0], text[1]), text[2].clone(), text[0].clone()]).unwrap();
        assert_eq!(both.len(), 3, "each once");
        let yaml = format!("# comment\n---\n- {} # where\n- \"{}\"\n\n", text[0], text[1]);
        std::fs::write(folder.path().join(FILE_NAME), yaml).unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        for value in [path.clone(), format!("{path}/{FILE_NAME}")] {
            assert_eq!(of_operator(&[value]).unwrap(), all[..2].to_vec());
        }
        assert_eq!(of_folder(folder.path()).unwrap().len(), 2);
        assert!(of_folder(Path::new("/nowhere")).unwrap().is_empty());
    }

    #[test]
    fn of_two_records_of_a_node_the_newer_counts() {
        use discv5::enr::CombinedKey;
        let key = CombinedKey::generate_secp256k1();
        let old = Enr::empty(&key).unwrap();
        let mut new = old.clone();
        new.set_seq(9, &key).unwrap();
        for list in [[&old, &new], [&new, &old]] {
            let list = list.map(Enr::to_base64).join(",");
            assert_eq!(of_operator(&[list]).unwrap(), std::slice::from_ref(&new));
        }
        let many: Vec<Enr> = (0..300)
            .map(|_| Enr::empty(&CombinedKey::generate_secp256k1()).unwrap())
            .collect();
        assert_eq!(limited(many.clone()), many[..NODES_MAX]);
    }

    #[test]
    fn errors_name_the_entry() {
        let good = built_in("hoodi").unwrap()[0].to_base64();
        let mut broken = good.clone();
        broken.replace_range(20..21, if &good[20..21] == "A" { "B" } else { "A" });
        for (values, named) in [
            (vec![good.clone(), broken.clone()], &broken[..30]),
            (vec!["enr:".to_owned()], "enr:"),
            (vec!["/nowhere/at/all".to_owned()], "/nowhere/at/all"),
            (vec!["enode://abc".to_owned()], "enode://abc"),
        ] {
            let error = format!("{:#}", of_operator(&values).unwrap_err());
            assert!(error.contains("--bootnodes") && error.contains(named), "{error}");
        }
        let error = parse_list(&format!("{good}\n- {broken}\n"), "list.yaml").unwrap_err();
        assert!(format!("{error:#}").contains("list.yaml, line 2"), "{error:#}");
    }
}
