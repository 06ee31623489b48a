//! Signing on mainnet wants a typed acceptance, once: real ETH is at stake, and this program is young.

use crate::exit::Failure;
use crate::terminal;
use consensus::Config;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The chain id of mainnet, which its testnets and local chains do not have. Spec: configs/mainnet.yaml, `DEPOSIT_CHAIN_ID`.
const MAINNET: u64 = 1;
/// Where it is kept that the sentence was typed.
const FILE: &str = "accepted-mainnet";
pub(crate) const SENTENCE: &str = "I accept the risk on mainnet";
pub(crate) const WHAT: &str = "\
Wren has not run on a public network, and nobody has audited it. A fault in it can cost your validators what they would
have earned, and a part of their ETH. Hoodi is a network where nothing is lost.";

/// Asks once, and keeps that it was accepted in the client's folder. Nothing is asked where there are no keys yet, or on
/// another network.
pub(crate) fn accept(config: &Config, folder: &Path) -> Result<(), Failure> {
    accept_by(config, folder, || terminal::confirm(WHAT, SENTENCE, false))
}

fn accept_by(config: &Config, folder: &Path, ask: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    if !is_due(config, folder) || !folder.exists() {
        return Ok(());
    }
    ask().map_err(|refused| Failure {
        message: format!(
            "{}. Nothing is signed on mainnet before that: start this command once in a terminal, as the user that it \
             runs as, and type the sentence",
            refused.message
        ),
        ..refused
    })?;
    keep(folder)
}

/// Whether signing with the keys of this folder is still to be accepted.
pub(crate) fn is_due(config: &Config, folder: &Path) -> bool {
    config.deposit_chain_id == MAINNET && !folder.join(FILE).exists()
}

/// Keeps in the client's folder that it was accepted.
pub(crate) fn keep(folder: &Path) -> Result<(), Failure> {
    let file = folder.join(FILE);
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(&file);
    made.and_then(|made| made.sync_all())
        .and_then(|()| fs::File::open(folder)?.sync_all())
        .map_err(|error| Failure::io(format!("cannot write {}", file.display()), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainnet_is_accepted_once_and_other_networks_need_not_be() {
        let folder = std::env::temp_dir().join(format!("wren-accepted-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let never = || panic!("nothing is to be asked");
        let mut config = Config::network("devnet").unwrap();
        accept_by(&config, &folder, never).unwrap();
        config.deposit_chain_id = MAINNET;
        accept_by(&config, &folder.join("none"), never).unwrap();
        let refused = accept_by(&config, &folder, || Err(Failure::not_confirmed())).unwrap_err();
        assert!(refused.message.contains("in a terminal"), "{}", refused.message);
        accept_by(&config, &folder, || Ok(())).unwrap();
        accept_by(&config, &folder, never).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }
}
