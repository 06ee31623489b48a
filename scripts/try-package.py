"""Makes keystores with ethstaker_deposit, as its users have them.

Arguments: the folder for them, the mnemonic, the password, how many.
"""

import sys

from ethstaker_deposit.credentials import Credential
from ethstaker_deposit.settings import get_chain_setting

folder, words, password, count = sys.argv[1:]
for index in range(int(count)):
    credential = Credential(
        mnemonic=words,
        mnemonic_password="",
        index=index,
        amount=32 * 10**9,
        chain_setting=get_chain_setting("hoodi"),
        hex_withdrawal_address="0x8943545177806ED17B9F23F0a21ee5948eCaa776",
    )
    print(credential.save_signing_keystore(password, folder, 1))
