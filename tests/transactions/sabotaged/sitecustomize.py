"""Python imports this at its start, in each process, where this folder is on its path."""

import os

from tests.transactions.sabotage import GUARDS

GUARDS[os.environ["KIT_WITHOUT_GUARD"]].turn_off()
