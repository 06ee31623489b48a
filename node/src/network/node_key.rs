//! The node's identity: its secret key, and the numbers by which peers tell old news of it from new.
//!
//! Both live in a folder of their own, files of mode 0600. Who loses the key has another node id, and with it other
//! subnets and other custody; so a damaged file is an error and is never replaced.

use anyhow::{Context as _, Result, bail};
use consensus::ssz::U256;
use discv5::enr::{CombinedKey, CombinedPublicKey, EnrPublicKey as _, NodeId};
use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, secp256k1};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The file of the key: 64 hexadecimal digits.
const KEY_FILE: &str = "node_key";

/// The file of the sequence numbers: two decimal numbers.
const SEQUENCE_FILE: &str = "sequence";

/// Both files are shorter than this; the list of peers has its own limit.
const FILE_BYTES_MAX: u64 = 256;

/// The secp256k1 key that is the node's name in discovery and in libp2p.
#[derive(Clone)]
pub struct NodeKey {
    keypair: secp256k1::Keypair,
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeKey({})", self.peer_id())
    }
}

impl NodeKey {
    /// A new key by chance.
    pub fn generate() -> Result<NodeKey> {
        Self::from_secret(&mut CombinedKey::generate_secp256k1().encode())
    }

    /// The key of a secret of 32 bytes, which are wiped.
    fn from_secret(secret: &mut [u8]) -> Result<NodeKey> {
        let secret = secp256k1::SecretKey::try_from_bytes(secret).context("it is no secp256k1 key")?;
        Ok(NodeKey { keypair: secret.into() })
    }

    /// The key in `folder`, which is made with a new key if there is none. A damaged file is an error that names it.
    pub fn load_or_create(folder: &Path) -> Result<NodeKey> {
        make_folder(folder)?;
        let path = folder.join(KEY_FILE);
        let Some(text) = read_small(&path, FILE_BYTES_MAX)? else {
            let key = NodeKey::generate()?;
            write_durably(&path, to_hex(&key.keypair.secret().to_bytes()).as_bytes())?;
            return Ok(key);
        };
        let key = from_hex(text.trim()).and_then(|mut secret| Self::from_secret(&mut secret).ok());
        key.with_context(|| {
            format!(
                "{} is damaged: it should be 64 hexadecimal digits, the node's secret key. Restore it from a backup; or \
                 move it away, and the node gets another identity at its next start",
                path.display()
            )
        })
    }

    /// The key as libp2p takes it.
    pub fn keypair(&self) -> Keypair {
        self.keypair.clone().into()
    }

    /// The key as discovery takes it.
    pub fn combined(&self) -> Result<CombinedKey> {
        let mut secret = self.keypair.secret().to_bytes();
        CombinedKey::secp256k1_from_bytes(&mut secret).map_err(|error| anyhow::anyhow!("the node's key: {error}"))
    }

    /// The node's name in libp2p.
    pub fn peer_id(&self) -> PeerId {
        PublicKey::from(self.keypair.public().clone()).to_peer_id()
    }

    /// The node's name in discovery.
    pub fn node_id(&self) -> Result<NodeId> {
        use discv5::enr::EnrKey as _;
        Ok(NodeId::from(self.combined()?.public()))
    }
}

/// The spec's `NodeID`: the id of discovery, whose bytes are big-endian, as a number.
pub fn node_id_number(id: NodeId) -> U256 {
    U256::from_be_bytes(id.raw())
}

/// How far a start moves both numbers on: more than they can have risen between two writes, if a crash came between.
const LEAP: u64 = 16;

/// The sequence numbers of the node record and of `MetaData`: peers believe only what has a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Of the node record. Spec: EIP-778, `seq`.
    pub record: u64,
    /// Of `MetaData`. Spec: phase0/p2p-interface.md, `seq_number`.
    pub metadata: u64,
}

impl Sequence {
    /// The numbers to start with, and the file moved on to them. A lost or damaged file begins at the time, in seconds
    /// since 1970: no node counts as fast as that, so what peers remember is older.
    pub fn load(folder: &Path, unix_seconds: u64) -> Result<Sequence> {
        make_folder(folder)?;
        let path = folder.join(SEQUENCE_FILE);
        let stored = read_small(&path, FILE_BYTES_MAX)?;
        let parsed = stored.as_deref().and_then(Sequence::parse);
        if stored.is_some() && parsed.is_none() {
            tracing::warn!("{} is damaged: counting goes on from the time", path.display());
        }
        let sequence = match parsed {
            Some(last) => Sequence {
                record: last.record.saturating_add(LEAP),
                metadata: last.metadata.saturating_add(LEAP),
            },
            None => Sequence {
                record: unix_seconds.max(1),
                metadata: unix_seconds.max(1),
            },
        };
        sequence.store(folder)?;
        Ok(sequence)
    }

    /// Writes them.
    pub fn store(&self, folder: &Path) -> Result<()> {
        let text = format!("{} {}\n", self.record, self.metadata);
        write_durably(&folder.join(SEQUENCE_FILE), text.as_bytes())
    }

