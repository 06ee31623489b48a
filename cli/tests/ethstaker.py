"""Checks what `wren keys new` and `wren exit sign` wrote with ethstaker_deposit, and writes keystores of its own.

Arguments: the folder with ours, our exit, the folder for theirs, the mnemonic, the address, the password.
"""

import glob
import json
import sys

from ethstaker_deposit.credentials import Credential
from ethstaker_deposit.key_handling.keystore import Keystore
from ethstaker_deposit.settings import get_chain_setting
from ethstaker_deposit.utils.exit_transaction import exit_transaction_generation
from ethstaker_deposit.utils.validation import validate_deposit

made, exit_file, theirs, words, address, password = sys.argv[1:]
chain = get_chain_setting("hoodi")
credentials = [
    Credential(
        mnemonic=words,
        mnemonic_password="",
        index=index,
        amount=32 * 10**9,
        chain_setting=chain,
        hex_withdrawal_address=address,
        compounding=True,
        use_pbkdf2=index == 1,
    )
    for index in range(2)
]

deposits = json.load(open(glob.glob(f"{made}/deposit_data-*.json")[0]))
for credential, deposit in zip(credentials, deposits, strict=True):
    assert validate_deposit(deposit, chain, credential), "a deposit is invalid"
    expected = {name: value.hex() if isinstance(value, bytes) else value
                for name, value in credential.deposit_datum_dict.items()}
    for name in expected.keys() | deposit.keys():
        assert name == "deposit_cli_version" or deposit[name] == expected[name], name

for index, credential in enumerate(credentials):
    keystore = Keystore.from_file(glob.glob(f"{made}/keystore-m_12381_3600_{index}_0_0-*.json")[0])
    assert int.from_bytes(keystore.decrypt(password), "big") == credential.signing_sk, "another key"
    assert keystore.path == credential.signing_key_path
    credential.save_signing_keystore(password, theirs, 1)

ours = json.load(open(exit_file))
signed = exit_transaction_generation(chain, credentials[1].signing_sk, 77, 4000)
assert ours["signature"] == "0x" + signed.signature.hex(), "another exit"
