"""Crosses our key derivation and keystores with PyPI's ethstaker_deposit 1.3.1, an independent implementation.

    cross_keystores.py make FILE     writes keys and keystores of its own: the test data crypto/tests/keystores.rs reads
    cross_keystores.py check FILE    opens what our example `keystores` wrote, and derives the same keys again

crypto/tests/cross_keystores.sh installs the package and runs `check`. The package is used as a library: as installed
from PyPI its command line lacks its word lists.
"""

import json
import sys

from ethstaker_deposit.key_handling.key_derivation.path import mnemonic_and_path_to_key
from ethstaker_deposit.key_handling.keystore import Keystore, Pbkdf2Keystore, ScryptKeystore
from py_ecc.bls import G2ProofOfPossession as bls

MNEMONIC = (
    "romance pair result shield buzz bread chronic lyrics theme grief vivid broom "
    "exhibit fold raven nature frog warrior language manual shrimp planet skill salmon"
)
PASSPHRASE = "Żółw"
# Letters that normalization changes (ﬁ, ½, ä), one outside the first 65,536, and control codes that are stripped.
PASSWORD = "pässwörd 🔑 ﬁ½\t\u0085"


def derive(path: str, mnemonic: str, passphrase: str) -> bytes:
    return mnemonic_and_path_to_key(mnemonic=mnemonic, path=path, password=passphrase).to_bytes(32, "big")


def make(file: str) -> None:
    keys = []
    for path, kind in [
        ("m/12381/3600/0/0/0", ScryptKeystore),
        ("m/12381/3600/5/0/0", Pbkdf2Keystore),
        ("m/12381/3600/4294967295/0", None),
    ]:
        secret = derive(path, MNEMONIC, PASSPHRASE)
        keystore = kind and json.loads(kind.encrypt(secret=secret, password=PASSWORD, path=path).as_json())
        pubkey = bls.SkToPk(int.from_bytes(secret, "big"))
        keys.append({"path": path, "secret": secret.hex(), "pubkey": pubkey.hex(), "keystore": keystore})
    content = {"mnemonic": MNEMONIC, "passphrase": PASSPHRASE, "password": PASSWORD, "keys": keys}
    with open(file, "w", encoding="utf-8") as out:
        json.dump(content, out, indent=1, ensure_ascii=False)
        out.write("\n")


def check(file: str) -> None:
    with open(file, encoding="utf-8") as source:
        content = json.load(source)
    for key in content["keys"]:
        secret = bytes.fromhex(key["secret"])
        assert derive(key["path"], content["mnemonic"], content["passphrase"]) == secret, key["path"]
        keystore = Keystore.from_json(key["keystore"])
        assert keystore.path == key["path"]
        assert bytes.fromhex(keystore.pubkey) == bls.SkToPk(int.from_bytes(secret, "big")), key["path"]
        assert keystore.decrypt(content["password"]) == secret, key["path"]
        try:
            keystore.decrypt(content["password"] + "x")
            raise SystemExit(f"{key['path']}: a wrong password opened it")
        except ValueError:
            pass
        print(f"{key['path']}: {keystore.crypto.kdf.function} keystore opened, same secret and public key")
    assert content["keys"], "there is no key in the file"


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](sys.argv[2])