    fn parse(text: &str) -> Option<Sequence> {
        let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
        let sequence = Sequence {
            record: numbers.next()??,
            metadata: numbers.next()??,
        };
        // A number near the end would leave no room to count on.
        let sane = numbers.next().is_none() && sequence.record.max(sequence.metadata) < u64::MAX / 2;
        sane.then_some(sequence)
    }
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2 + 1);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
    }
    text.push('\n');
    text
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Makes a folder, and those above it, that only its owner may enter.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// Reads a file of text of at most `limit` bytes; `None` if it is not there. What is no text is read as far as it goes.
pub(crate) fn read_small(path: &Path, limit: u64) -> Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened,
    };
    let mut bytes = Vec::new();
    let read = file.and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > limit {
        bail!("{} is longer than {limit} bytes: move it away", path.display());
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Writes a file of mode 0600 so that after a crash it is there whole or not at all, and is the new one once this has
/// returned.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("new");
    let write = || {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// The peer id of a node's public key; `None` for a key that is not of secp256k1, which the spec wants.
pub(crate) fn peer_id_of(key: &CombinedPublicKey) -> Option<PeerId> {
    let CombinedPublicKey::Secp256k1(_) = key else {
        return None;
    };
    let key = secp256k1::PublicKey::try_from_bytes(key.encode().as_ref()).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The id in discovery of a peer of libp2p, which tells the columns that it keeps; `None` for a key that is not of
/// secp256k1.
pub fn node_id_of(peer: &PeerId) -> Option<NodeId> {
    use sha3::{Digest as _, Keccak256};
    // Short keys stand in the peer id itself: that is multihash 0, "identity".
    let hash = peer.as_ref();
    let key = (hash.code() == 0).then(|| PublicKey::try_decode_protobuf(hash.digest()).ok())??;
    let key = key.try_into_secp256k1().ok()?;
    // EIP-778, "v4" identity scheme: the hash of the point without its prefix byte.
    let point = key.to_bytes_uncompressed();
    let id: [u8; 32] = Keccak256::digest(&point[1..]).into();
    Some(NodeId::new(&id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_outlives_the_process() {
        let folder = Scratch::new("node-key");
        let network = folder.path().join("network");
        let first = NodeKey::load_or_create(&network).unwrap();
        let second = NodeKey::load_or_create(&network).unwrap();
        assert_eq!(first.peer_id(), second.peer_id());
        assert_eq!(first.node_id().unwrap(), second.node_id().unwrap());
        let mode = fs::metadata(network.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(first.peer_id(), PeerId::from(first.keypair().public()));
        let debug = format!("{first:?}");
        assert!(
            !debug.contains(&to_hex(&first.keypair.secret().to_bytes())[..8]),
            "{debug}"
        );
    }

    #[test]
    fn a_damaged_key_is_an_error_and_stays() {
        let folder = Scratch::new("damaged-key");
        for damaged in [
            "",
            "0123",
            &"0".repeat(64),
            &"g".repeat(64),
            &"1".repeat(65),
            &"1".repeat(300),
        ] {
            let path = folder.path().join(KEY_FILE);
            fs::write(&path, damaged).unwrap();
            let error = NodeKey::load_or_create(folder.path()).unwrap_err();
            assert!(format!("{error:#}").contains("node_key"), "{error:#}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn names_are_those_of_the_key() {
        // The example of EIP-778: its key and its node id.
        let mut secret = from_hex("b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291").unwrap();
        let key = NodeKey::from_secret(&mut secret).unwrap();
        let id = key.node_id().unwrap();
        assert_eq!(
            to_hex(&id.raw()).trim(),
            "a448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7"
        );
        assert_eq!(node_id_number(id).to_be_bytes::<32>(), id.raw());
        let record: discv5::Enr = "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8"
            .parse()
            .unwrap();
        assert_eq!(record.node_id(), id);
        assert_eq!(peer_id_of(&record.public_key()), Some(key.peer_id()));
        assert_eq!(node_id_of(&key.peer_id()), Some(id));
        assert_eq!(node_id_of(&PeerId::random()), None, "the hash of a longer key");
    }

    #[test]
    fn numbers_only_rise() {
        let folder = Scratch::new("sequence");
        let first = Sequence::load(folder.path(), 1_700_000_000).unwrap();
        assert_eq!((first.record, first.metadata), (1_700_000_000, 1_700_000_000));
        let later = Sequence {
            record: first.record + 3,
            metadata: first.metadata + 1,
        };
        later.store(folder.path()).unwrap();
        let second = Sequence::load(folder.path(), 5).unwrap();
        assert!(second.record > later.record && second.metadata > later.metadata);
        for damaged in ["", "7", "7 x", "1 2 3", "18446744073709551615 1"] {
            fs::write(folder.path().join(SEQUENCE_FILE), damaged).unwrap();
            let third = Sequence::load(folder.path(), 1_800_000_000).unwrap();
            assert_eq!(third.record, 1_800_000_000, "{damaged:?}");
        }
    }
}
